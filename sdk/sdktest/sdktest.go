// Package sdktest serves a real socket with made-up answers, for tests of
// programs that use the sdk. It is no daemon: it keeps nothing and decides
// nothing.
package sdktest

import (
	"crypto/ed25519"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/thumbturn/thumbturn/api"
)

// Call is one request as it arrived.
type Call struct {
	Op     api.Op
	Body   json.RawMessage
	Values [][]byte
	Long   [][]byte // streams; asked for before the call is answered
}

// Into decodes the body of a call, or fails the test.
func (c Call) Into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(c.Body, v); err != nil {
		t.Errorf("%s: body %s: %v", c.Op, c.Body, err)
	}
}

// Message is one message of an answer.
type Message struct {
	Body   any
	More   bool
	Error  *api.Error
	Values [][]byte
	Long   []byte // a stream
	Cut    int    // hang up after so many bytes of it; 0 is never
}

// Server is a socket in a home of its own.
type Server struct {
	Home api.Home

	t      testing.TB
	key    ed25519.PrivateKey
	state  string
	answer func(Call) []Message
	ln     net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	calls []Call
	conns []net.Conn
}

// Start serves answer until the test ends. The home has a device key, and the
// challenge is answered with it; answer never sees the challenge.
func Start(t testing.TB, answer func(Call) []Message) *Server {
	t.Helper()
	// Not t.TempDir: the path of a Unix socket holds about 100 bytes.
	dir, err := os.MkdirTemp("", "tt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	home, err := api.FindHome(func(k string) string {
		return map[string]string{"THUMBTURN_HOME": dir}[k]
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{home.Data, home.Config, home.Run, home.Device} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := &Server{Home: home, t: t, answer: answer, state: api.StateUnlocked,
		key: ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes only!"))}
	s.WriteKey(s.key.Public().(ed25519.PublicKey))
	if s.ln, err = net.Listen("unix", home.Socket()); err != nil {
		t.Fatal(err)
	}
	s.wg.Add(1)
	go s.accept()
	t.Cleanup(s.stop)
	return s
}

// WriteKey puts another public key into the home.
func (s *Server) WriteKey(key ed25519.PublicKey) {
	b, err := json.Marshal(map[string]any{"device_key": []byte(key)})
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Home.Device, "device.pub"), b, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Empty makes the home one without an account: there is no device key, and the
// challenge goes unanswered.
func (s *Server) Empty() {
	if err := os.Remove(filepath.Join(s.Home.Device, "device.pub")); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.key = api.StateEmpty, nil
}

// Calls returns what was asked so far, challenges apart.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

func (s *Server) stop() {
	s.ln.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.wg.Add(1)
		go s.serve(conn)
	}
}

func (s *Server) serve(conn net.Conn) {
	defer s.wg.Done()
	defer conn.Close()
	for {
		h, err := api.ReadHeader(conn)
		if err != nil {
			return
		}
		call := Call{Op: h.Op, Body: h.Body}
		for range h.Values {
			v, err := api.ReadValue(conn)
			if err != nil {
				return
			}
			call.Values = append(call.Values, v)
		}
		for i, size := range h.Streams {
			if write(conn, Message{More: true, Body: api.Send{Send: i + 1}}) != nil {
				return
			}
			long := make([]byte, size)
			for rest := long; len(rest) > 0; rest = rest[api.PartLen(int64(len(rest))):] {
				if api.ReadPart(conn, rest[:api.PartLen(int64(len(rest)))]) != nil {
					return
				}
			}
			call.Long = append(call.Long, long)
		}
		for _, m := range s.handle(call) {
			if write(conn, m) != nil {
				return
			}
		}
	}
}

func (s *Server) handle(call Call) []Message {
	if call.Op != api.OpHello {
		s.mu.Lock()
		s.calls = append(s.calls, call)
		s.mu.Unlock()
		return s.answer(call)
	}
	var in api.Hello
	call.Into(s.t, &in)
	s.mu.Lock()
	defer s.mu.Unlock()
	out := api.HelloReply{Version: "0.0.0", Protocol: api.Version, State: s.state, PID: 4711}
	if s.key != nil {
		out.Device = "device"
		out.Signature = ed25519.Sign(s.key, append([]byte("thumbturn/hello/v1\x00"), in.Nonce...))
	}
	return []Message{{Body: out}}
}

func write(conn net.Conn, m Message) error {
	h := api.Header{More: m.More, Error: m.Error}
	if m.Body != nil {
		b, err := json.Marshal(m.Body)
		if err != nil {
			return err
		}
		h.Body = b
	}
	if len(m.Long) > 0 {
		h.Streams = []int64{int64(len(m.Long))}
	}
	if err := api.WriteMessage(conn, h, m.Values...); err != nil {
		return err
	}
	for rest := m.Long; len(rest) > 0; rest = rest[api.PartLen(int64(len(rest))):] {
		if err := api.WritePart(conn, rest[:api.PartLen(int64(len(rest)))]); err != nil {
			return err
		}
		if m.Cut > 0 && len(m.Long)-len(rest) >= m.Cut-api.PartSize {
			return net.ErrClosed
		}
	}
	return nil
}

package web_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/door/web"
)

// A long poll ends at a change, and a page that knows all waits.
func TestPoll(t *testing.T) {
	f, s, _ := plainServer(t)
	s.Poll = time.Minute
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	var st web.State
	if err := json.Unmarshal(ask(h, "POST", "/api/state", token, `{"seen":0}`, nil).Body.Bytes(), &st); err != nil || st.Version == 0 {
		t.Fatalf("%+v %v", st, err)
	}
	done := make(chan web.State)
	go func() {
		var next web.State
		_ = json.Unmarshal(ask(h, "POST", "/api/state", token, `{"seen":1}`, nil).Body.Bytes(), &next)
		done <- next
	}()
	q := f.park(f.request(nil), 0, "")
	if next := <-done; len(next.Requests) != 1 || next.Requests[0].ID != q.ID {
		t.Errorf("%+v", next)
	}
}

func TestPollsBounded(t *testing.T) {
	_, s, _ := plainServer(t)
	s.Poll = time.Minute
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	ctx, stop := context.WithCancel(t.Context())
	codes := make(chan int, 17)
	var wg sync.WaitGroup
	for range 17 {
		wg.Go(func() {
			w := ask(h, "POST", "/api/state", token, `{"seen":1}`, func(r *http.Request) { *r = *r.WithContext(ctx) })
			codes <- w.Code
		})
	}
	if first := <-codes; first != 503 { // sixteen wait
		t.Errorf("%d", first)
	}
	stop()
	wg.Wait()
}

// Connections are bounded: one more waits until another ends.
func TestSeats(t *testing.T) {
	_, s, _ := plainServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Origin = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	served := func(c net.Conn, wait time.Duration) bool {
		_ = c.SetDeadline(time.Now().Add(wait))
		b := make([]byte, 12)
		_, err := io.ReadFull(c, b)
		return err == nil && string(b) == "HTTP/1.1 200"
	}
	get := []byte("GET / HTTP/1.1\r\nHost: " + l.Addr().String() + "\r\n\r\n")
	var seats []net.Conn
	for range 128 {
		c := dial()
		if _, err := c.Write(get); err != nil || !served(c, 10*time.Second) {
			t.Fatal("a seat is not served", err)
		}
		seats = append(seats, c)
	}
	more := dial()
	if _, err := more.Write(get); err != nil || served(more, 100*time.Millisecond) {
		t.Errorf("the 129th is served, or %v", err)
	}
	_ = seats[0].Close()
	if !served(more, 10*time.Second) {
		t.Error("a seat that is free again is not given")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Serve ends in order: who waits is answered, and nothing is left open.
func TestServe(t *testing.T) {
	f, s, _ := plainServer(t)
	s.Poll = time.Minute
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.origin = "http://" + l.Addr().String()
	s.Origin = f.origin
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	token := ""
	post := func(path, body string) (int, string) {
		r, _ := http.NewRequest("POST", s.Origin+path, strings.NewReader(body))
		r.Header.Set("Origin", s.Origin)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Thumbturn-Token", token)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer w.Body.Close()
		b, _ := io.ReadAll(w.Body)
		return w.StatusCode, string(b)
	}
	_, body := post("/api/open", `{"ticket":"`+ticket(t, s, web.LinkOpen, "")+`"}`)
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err, body)
	}
	token = got.Token
	waits, before := make(chan int), f.asked()
	go func() { code, _ := post("/api/state", `{"seen":1}`); waits <- code }()
	for f.asked() <= before { // until the poll has seen the state
		time.Sleep(time.Millisecond)
	}
	stop()
	if code := <-waits; code != 503 {
		t.Errorf("who waited: %d", code)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

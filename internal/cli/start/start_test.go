//go:build unix

package start

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// TestMain turns the test program into a thumbturnd when it is started by that
// name: it says what it was given, then serves one connection or fails.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "thumbturnd" {
		os.Exit(m.Run())
	}
	if err := pretend(); err != nil {
		os.Exit(1)
	}
}

type given struct {
	Args, Env []string
	Dir       string
	Leader    bool // of a session of its own
}

func pretend() error {
	home, err := api.FindHome(os.Getenv)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(home.Run, 0o700); err != nil {
		return err
	}
	dir, _ := os.Getwd()
	b, err := json.Marshal(given{os.Args[1:], os.Environ(), dir, leader()})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home.Run, "given"), b, 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(home.Run, "refuse")); err == nil {
		os.WriteFile(filepath.Join(home.Run, "start.log"), []byte("first\nrefused: an agent may not start thumbturnd\n"), 0o600)
		os.Exit(1)
	}
	ln, err := net.Listen("unix", home.Socket())
	if err != nil {
		return err
	}
	ln.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	if _, err := api.ReadHeader(conn); err != nil {
		return err
	}
	body, err := json.Marshal(api.HelloReply{Protocol: api.Version, State: api.StateEmpty})
	if err != nil {
		return err
	}
	return api.WriteMessage(conn, api.Header{Body: body})
}

// starter returns one whose thumbturnd is this test program, and its home.
func starter(t *testing.T) (Starter, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "thumbturnd")); err != nil {
		t.Fatal(err)
	}
	cli := filepath.Join(bin, "thumbturn")
	if err := os.WriteFile(cli, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"THUMBTURN_HOME=" + dir, "LANG=C", "XDG_X=y", "LD_PRELOAD=evil", "HTTPS_PROXY=evil", "PATH=/evil", "SSL_CERT_FILE=evil"}
	home, err := api.FindHome(func(k string) string { return map[string]string{"THUMBTURN_HOME": dir}[k] })
	if err != nil {
		t.Fatal(err)
	}
	return Starter{Home: home, Environ: env, Executable: func() (string, error) { return cli, nil }}, dir
}

func TestStart(t *testing.T) {
	s, dir := starter(t)
	c, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := os.ReadFile(filepath.Join(s.Home.Run, "given"))
	if err != nil {
		t.Fatal(err)
	}
	var got given
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := given{Args: []string{}, Env: []string{"THUMBTURN_HOME=" + dir, "LANG=C", "XDG_X=y"}, Dir: "/", Leader: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStartRefused(t *testing.T) {
	s, _ := starter(t)
	if err := os.MkdirAll(s.Home.Run, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Home.Run, "refuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Dial(t.Context())
	e, ok := err.(*fault.Error)
	if !ok || e.Kind != fault.Unavailable || e.Hint != "refused: an agent may not start thumbturnd" {
		t.Errorf("got %#v", err)
	}
}

func TestStartNothingThere(t *testing.T) {
	s, _ := starter(t)
	s.Executable = func() (string, error) { return os.Executable() }
	if _, err := s.Dial(t.Context()); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no thumbturnd") {
		t.Errorf("got %v", err)
	}
}

// A folder that others can write is no reason to start a daemon.
func TestUntrustedIsNotStarted(t *testing.T) {
	s, _ := starter(t)
	if err := os.MkdirAll(s.Home.Run, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.Home.Run, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Dial(t.Context()); err == nil {
		t.Error("dialled")
	}
	if _, err := os.Stat(filepath.Join(s.Home.Run, "given")); err == nil {
		t.Error("a daemon was started")
	}
}

// Only its service manager starts a system service.
func TestSystemIsNotStarted(t *testing.T) {
	s, _ := starter(t)
	s.Home.System = true
	_, err := s.Dial(t.Context())
	e, ok := err.(*fault.Error)
	if !ok || e.Kind != fault.Unavailable || !strings.Contains(e.Hint, "systemctl status thumbturnd@") {
		t.Errorf("got %#v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Home.Run, "given")); err == nil {
		t.Error("a daemon was started")
	}
}

func TestLastLine(t *testing.T) {
	p := filepath.Join(t.TempDir(), "log")
	now := time.Now()
	if got := lastLine(p, now); got != "" {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(p, []byte("a\nb\x1b[2J\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lastLine(p, now); got != `b\u{1b}[2J` {
		t.Errorf("%q", got)
	}
	if got := lastLine(p, now.Add(time.Hour)); got != "" {
		t.Errorf("an old log was shown: %q", got)
	}
}

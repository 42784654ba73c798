package shim

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/term"
)

// TestMain is also our binary as a leader, and as what becomes the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// pair is a terminal that is nobody's controlling terminal.
func pair(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave, err := term.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close(); master.Close() })
	return master, slave
}

func start(t *testing.T) *Shim {
	t.Helper()
	_, tty := pair(t)
	s, err := Start(tty, tty, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestOnce runs a program to its end; the terminal under it is not ours, so it
// stays as it is.
func TestOnce(t *testing.T) {
	s := start(t)
	if err := s.Exec("/bin/sh", []string{"sh", "-c", `printf %s "$A"; exit 9`}, []string{"A=given"}); err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait(make(chan os.Signal))
	if err != nil || status.ExitStatus() != 9 {
		t.Errorf("%v, %v", status, err)
	}
	buf := make([]byte, 100)
	if n, err := s.Output().Read(buf); err != nil || string(buf[:n]) != "given" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	s.Close()
	if m, err := term.ModesOf(s.tty); err != nil || m.IsRaw() {
		t.Errorf("raw: %v, %v", m.IsRaw(), err)
	}
}

func TestExecFails(t *testing.T) {
	s := start(t)
	if err := s.Exec("/nonexistent/x", []string{"x"}, nil); err != syscall.ENOENT {
		t.Errorf("%v", err)
	}
}

// TestCloseEndsAll: neither before nor after the start does anything stay.
func TestCloseEndsAll(t *testing.T) {
	start(t).Close()
	s := start(t)
	if err := s.Exec("/bin/sh", []string{"sh", "-c", "echo $$; exec sleep 60"}, []string{"PATH=" + os.Getenv("PATH")}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if _, err := s.Output().Read(buf); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.Close()
	if time.Since(began) > 30*time.Second {
		t.Error("the program was waited for")
	}
}

// TestByHand: without what Start passes on, a leader does nothing.
func TestByHand(t *testing.T) {
	for _, args := range [][]string{{Command}, {Command, program}} {
		if out, err := exec.Command(self, args...).CombinedOutput(); err == nil || len(out) > 0 {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}

func TestFits(t *testing.T) {
	_, tty := pair(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range [][2]*os.File{{tty, tty}, {tty, f}, {f, tty}, {f, f}, {nil, tty}, {tty, nil}, {nil, nil}} {
		if Fits(c[0], c[1]) {
			t.Errorf("%v fit", c)
		}
	}
}

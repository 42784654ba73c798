package term_test

import (
	"os"
	"testing"

	"github.com/thumbturn/thumbturn/internal/term"
)

func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave, err := term.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close(); master.Close() })
	return master, slave
}

func passes(t *testing.T, from, to *os.File, in, want string) {
	t.Helper()
	if _, err := from.WriteString(in); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := to.Read(b); err != nil || string(b[:n]) != want {
		t.Errorf("%q became %q, want %q; %v", in, b[:n], want, err)
	}
}

func TestModes(t *testing.T) {
	master, slave := terminal(t)
	usual, err := term.ModesOf(slave)
	if err != nil || usual.IsRaw() {
		t.Fatalf("a new terminal is raw, %v", err)
	}
	passes(t, slave, master, "a\n", "a\r\n")
	if err := usual.Raw().Set(slave); err != nil {
		t.Fatal(err)
	}
	if m, err := term.ModesOf(master); err != nil || !m.IsRaw() {
		t.Errorf("not raw, %v", err)
	}
	passes(t, slave, master, "a\n", "a\n")
	passes(t, master, slave, "\x03\x1a\x04\r\x11\xff", "\x03\x1a\x04\r\x11\xff")
	if err := usual.Set(slave); err != nil {
		t.Fatal(err)
	}
	if m, err := term.ModesOf(slave); err != nil || m != usual {
		t.Errorf("%v, want %v; %v", m, usual, err)
	}
}

func TestCopySize(t *testing.T) {
	a, _ := terminal(t)
	b, slave := terminal(t)
	if err := term.CopySize(b, a); err != nil {
		t.Fatal(err)
	}
	if w, h, err := term.Size(slave); err != nil || w != 0 || h != 0 {
		t.Errorf("%d by %d, %v", w, h, err)
	}
}

// TestNotOurs: a terminal that is not the controlling one, and what is none.
func TestNotOurs(t *testing.T) {
	_, slave := terminal(t)
	if _, err := term.Foreground(slave); err == nil {
		t.Error("a terminal that is not ours has a foreground")
	}
	if _, err := term.Foreground(nil); err == nil {
		t.Error("no file has a foreground")
	}
	for _, f := range []*os.File{nil, os.NewFile(^uintptr(0), "none")} {
		if _, err := term.ModesOf(f); err == nil {
			t.Error("no file has modes")
		}
	}
}

//go:build unix

package local

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAccept(t *testing.T) {
	dir, err := os.MkdirTemp("", "tt") // a short path, which t.TempDir may not be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at := &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"}
	l, err := net.ListenUnix("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.DialUnix("unix", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	here, err := Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()

	_ = here.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if Gone(here) {
		t.Error("a silent peer is gone")
	}
	_ = here.SetReadDeadline(time.Time{})
	if _, err := there.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if Gone(here) {
		t.Error("a peer that speaks is gone")
	}
	if n, err := here.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("looking took the byte: %d, %v", n, err)
	}
	_ = there.Close()
	if !Gone(here) {
		t.Error("a peer that left is there")
	}

	Quiet(l)
	if _, err := Accept(l); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("accepting when quiet: %v", err)
	}
}

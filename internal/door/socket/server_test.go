//go:build unix

package socket_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/door/socket"
)

// Whoever is accepted after Quiet gets no answer and no error either: the end of
// the connection, upon which a client dials again and finds the next process.
func TestQuiet(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &socket.Server{}
	s.Quiet() // and the deadline of the listener comes too late
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-served; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

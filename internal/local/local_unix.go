//go:build unix

package local

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

type (
	// Conn is one connection.
	Conn = net.UnixConn
	// Listener is where connections come in.
	Listener = net.UnixListener
)

// Accept waits for a connection.
func Accept(l *Listener) (*Conn, error) { return l.AcceptUnix() }

// Quiet stops accepting; Accept then fails with os.ErrDeadlineExceeded, and who
// comes waits for whoever has the descriptor next.
func Quiet(l *Listener) { _ = l.SetDeadline(time.Now()) }

// Gone blocks until the peer has closed its end (true), has sent something, or
// the read deadline passes (false). It takes no byte out of the stream.
func Gone(conn *Conn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		closed = err != nil || n == 0
		return true
	})
	return err == nil && closed
}

//go:build unix

package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// gone blocks until the peer has closed its end (true), has sent something, or
// the read deadline passes (false). It takes no byte out of the stream.
func gone(conn *net.UnixConn) bool {
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

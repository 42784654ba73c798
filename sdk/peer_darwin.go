package sdk

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// server asks the kernel who serves the socket (LOCAL_PEERCRED, unix(4)); it does
// not ask for the process.
func server(conn net.Conn) (Server, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return Server{}, errors.New("not a unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Server{}, err
	}
	var cred *unix.Xucred
	var gerr error
	err = raw.Control(func(fd uintptr) {
		cred, gerr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err = errors.Join(err, gerr); err != nil {
		return Server{}, err
	}
	return Server{UID: int(cred.Uid)}, nil
}

// socketName is the path itself; one that is too long fails at connect.
func socketName(path string) (name string, done func(), err error) { return path, func() {}, nil }

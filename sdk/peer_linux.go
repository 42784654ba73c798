package sdk

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// socketName is a name by which a socket of any path can be reached: the kernel
// has room for about 100 bytes (unix(7)), so that a longer path goes through an
// open descriptor of its folder. done closes that.
func socketName(path string) (name string, done func(), err error) {
	if len(path) <= 100 {
		return path, func() {}, nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), filepath.Base(path)), func() { _ = d.Close() }, nil
}

// server asks the kernel who listened on the socket (SO_PEERCRED, unix(7)).
func server(conn net.Conn) (Server, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return Server{}, errors.New("not a unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Server{}, err
	}
	var cred *syscall.Ucred
	var gerr error
	err = raw.Control(func(fd uintptr) {
		cred, gerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, gerr); err != nil {
		return Server{}, err
	}
	return Server{PID: int(cred.Pid), UID: int(cred.Uid)}, nil
}

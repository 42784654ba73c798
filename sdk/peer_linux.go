package sdk

import (
	"errors"
	"net"
	"syscall"
)

// serverUID asks the kernel who listened on the socket (SO_PEERCRED, unix(7)).
func serverUID(conn net.Conn) (int, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return -1, errors.New("not a unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *syscall.Ucred
	var gerr error
	err = raw.Control(func(fd uintptr) {
		cred, gerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, gerr); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

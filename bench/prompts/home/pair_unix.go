//go:build unix

package home

import (
	"errors"
	"net"
	"path/filepath"

	"github.com/thumbturn/thumbturn/internal/local"
)

// pair connects two ends of a socket, whose file it makes in dir.
func pair(dir string) (client, server *local.Conn, err error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if client, err = net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr)); err != nil {
		return nil, nil, err
	}
	if server, err = l.AcceptUnix(); err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, server, nil
}

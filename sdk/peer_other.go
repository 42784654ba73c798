//go:build !linux && !darwin

package sdk

import (
	"errors"
	"net"
)

// server fails: nothing is implemented for this platform yet.
func server(net.Conn) (Server, error) {
	return Server{}, errors.New("not implemented on this platform")
}

// socketName is the path itself; one that is too long fails at connect.
func socketName(path string) (name string, done func(), err error) { return path, func() {}, nil }

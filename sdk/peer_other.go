//go:build !linux && !darwin

package sdk

import (
	"errors"
	"net"
)

// serverUID fails: nothing is implemented for this platform yet.
func serverUID(net.Conn) (int, error) { return -1, errors.New("not implemented on this platform") }

// socketName is the path itself; one that is too long fails at connect.
func socketName(path string) (name string, done func(), err error) { return path, func() {}, nil }

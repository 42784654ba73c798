//go:build !linux && !darwin

package identity

import "github.com/thumbturn/thumbturn/internal/fault"

// Kernel fails with fault.Unavailable: this platform does not tell us who is
// at the other end of a socket.
func Kernel() (Source, error) {
	return nil, fault.New(fault.Unavailable, "identify", "", "callers cannot be identified on this platform yet")
}

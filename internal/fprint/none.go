//go:build !linux && !darwin

package fprint

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Verify refuses: there is no service of this kind on this system.
func (r *Reader) Verify(context.Context, func(string)) error { return none() }

// Present refuses: there is no service of this kind on this system.
func (r *Reader) Present(context.Context) (Device, error) { return Device{}, none() }

func none() error {
	return fault.New(fault.Unavailable, op, "", "this system has no fingerprint service that is known here").
		WithHint("take `fingerprint` out of the daemon's settings; a passkey uses this system's own reader")
}

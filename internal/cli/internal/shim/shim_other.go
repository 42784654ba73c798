//go:build !linux

package shim

import (
	"errors"
	"os"
	"syscall"
)

// Main refuses.
func Main([]string) int { return 2 }

// Fits says no.
func Fits(...*os.File) bool { return false }

// Shim is none on this system.
type Shim struct{}

// Start fails.
func Start(_, _ *os.File, _ bool) (*Shim, error) { return nil, errors.ErrUnsupported }

// Output returns nothing.
func (*Shim) Output() *os.File { return nil }

// Errors returns nothing.
func (*Shim) Errors() *os.File { return nil }

// Exec fails.
func (*Shim) Exec(string, []string, []string) error { return errors.ErrUnsupported }

// Wait fails.
func (*Shim) Wait(<-chan os.Signal) (status syscall.WaitStatus, err error) {
	return status, errors.ErrUnsupported
}

// Close does nothing.
func (*Shim) Close() {}

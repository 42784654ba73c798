//go:build !linux && !windows

package tpm

import (
	"errors"

	"github.com/google/go-tpm/tpm2/transport"
)

// device has nothing to open: a Mac keeps keys in its Secure Enclave, which speaks
// another language.
func device() (transport.TPMCloser, error) {
	return nil, errors.New("this system has none that a program can use")
}

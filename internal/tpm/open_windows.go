package tpm

import (
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/windowstpm"
)

// device opens the TPM by the system's TPM Base Services.
func device() (transport.TPMCloser, error) { return windowstpm.Open() }

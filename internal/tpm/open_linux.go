package tpm

import (
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// device opens the TPM behind the kernel's resource manager, which keeps what one
// program loads apart from what others do, and drops it when the program ends.
func device() (transport.TPMCloser, error) { return linuxtpm.Open("/dev/tpmrm0") }

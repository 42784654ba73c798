package doctor

import (
	"os"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
)

// chip looks at the TPM and the PIN. here tells that this machine has a TPM, whether
// or not the daemon may use it. No TPM is nothing wrong: it is one way of several.
func chip(p api.PIN, mode string, here bool) Finding {
	f := Finding{"tpm", OK, console.TPM(p.TPM) + "; PIN: " + console.PIN(p), ""}
	switch {
	case p.TPM.Why != "" && here && mode == "system":
		f.Hint = "to approve with a PIN, the daemon's user needs the group tss and leave for /dev/tpmrm0: sudo thumbturn service install --system gives it both"
	case p.TPM.Why != "" && here:
		f.Hint = "to approve with a PIN, your user needs the group tss (log in again after it), then: thumbturn daemon stop"
	}
	switch {
	case p.Here && p.TPM.Why != "":
		f.State = Warning // the PIN that is set is of no use now
	case p.TPM.Locked:
		f.State, f.Hint = Warning, "approve another way until then; if nobody here typed wrong PINs, find out which program did"
	case p.Set && !p.Here:
		f.State, f.Hint = Warning, "thumbturn pin set"
	}
	return f
}

// hasChip reports whether Linux shows a TPM here.
func hasChip() bool { _, err := os.Stat("/dev/tpmrm0"); return err == nil }

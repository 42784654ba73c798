//go:build !windows

package daemon

import (
	"os/user"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/fprint"
	"github.com/thumbturn/thumbturn/internal/logind"
)

// newReader is the fingerprint reader of the machine, for the human who is served.
func (p *process) newReader() verifier {
	r := &fprint.Reader{Address: logind.SystemBus}
	if p.mode.system {
		r.User = strconv.Itoa(p.mode.human) // whoever has no name has no finger either
		if u, err := user.LookupId(r.User); err == nil {
			r.User = u.Username
		}
	}
	return r
}

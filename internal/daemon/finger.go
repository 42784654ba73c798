package daemon

import (
	"context"
	"os/user"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/fprint"
	"github.com/thumbturn/thumbturn/internal/logind"
)

// newReader is the fingerprint reader of the machine, for the human who is served.
func newReader(m mode) *fprint.Reader {
	r := &fprint.Reader{Address: logind.SystemBus}
	if m.system {
		r.User = strconv.Itoa(m.human) // whoever has no name has no finger either
		if u, err := user.LookupId(r.User); err == nil {
			r.User = u.Username
		}
	}
	return r
}

// finger is what a gesture by what was typed takes too, by the settings of this moment.
func (p *process) finger() (func(context.Context, func(string)) error, error) {
	c, err := config.Read(p.home.Config)
	if err != nil || !c.Fingerprint {
		return nil, err
	}
	return p.outside.reader.Verify, nil
}

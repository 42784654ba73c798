package daemon

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/config"
)

// verifier asks the system whether the human is there.
type verifier interface {
	// Verify returns nil where it says so, and an error for anything else. tell hears
	// what the human is to do.
	Verify(ctx context.Context, tell func(string)) error
}

// finger is what a gesture by what was typed takes too, by the settings of this moment.
func (p *process) finger() (func(context.Context, func(string)) error, error) {
	c, err := config.Read(p.home.Config)
	if err != nil || !c.Fingerprint {
		return nil, err
	}
	return p.outside.reader.Verify, nil
}

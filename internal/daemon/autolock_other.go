//go:build !linux

package daemon

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/away"
)

// listenOutside locks before a sleep, and when the screen is locked, as far as this
// system tells.
func (p *process) listenOutside(ctx context.Context) {
	away.Watch{Lock: p.lockFor, Say: func(s away.State) { p.outside.set(s.On(), s.Note) }}.Run(ctx)
}

//go:build !linux

package daemon

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/logind"
)

// listenOutside hears nothing here yet.
func (p *process) listenOutside(context.Context) {
	p.outside.set(logind.State{Note: "suspend, screen lock and logout are not heard on this system"})
}

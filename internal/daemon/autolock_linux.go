package daemon

import (
	"context"
	"os"
	"time"

	"github.com/thumbturn/thumbturn/internal/logind"
)

// listenOutside locks on suspend, and when the human's session is locked or ends.
func (p *process) listenOutside(ctx context.Context) {
	uid := os.Geteuid()
	if p.mode.system {
		uid = p.mode.human
	}
	logind.Watch{Address: logind.SystemBus, UID: uid, Lock: p.lockFor, Retry: 15 * time.Second, Say: func(s logind.State) {
		var on []string
		if s.Up {
			on = logind.Reasons()
		}
		p.outside.set(on, s.Note)
	}}.Run(ctx)
}

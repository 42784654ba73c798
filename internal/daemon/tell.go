package daemon

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/desktop"
)

// newDesktop is the desktop of the human who is served: by the address that sessions
// give their bus, and not by the environment, which whoever started us chose.
func (p *process) newDesktop() *desktop.Desktop {
	uid := os.Geteuid()
	if p.mode.system {
		uid = p.mode.human
	}
	return &desktop.Desktop{Address: fmt.Sprintf("unix:path=/run/user/%d/bus", uid), Page: func() (string, error) { return p.pages.Ticket("", "") }}
}

// tell tells the desktop what waits, as it changes, until ctx ends.
func (p *process) tell(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { p.outside.desktop.Run(ctx) })
	for {
		changed := p.account.Changed()
		var w desktop.Waiting
		for _, t := range p.server.Broker.Requests() {
			if t.State == approve.Pending {
				if w.Count++; w.Count == 1 { // the newest comes first
					w.Code = canon.ShortCode(t.Digest)
				}
			}
		}
		p.outside.desktop.Notify(w)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// told says whether the desktop is told of requests, and why not.
func (p *process) told() string {
	switch s := p.outside.desktop.State(); {
	case s.Note != "":
		return s.Note
	case s.Up:
		return "told of requests"
	}
	return "nothing to tell yet"
}

package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/desktop"
)

// look is how often the idle time is looked at, at least: a timer stands still in
// suspend, and the clocks that count do not. Meanwhile what is due counts as locked.
const look = 5 * time.Second

// outside is what is known of the system's own reasons to lock, the desktop that is
// told what waits, and the fingerprint reader.
type outside struct {
	desktop *desktop.Desktop
	reader  verifier

	mu   sync.Mutex
	on   []string // reasons that are heard
	note string   // what is missing; "" with no reason heard says that nothing is known yet
}

func (o *outside) set(on []string, note string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if note != "" && note != o.note {
		logf("automatic lock: %s", note)
	}
	o.on, o.note = on, note
}

// locks is that part of what status shows which comes from outside.
func (o *outside) locks() api.AutoLock {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.on) == 0 && o.note == "" {
		return api.AutoLock{Why: "the system has not been heard yet"}
	}
	return api.AutoLock{On: o.on, Why: o.note}
}

// unused locks when the vaults have been unused for too long.
func (p *process) unused(ctx context.Context) {
	t := time.NewTimer(look)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		p.lockFor(account.Idle)
		t.Reset(min(max(p.account.Left(), 100*time.Millisecond), look))
	}
}

// lockFor locks for a reason that nobody asked for, and has the process replaced.
func (p *process) lockFor(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), shutTime)
	defer cancel()
	did, err := p.account.LockFor(ctx, why)
	if err != nil {
		logf("lock (%s): %v", why, err) // the keys are gone all the same
	}
	if !did || err != nil {
		return
	}
	logf("locked: %s", why)
	p.quiet()
	p.finish(ending{again: true})
}

// after is how long the vaults may stay open unused. A setting that cannot be
// read opens nothing.
func (p *process) after() (time.Duration, error) {
	c, err := config.Read(p.home.Config)
	return c.LockAfter, err
}

// locks fills in what status shows of the automatic lock: what is in force, or,
// while locked, what will be.
func (p *process) locks(st *api.Status) {
	after, err := p.after()
	if err != nil {
		st.Warnings = append(st.Warnings, "unlock is refused, and so is a typed passphrase or PIN: "+err.Error())
	}
	if p.account.State() == api.StateUnlocked {
		after = p.account.After()
	}
	st.Locks = p.outside.locks()
	st.Locks.After = after.Milliseconds()
}

package latch

import (
	"context"
	"time"

	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// Dial is the part of a latch that doors may turn. Its parts are set once, by
// whoever makes it.
type Dial struct {
	latch  *Latch
	ledger *ledger.Ledger
	who    *identity.Registry
}

// NewDial returns the dial of a latch.
func NewDial(l *Latch, led *ledger.Ledger, who *identity.Registry) *Dial { return &Dial{l, led, who} }

// Used notes that a person uses the vaults. Deliveries count by themselves.
func (d *Dial) Used() { d.latch.Use() }

// Left is the time until the vaults lock, unless they are used.
func (d *Dial) Left() time.Duration { return d.latch.Left() }

// After is how long the open vaults may stay unused; zero is for ever.
func (d *Dial) After() time.Duration { return d.latch.After() }

// LockAfter chooses how long the open vaults may stay unused, from now on, and has
// keep write it down. Only a person may, or an agent would keep them open.
func (d *Dial) LockAfter(ctx context.Context, who identity.Caller, after time.Duration, keep func() error) error {
	const op = "lock after"
	if who.Kind() != identity.Person {
		return fault.New(fault.Denied, op, "", "only a person chooses when the vaults lock").WithHint("run it in a terminal that you unlocked")
	}
	if err := d.who.Recheck(who); err != nil {
		return err
	}
	text := after.String() + " unused"
	if after == 0 {
		text = "never"
	}
	if _, err := d.ledger.Append(ctx, ledger.Entry{Events: []canon.Event{{Type: canon.EventWrite, Action: op, Outcome: "written",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: text}}}); err != nil {
		return err
	}
	if err := keep(); err != nil {
		return err
	}
	if !d.latch.restart(after) {
		return open.ErrLocked
	}
	return nil
}

// restart is Begin for vaults that are still open.
func (l *Latch) restart(after time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut > 0 || l.left() <= 0 {
		return false
	}
	l.after = after
	l.mark()
	return true
}

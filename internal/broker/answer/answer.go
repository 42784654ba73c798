// Package answer is what people say to the requests that wait, beside a passkey's
// touch: yes by what they type, no, and an end to leave that they gave. It opens
// nothing that the request does not name, and delivers nothing.
package answer

import (
	"context"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/lease"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// Desk is where people answer. New makes one.
type Desk struct {
	g      *gate.Gate
	leases *lease.Keeper
}

// New returns the desk of a gate, and of the leases that were given with answers.
func New(g *gate.Gate, leases *lease.Keeper) *Desk { return &Desk{g, leases} }

// Answer is a person's yes to a request, as it was typed.
type Answer = gate.Answer

// Approve answers a request with what a person typed, who may give a lease with it.
func (d *Desk) Approve(ctx context.Context, who identity.Caller, id string, a Answer) error {
	return d.g.Approve(ctx, who, id, a)
}

// Deny refuses a request, or ends a lease. Both are always safe, so anybody of
// this user may.
func (d *Desk) Deny(ctx context.Context, who identity.Caller, id string) error {
	if ended, err := d.leases.Stop(ctx, id, gate.Did(who, canon.EventDecision, "", "denied", "", "", "")); ended {
		return err
	}
	return d.g.Deny(ctx, who, id)
}

// Refuse is Deny by the approval page, or with a time Mute.
func (d *Desk) Refuse(ctx context.Context, id string, mute time.Duration) error {
	if ended, err := d.leases.Stop(ctx, id, canon.Event{Type: canon.EventDecision, Outcome: "denied", Kind: "page"}); ended {
		return err
	}
	return d.g.Refuse(ctx, id, mute)
}

// Leases lists the live leases.
func (d *Desk) Leases(ctx context.Context) []lease.Listed { return d.leases.List(ctx) }

// Requests lists what waits for a person and what was answered lately.
func (d *Desk) Requests() []approve.Ticket { return d.g.Desk.List() }

// Request returns one request; while locked only one that waits for the vaults.
func (d *Desk) Request(id string) (approve.Ticket, error) {
	t, err := d.g.Desk.Get(id)
	if err == nil && !t.Unlock && !d.g.Book.Keys.Unlocked() && d.g.Book.Ledger.Held() == "" {
		return approve.Ticket{}, open.ErrLocked
	}
	return t, err
}

// MayRead refuses whoever may not list names: the ledger names everything.
func (d *Desk) MayRead(who identity.Caller) error { return d.g.Listing(who) }

// RefuseLocked records that something was asked for while locked. No policy
// runs: names cannot be resolved.
func (d *Desk) RefuseLocked(who identity.Caller, action string) {
	_ = d.g.Refused(who, action, open.ErrLocked)
}

package broker

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/broker/lease"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/policy"
)

// Reserve asks a person for a lease on what Release would do, and delivers nothing: an
// agent asks once for what it will need, before it needs it. Where nobody need be
// asked, because policy or a lease allows it already, it gives nothing, and says so
// by a zero Listed.
func (b *Broker) Reserve(ctx context.Context, who identity.Caller, want Want, to Sink) (lease.Listed, error) {
	r := &release{who: who, want: want, to: to, action: actionOf(to, want)}
	l, err := b.reserve(ctx, r)
	if err != nil {
		return l, b.refuse(r, err)
	}
	return l, nil
}

func (b *Broker) reserve(ctx context.Context, r *release) (lease.Listed, error) {
	var none lease.Listed
	if err := b.resolve(ctx, r); err != nil {
		return none, err
	}
	defer func() { r.gesture.Close() }()
	if err := b.describe(ctx, r); err != nil {
		return none, err
	}
	if err := b.decide(ctx, r); err != nil {
		return none, err
	}
	switch {
	case r.proof.Covers(r.digest):
	case r.verdict.Decision == policy.Allow:
		return none, nil
	case r.verdict.Lease <= 0 || !lease.Leasable(r.who, r.request):
		return none, fault.New(fault.Denied, "reserve", canon.Refs(r.subjects), "this can have no lease").
			WithHint("a policy may give one to an agent's `thumbturn run` in standard vaults: see docs/agents.md")
	}
	if err := b.human(ctx, r); err != nil {
		return none, err
	}
	if err := b.g.Who.Recheck(r.who); err != nil {
		return none, err
	}
	if err := b.g.Desk.Fresh(r.proof); err != nil {
		return none, err
	}
	given, ok := r.proof.Lease(r.digest)
	if !ok {
		return none, fault.New(fault.Denied, "reserve", canon.Refs(r.subjects), "it was approved without a lease: nothing was given").
			WithHint("on the page: Allow for …; at a terminal: thumbturn approve --lease 30m")
	}
	b.leases.OpenTask(ctx, r.who, r.request, given)
	wall, _ := given.End()
	return lease.Listed{Request: r.request, Until: wall, Left: given.Uses}, nil
}

package broker

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/lease"
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

func (b *Broker) reserve(ctx context.Context, r *release) (none lease.Listed, err error) {
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
	if !r.proof.Covers(r.digest) {
		if r.verdict.Decision == policy.Allow {
			return none, nil
		}
		if err := lease.May(r.who, r.request, r.verdict.Lease); err != nil {
			return none, err
		}
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
	done, ok := b.latch.Out() // a lease that is given while a lock begins ends with it
	if !ok {
		return none, open.ErrLocked
	}
	defer done()
	return b.leases.Give(ctx, r.who, r.request, r.want.File, r.proof, r.digest)
}

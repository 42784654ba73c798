package broker

import (
	"context"
	"time"

	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// windowLife is how long standard vaults stay readable in a terminal after a
// gesture for a reveal, and block how many uses are reserved at a time.
const (
	windowLife = 10 * time.Minute
	block      = 16
)

// lease is leave for many uses of one kind within one session: an end, and the
// uses that are already in the ledger. It holds no key and no value; every use
// passes Release.
type lease struct {
	id    string
	wall  time.Time
	boot  time.Duration
	block *ledger.Block
}

// Lease opens the reveal window of a caller's terminal session and returns its
// id. Only a person whose shell itself started the command gets one.
func (b *Broker) Lease(who identity.Caller, life time.Duration) string {
	if who.Kind() != identity.Person || !who.ParentIsLeader() {
		return ""
	}
	id, err := canon.NewID(b.g.Rand)
	if err != nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases[gate.Owner(who)] = &lease{id: id, wall: b.g.Clock.Now().Add(life), boot: b.g.Clock.SinceBoot() + life}
	return id
}

// live returns a caller's lease while it lasts on both clocks.
func (b *Broker) live(who identity.Caller) *lease {
	if who.Kind() != identity.Person || !who.ParentIsLeader() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.leases[gate.Owner(who)]
	if l != nil && (!b.g.Clock.Now().Before(l.wall) || b.g.Clock.SinceBoot() >= l.boot) {
		delete(b.leases, gate.Owner(who))
		return nil
	}
	return l
}

func (b *Broker) window(who identity.Caller) bool { return b.live(who) != nil }

// openWindow follows a reveal of standard vaults that a gesture approved.
func (b *Broker) openWindow(r *release) {
	if r.action == "reveal" && r.proof.Covers(r.digest) && len(canon.PresenceVaults(r.subjects)) == 0 {
		b.Lease(r.who, windowLife)
	}
}

// leaseUse takes one use out of the lease's block, reserving a new block with a
// durable event when the last is used up.
func (b *Broker) leaseUse(ctx context.Context, r *release) (ledger.Intent, bool) {
	if r.action != "reveal" || r.proof.Covers(r.digest) || len(canon.PresenceVaults(r.subjects)) > 0 {
		return ledger.Intent{}, false
	}
	l := b.live(r.who)
	if l == nil {
		return ledger.Intent{}, false
	}
	b.mu.Lock()
	blk := l.block
	b.mu.Unlock()
	if in, ok := blk.Use(r.digest); ok {
		return in, true
	}
	ev := b.event(r, canon.EventBlock, "reserved", "")
	ev.Uses, ev.Raw, ev.Digest = block, nil, nil
	blk, err := b.book.Ledger.Reserve(ctx, ev)
	if err != nil {
		return ledger.Intent{}, false
	}
	b.mu.Lock()
	l.block = blk
	b.mu.Unlock()
	return blk.Use(r.digest)
}

// Revoke ends a lease by id.
func (b *Broker) Revoke(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, l := range b.leases {
		if l.id == id {
			delete(b.leases, k)
			return true
		}
	}
	return false
}

// Ended drops every lease, lets no delivery begin, and waits for those under way
// as long as ctx lets it: at lock. The returned function is called once the keys are
// gone, and ends what waits for a person.
func (b *Broker) Ended(ctx context.Context) (gone func()) {
	open := b.latch.Shut(ctx)
	b.mu.Lock()
	b.leases = map[string]*lease{} // after the last delivery, which may have opened one
	b.mu.Unlock()
	return func() {
		b.g.Desk.Clear() // whoever hears that it is locked may rely on it; gate.Ask ends what comes later
		open()
	}
}

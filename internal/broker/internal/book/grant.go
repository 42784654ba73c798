package book

import (
	"sort"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// leave is a grant as its latest statement leaves it.
type leave struct {
	canon.Grant
	boot time.Duration // its end since boot, as it looked when it was read
}

// takeGrant applies a grant, or its end. Nobody without the root key makes a
// grant; anybody may end one, and an ended one stays so.
func (b *Book) takeGrant(s ledger.Signed, signed bool) error {
	var g canon.Grant
	if err := canon.Decode(s.Payload, &g); err != nil || g.V != 1 || g.ID != s.Subject {
		return bad(s.Subject, "malformed grant")
	}
	if v := b.vaults[g.Vault]; v == nil || g.Epoch > v.Epoch {
		return bad(s.Subject, "the grant's vault is unknown")
	}
	old, known := b.grants[g.ID]
	switch {
	case !known && (!signed || s.Version != 1):
		return bad(s.Subject, "a grant that no gesture made")
	case known && (old.Revoked || !g.Revoked):
		return bad(s.Subject, "a grant is followed by its end and by nothing else")
	case known: // of an end nothing else counts
		old.Revoked = true
		b.grants[g.ID] = old
		return nil
	}
	left := time.UnixMilli(g.Until).Sub(b.Clock.Now())
	b.grants[g.ID] = leave{g, b.Clock.SinceBoot() + left}
	return nil
}

// Live reports whether a grant is there, not taken back, and in its time: by the
// wall clock, and by the time since boot, which goes on in suspend and which
// nobody sets.
func (b *Book) Live(id string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	g, ok := b.grants[id]
	now := b.Clock.Now().UnixMilli()
	return ok && !g.Revoked && now >= g.Created && now < g.Until && b.Clock.SinceBoot() < g.boot
}

// Grants returns all grants, the oldest first.
func (b *Book) Grants() []canon.Grant {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []canon.Grant
	for _, g := range b.grants {
		out = append(out, g.Grant)
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Created < out[j].Created || out[i].Created == out[j].Created && out[i].ID < out[j].ID
	})
	return out
}

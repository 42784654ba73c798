package book

import (
	"context"
	"sort"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Grant is a grant as its latest statement leaves it. Terms are empty where they
// do not open, as those of a deleted vault: such a grant covers nothing.
type Grant struct {
	canon.Grant
	Terms canon.GrantTerms
	boot  time.Duration // its end since boot, as it looked when it was read
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
	old := b.grants[g.ID]
	switch {
	case old == nil && (!signed || s.Version != 1):
		return bad(s.Subject, "a grant that no gesture made")
	case old != nil && (old.Revoked || !g.Revoked):
		return bad(s.Subject, "a grant is followed by its end and by nothing else")
	case old != nil:
		ended := *old
		ended.Revoked = true
		b.grants[g.ID] = &ended
		return nil
	}
	left := time.UnixMilli(g.Until).Sub(b.Clock.Now())
	b.grants[g.ID] = &Grant{Grant: g, boot: b.Clock.SinceBoot() + left}
	return nil
}

// Live reports whether a grant is there, not taken back, and in its time: by the
// wall clock, and by the time since boot, which goes on in suspend and which
// nobody sets.
func (b *Book) Live(id string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	g := b.grants[id]
	now := b.Clock.Now().UnixMilli()
	return g != nil && !g.Revoked && now >= g.Created && now < g.Until && b.Clock.SinceBoot() < g.boot
}

// Grants returns all grants, the oldest first, with what they pin.
func (b *Book) Grants() []Grant {
	b.mu.RLock()
	out := make([]Grant, 0, len(b.grants))
	for _, g := range b.grants {
		out = append(out, *g)
	}
	account := b.genesis.Account
	b.mu.RUnlock()
	for i := range out {
		g := &out[i]
		text, err := b.Keys.Meta(grantContext(account, g.Grant), g.Grant.Terms)
		if err != nil || canon.Decode(text, &g.Terms) != nil {
			g.Terms = canon.GrantTerms{}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Created != out[j].Created {
			return out[i].Created < out[j].Created
		}
		return out[i].ID < out[j].ID
	})
	return out
}

func grantContext(account string, g canon.Grant) sealed.Context {
	return sealed.Context{Type: sealed.TypeGrant, Account: account, Vault: g.Vault, Epoch: g.Epoch, Item: g.ID}
}

// NewGrant seals what a grant pins under the index key of its first field's
// vault, and has the root key sign it.
func (b *Book) NewGrant(root func([]byte) ([]byte, error), g canon.Grant, t canon.GrantTerms) (ledger.Signed, error) {
	seal, err := b.Keys.IndexSealer(g.Vault)
	if err != nil {
		return ledger.Signed{}, err
	}
	if g.Terms, err = sealed.Meta(seal, grantContext(b.Genesis().Account, g), canon.Encode(t)); err != nil {
		return ledger.Signed{}, err
	}
	return b.Sign(root, canon.TypeGrant, g.ID, g)
}

// EndGrant writes the end of a grant.
func (b *Book) EndGrant(ctx context.Context, g Grant, ev canon.Event) error {
	end := g.Grant
	end.Revoked = true
	s := b.Next(canon.TypeGrant, g.ID, end)
	_, err := b.Write(ctx, ledger.Entry{Statements: []ledger.Signed{{Statement: s}}, Events: []canon.Event{ev}})
	return err
}

package grant

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Grant is a grant with what it pins. Terms are empty where they do not open, as
// those of a deleted vault: such a grant covers nothing.
type Grant struct {
	canon.Grant
	Terms canon.GrantTerms
}

// all returns the grants, the oldest first, with what they pin.
func (k *Keeper) all() []Grant {
	var out []Grant
	for _, g := range k.g.Book.Grants() {
		x := Grant{Grant: g}
		text, err := k.g.Book.Keys.Meta(k.place(g), g.Terms)
		if err != nil || canon.Decode(text, &x.Terms) != nil {
			x.Terms = canon.GrantTerms{}
		}
		out = append(out, x)
	}
	return out
}

// place binds what a grant pins to the grant.
func (k *Keeper) place(g canon.Grant) sealed.Context {
	return sealed.Context{Type: sealed.TypeGrant, Account: k.g.Book.Genesis().Account, Vault: g.Vault, Epoch: g.Epoch, Item: g.ID}
}

// statement seals what a grant pins under the index key of its vault, and has
// the root key sign the grant.
func (k *Keeper) statement(root func([]byte) ([]byte, error), g canon.Grant, t canon.GrantTerms) (ledger.Signed, error) {
	seal, err := k.g.Book.Keys.IndexSealer(g.Vault)
	if err != nil {
		return ledger.Signed{}, err
	}
	if g.Terms, err = sealed.Meta(seal, k.place(g), canon.Encode(t)); err != nil {
		return ledger.Signed{}, err
	}
	return k.g.Book.Sign(root, canon.TypeGrant, g.ID, g)
}

// end writes the end of a grant. It needs no signature.
func (k *Keeper) end(ctx context.Context, g Grant, ev canon.Event) error {
	over := g.Grant
	over.Revoked = true
	s := k.g.Book.Next(canon.TypeGrant, g.ID, over)
	_, err := k.g.Book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{{Statement: s}}, Events: []canon.Event{ev}})
	return err
}

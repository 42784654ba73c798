package vault

import (
	"context"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/past"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// Purge erases the sealed values of a deleted item from the database, after a
// gesture and by a signed statement. Nothing brings them back but a backup. It
// returns how many blobs were named for it.
func (b *Custody) Purge(ctx context.Context, who identity.Caller, a gate.Ask, vault, item string) (int, error) {
	if err := b.g.Listing(who); err != nil {
		return 0, err
	}
	it, err := b.g.Book.Away(ctx, canon.StateDeleted, "item purge", vault, item)
	if err != nil {
		return 0, err
	}
	lines := []string{fmt.Sprintf("purge deleted item %s/%s: its sealed values are erased for good", it.Vault.Title, it.Meta.Title)}
	req, g, err := b.g.Gesture(ctx, who, a, gate.Act{Action: "delete", Vault: it.Vault, Lines: lines, Change: []string{"purge", it.ID, fmt.Sprint(it.Version)}})
	if err != nil {
		return 0, b.g.Refused(who, "purge", err)
	}
	defer g.Close()
	// Minutes may have passed: what is erased is what is deleted now.
	now, err := b.g.Book.Away(ctx, canon.StateDeleted, "item purge", it.Vault.ID, it.ID)
	if err != nil {
		return 0, err
	}
	if now.Version != it.Version {
		return 0, fault.New(fault.Conflict, "item purge", it.Meta.Title, "it was changed meanwhile").WithHint("ask again")
	}
	e, err := past.Purge(ctx, b.g.Book, it)
	if err != nil {
		return 0, err
	}
	s := past.PurgeStatement(b.g.Book, it)
	sig, err := g.Root().Sign(s.Body())
	if err != nil {
		return 0, err
	}
	e.Statements, e.Consume = []ledger.Signed{{Statement: s, Sig: sig}}, []string{req.ID}
	e.Events = []canon.Event{gate.Did(who, canon.EventWrite, "purge", "written", it.Vault.ID, it.ID, "")}
	_, err = b.g.Book.Write(ctx, e)
	return len(e.Erase), err
}

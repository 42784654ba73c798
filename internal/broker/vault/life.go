package vault

import (
	"context"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/past"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/ref"
)

// Revision is one revision of an item's past.
type Revision = past.Revision

// Delete writes an item's tombstone, after a gesture. An item in the archive is
// found as well.
func (b *Custody) Delete(ctx context.Context, who identity.Caller, a gate.Ask, vault, item string) error {
	it, err := b.Get(ctx, who, "item delete", vault, item)
	if fault.Is(err, fault.NotFound) {
		if away, e := b.g.Book.Away(ctx, canon.StateArchived, "item delete", vault, item); e == nil {
			it, err = away, nil
		}
	}
	if err != nil {
		return err
	}
	return b.govern(ctx, who, a, "delete", it, func() (*book.Draft, error) { return b.g.Book.Tombstone(it, writer(who)) })
}

// Archive puts an item away, after a gesture: no reference finds it until it is
// brought back.
func (b *Custody) Archive(ctx context.Context, who identity.Caller, a gate.Ask, vault, item string) error {
	it, err := b.Get(ctx, who, "item archive", vault, item)
	if err != nil {
		return err
	}
	return b.govern(ctx, who, a, "archive", it, func() (*book.Draft, error) {
		return b.g.Book.Moved(it, canon.StateArchived, writer(who))
	})
}

// Unarchive brings an item back, after a gesture. A title that was taken in the
// meantime is then there twice; references to it are ambiguous and say so.
func (b *Custody) Unarchive(ctx context.Context, who identity.Caller, a gate.Ask, vault, item string) error {
	if err := b.g.Listing(who); err != nil {
		return err
	}
	it, err := b.g.Book.Away(ctx, canon.StateArchived, "item unarchive", vault, item)
	if err != nil {
		return err
	}
	return b.govern(ctx, who, a, "unarchive", it, func() (*book.Draft, error) {
		return b.g.Book.Moved(it, canon.StateCurrent, writer(who))
	})
}

// govern writes what takes a person's gesture whatever the item holds. verb is
// what the person reads; the policy knows all three as "delete".
func (b *Custody) govern(ctx context.Context, who identity.Caller, a gate.Ask, verb string, it *Item, draft func() (*book.Draft, error)) error {
	lines := []string{verb + " item " + it.Vault.Title + "/" + it.Meta.Title}
	req, g, err := b.g.Gesture(ctx, who, a, gate.Act{Action: "delete", Vault: it.Vault, Lines: lines, Change: []string{verb, it.ID, fmt.Sprint(it.Version)}})
	if err != nil {
		return b.g.Refused(who, "delete", err)
	}
	defer g.Close()
	d, err := draft()
	if err != nil {
		return err
	}
	sig, err := g.Root().Sign(d.Statement.Body())
	if err != nil {
		return err
	}
	_, err = b.g.Book.Commit(ctx, d, sig, gate.Did(who, canon.EventWrite, verb, "written", it.Vault.ID, it.ID, ""), req.ID)
	return err
}

// Away returns an item of the archive, where the caller may list names.
func (b *Custody) Away(ctx context.Context, who identity.Caller, op, vault, item string) (*Item, error) {
	if err := b.g.Listing(who); err != nil {
		return nil, err
	}
	return b.g.Book.Away(ctx, canon.StateArchived, op, vault, item)
}

// History gives an item's revisions, oldest first, without their values.
func (b *Custody) History(ctx context.Context, who identity.Caller, vault, item string) ([]Revision, error) {
	it, err := b.Get(ctx, who, "item history", vault, item)
	if err != nil {
		return nil, err
	}
	return past.History(ctx, b.g.Book, it)
}

// Revert makes an old revision's fields and values the current ones, as a new
// revision. A person may; a title or an address that changes by it needs a
// gesture.
func (b *Custody) Revert(ctx context.Context, who identity.Caller, a gate.Ask, vault, item string, version int64) (Written, error) {
	it, err := b.Get(ctx, who, "item revert", vault, item)
	if err != nil {
		return Written{}, err
	}
	if err := b.may(who, "edit", it.Vault, it); err != nil {
		return Written{}, b.g.Refused(who, "edit", err)
	}
	all, err := past.History(ctx, b.g.Book, it)
	if err != nil {
		return Written{}, err
	}
	old, err := past.At(all, version, it)
	if err != nil {
		return Written{}, err
	}
	d, err := b.g.Book.Reverted(it, &old.Item, writer(who))
	if err != nil {
		return Written{}, err
	}
	return b.commit(ctx, who, a, "revert", fmt.Sprintf("revert to revision %d", version), it.Vault, it, d)
}

// Decide makes what an agent proposed the current value, or drops it. field is
// a field's id or label; empty means all that waits.
func (b *Custody) Decide(ctx context.Context, who identity.Caller, a gate.Ask, vault, item, field string, accept bool) (Written, error) {
	it, err := b.Get(ctx, who, "item activate", vault, item)
	if err != nil {
		return Written{}, err
	}
	if err := b.may(who, "edit", it.Vault, it); err != nil {
		return Written{}, b.g.Refused(who, "edit", err)
	}
	for _, f := range it.Meta.Fields {
		if field != "" && ref.Fold(f.Label) == ref.Fold(field) {
			field = f.ID
			break
		}
	}
	d, err := b.g.Book.Decided(it, field, accept, writer(who))
	if err != nil {
		return Written{}, err
	}
	action := "reject"
	if accept {
		action = "activate"
	}
	return b.commit(ctx, who, a, action, action, it.Vault, it, d)
}

package book

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// Revision is one manifest of an item's past, with its metadata opened.
type Revision struct {
	Item    // in the vault where it was
	Current bool
}

// History gives an item's revisions, oldest first. Their values stay shut: only
// what the latest manifest names is ever opened.
func (b *Book) History(ctx context.Context, it *Item) ([]Revision, error) {
	var all []Revision
	err := b.Ledger.Statements(ctx, func(_ int64, s ledger.Signed, _ []byte) error {
		if s.Type != canon.TypeItem || s.Subject != it.ID {
			return nil
		}
		r := Revision{Item: Item{ID: it.ID, Version: s.Version, Vault: it.Vault}, Current: s.Version == it.Version}
		if err := canon.Decode(s.Payload, &r.Item.Item); err != nil {
			return bad(it.ID, "malformed manifest")
		}
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		r := &all[i]
		v, err := b.Vault("item history", r.Item.Item.Vault)
		if err != nil {
			return nil, err
		}
		r.Vault = v
		raw, err := b.Fetch(ctx, r.Item.Item.Meta, it.ID)
		if err != nil {
			return nil, err
		}
		text, err := b.Keys.Meta(b.metaContext(b.Genesis().Account, &r.Item), raw)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &r.Item.Meta); err != nil {
			return nil, bad(it.ID, "malformed metadata")
		}
	}
	return all, nil
}

// At picks a revision that can be gone back to: one in the vault where the item
// is now.
func At(all []Revision, version int64, it *Item) (*Revision, error) {
	for i := range all {
		r := &all[i]
		if r.Version != version || r.State != canon.StateCurrent {
			continue
		}
		if r.Vault.ID != it.Vault.ID {
			return nil, fault.New(fault.Conflict, "item", it.Meta.Title, "that revision was in another vault, under whose key its values are sealed")
		}
		return r, nil
	}
	return nil, fault.New(fault.NotFound, "item", it.Meta.Title, fmt.Sprintf("it has no revision %d", version)).
		WithHint("`thumbturn item history` lists them")
}

// Archived finds an item that was put away, by title or id.
func (b *Book) Archived(ctx context.Context, op, vault, name string) (*Item, error) {
	var ids []string
	for _, v := range b.Vaults() {
		if vault != "" && v.ID != vault && Fold(v.Title) != Fold(vault) {
			continue
		}
		tag, err := b.Keys.Tag(v.ID, "title", Fold(name))
		if err != nil {
			return nil, err
		}
		b.mu.RLock()
		for id, e := range b.items {
			if e.head.Vault == v.ID && e.head.State == canon.StateArchived && (id == name || e.head.Title == tag) {
				ids = append(ids, id)
			}
		}
		b.mu.RUnlock()
	}
	switch len(ids) {
	case 1:
		return b.Item(ctx, ids[0])
	case 0:
		return nil, fault.New(fault.NotFound, op, name, fmt.Sprintf("%q isn't in the archive", name)).
			WithHint("`thumbturn item list --archived` shows what is")
	}
	return nil, fault.New(fault.Ambiguous, op, name, "several of that title are in the archive").
		WithHint("use the id: `thumbturn item list --archived` shows it")
}

// EachArchived opens the items of the archive.
func (b *Book) EachArchived(ctx context.Context, vault string, each func(*Item) error) error {
	var ids []string
	b.mu.RLock()
	for id, e := range b.items {
		if e.head.State == canon.StateArchived && (vault == "" || e.head.Vault == vault) {
			ids = append(ids, id)
		}
	}
	b.mu.RUnlock()
	for _, id := range ids {
		it, err := b.Item(ctx, id)
		if err == nil {
			err = each(it)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Moved lays out the manifest that puts an item into the archive, or brings it
// back. It names the same records.
func (b *Book) Moved(it *Item, to canon.State, writer string) (*Draft, error) {
	m := it.Item
	m.State, m.Writer = to, writer
	d := &Draft{ID: it.ID, Meta: it.Meta, Statement: b.Next(canon.TypeItem, it.ID, m)}
	return d, b.needsRoot(d, m)
}

// Reverted lays out a new revision that names what an old one named. What an
// agent proposed meanwhile goes on waiting.
func (b *Book) Reverted(it *Item, old *Revision, writer string) (*Draft, error) {
	m := old.Item.Item
	m.State, m.Writer, m.Pending = canon.StateCurrent, writer, it.Pending
	d := &Draft{ID: it.ID, Meta: old.Meta, Statement: b.Next(canon.TypeItem, it.ID, m)}
	return d, b.needsRoot(d, m)
}

// Decided lays out the manifest in which the waiting value of a field, or of all
// fields when field is empty, is the current one, or is gone.
func (b *Book) Decided(it *Item, field string, accept bool, writer string) (*Draft, error) {
	m := it.Item
	m.Writer = writer
	m.Records = append([]canon.FieldHash(nil), it.Records...)
	decided := 0
	if it.Pending != nil {
		for _, r := range it.Pending.Values {
			if field != "" && r.Field != field {
				continue
			}
			decided++
			m.Pending = proposalWithout(m.Pending, r.Field)
			if accept {
				m.Records = sorted(append(without(m.Records, r.Field), r))
			}
		}
	}
	if decided == 0 {
		return nil, fault.New(fault.NotFound, "item", it.Meta.Title, "no proposed value waits there")
	}
	d := &Draft{ID: it.ID, Meta: it.Meta, Statement: b.Next(canon.TypeItem, it.ID, m)}
	return d, b.needsRoot(d, m)
}

// proposalWithout is p without a field's value; nil when none is left.
func proposalWithout(p *canon.Proposal, field string) *canon.Proposal {
	if p == nil {
		return nil
	}
	rest := *p
	if rest.Values = without(p.Values, field); len(rest.Values) == 0 {
		return nil
	}
	return &rest
}

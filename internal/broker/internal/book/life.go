package book

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

// Away finds an item that is in a state other than current, archived or deleted,
// by title or id, in one vault or in all.
func (b *Book) Away(ctx context.Context, state canon.State, op, vault, name string) (*Item, error) {
	if vault != "" {
		v, err := b.Vault(op, vault)
		if err != nil {
			return nil, err
		}
		vault = v.ID
	}
	ids, err := b.Named(name, func(h canon.ItemHead) bool { return h.State == state && (vault == "" || h.Vault == vault) })
	if err != nil {
		return nil, err
	}
	switch {
	case len(ids) == 1:
		return b.Item(ctx, ids[0])
	case len(ids) > 1:
		return nil, fault.New(fault.Ambiguous, op, name, fmt.Sprintf("more than one %s item matches %q", state, name)).
			WithHint("use the id: " + strings.Join(ids, ", "))
	case state == canon.StateArchived:
		return nil, fault.New(fault.NotFound, op, name, fmt.Sprintf("%q isn't in the archive", name)).
			WithHint("`thumbturn item list --archived` shows what is")
	}
	return nil, fault.New(fault.NotFound, op, name, fmt.Sprintf("%q isn't a deleted item", name)).
		WithHint("delete it first with `thumbturn item delete`")
}

// Named gives the ids, in order, of the items of that title or id, also of those
// that are not current, as far as their heads are wanted.
func (b *Book) Named(name string, want func(canon.ItemHead) bool) ([]string, error) {
	var ids []string
	for _, v := range b.Vaults() {
		tag, err := b.Keys.Tag(v.ID, "title", ref.Fold(name))
		if err != nil {
			return nil, err
		}
		b.mu.RLock()
		for id, e := range b.items {
			if e.head.Vault == v.ID && (id == name || e.head.Title == tag) && want(e.head) {
				ids = append(ids, id)
			}
		}
		b.mu.RUnlock()
	}
	sort.Strings(ids)
	return ids, nil
}

// OpenMeta opens the metadata that an item's manifest names.
func (b *Book) OpenMeta(ctx context.Context, it *Item) error {
	raw, err := b.Fetch(ctx, it.Item.Meta, it.ID)
	if err != nil {
		return err
	}
	text, err := b.Keys.Meta(b.metaContext(b.Genesis().Account, it), raw)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &it.Meta); err != nil {
		return bad(it.ID, "malformed metadata")
	}
	return nil
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
	sort.Strings(ids)
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

// draft lays out a manifest that seals no value: metadata alone, with its new date.
func (b *Book) draft(it *Item, meta Meta, m canon.Item) (*Draft, error) {
	d := &Draft{ID: it.ID, Meta: meta}
	d.Meta.Updated = b.Now().UnixMilli()
	err := b.seal(d, &m, it)
	if err == nil {
		d.Statement, err = b.next(it, m)
	}
	return d, errors.Join(err, b.needsRoot(d, m))
}

// Moved lays out the manifest that puts an item into the archive, or brings it
// back. It names the same records.
func (b *Book) Moved(it *Item, to canon.State, writer string) (*Draft, error) {
	m := it.Item
	m.State, m.Writer = to, writer
	return b.draft(it, it.Meta, m)
}

// Reverted lays out a new revision that names what an old one named. What an
// agent proposed meanwhile goes on waiting.
func (b *Book) Reverted(it *Item, old *Item, writer string) (*Draft, error) {
	m := old.Item
	m.State, m.Writer, m.Pending = canon.StateCurrent, writer, it.Pending
	return b.draft(it, old.Meta, m)
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
	return b.draft(it, it.Meta, m)
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

package book

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store"
)

// Archived finds a deleted item by title or id, in one vault or in all.
func (b *Book) Archived(ctx context.Context, op, vault, name string) (*Item, error) {
	if vault != "" {
		v, err := b.Vault(op, vault)
		if err != nil {
			return nil, err
		}
		vault = v.ID
	}
	var ids []string
	b.mu.RLock()
	for id, e := range b.items {
		if e.head.State == canon.StateArchived && (vault == "" || e.head.Vault == vault) {
			ids = append(ids, id)
		}
	}
	b.mu.RUnlock()
	sort.Strings(ids)
	var hit []*Item
	var list []string
	for _, id := range ids {
		it, err := b.Item(ctx, id)
		if err != nil {
			return nil, err
		}
		if id == name {
			return it, nil
		}
		if Fold(it.Meta.Title) == Fold(name) {
			hit, list = append(hit, it), append(list, id)
		}
	}
	switch len(hit) {
	case 1:
		return hit[0], nil
	case 0:
		return nil, fault.New(fault.NotFound, op, name, fmt.Sprintf("%q isn't a deleted item", name)).WithHint("delete it first with `thumbturn item delete`")
	}
	return nil, fault.New(fault.Ambiguous, op, name, fmt.Sprintf("more than one deleted item matches %q", name)).WithHint("use the id: " + strings.Join(list, ", "))
}

// Purge lays out the erasure of all that earlier manifests of a deleted item
// named: its sealed values and former metadata. What is erased is found by the
// statements, not by the store's own columns, and nothing that a latest manifest
// names is among it. The entry has no statement yet; PurgeStatement gives it.
func (b *Book) Purge(ctx context.Context, it *Item) (ledger.Entry, error) {
	var e ledger.Entry
	keep := map[canon.Hash]bool{}
	if err := b.Records(ctx, func(h canon.Hash, _ string) error { keep[h] = true; return nil }); err != nil {
		return e, err
	}
	seen := map[canon.Hash]bool{}
	err := b.Store.Statements(ctx, 0, func(row store.Statement) error {
		s, err := canon.ParseStatement(row.Body)
		if err != nil || s.Type != canon.TypeItem || s.Subject != it.ID {
			return err
		}
		var m canon.Item
		if err := canon.Decode(s.Payload, &m); err != nil {
			return bad(it.ID, "malformed manifest")
		}
		all := append([]canon.FieldHash{{Hash: m.Meta}}, m.Records...)
		if m.Pending != nil {
			all = append(all, m.Pending.Values...)
		}
		for _, r := range all {
			if !keep[r.Hash] && !seen[r.Hash] {
				seen[r.Hash] = true
				e.Erase = append(e.Erase, store.Hash(r.Hash))
			}
		}
		return nil
	})
	return e, err
}

// PurgedSetting is the name of the setting that says that an item was purged.
func PurgedSetting(item string) string { return "purged-" + item }

// PurgeStatement lays out the statement that says up to which version of its
// manifest an item's blobs are erased.
func (b *Book) PurgeStatement(it *Item) canon.Statement {
	name := PurgedSetting(it.ID)
	return b.Next(canon.TypeSetting, name, canon.Setting{V: 1, Name: name, Value: strconv.FormatInt(it.Version, 10)})
}

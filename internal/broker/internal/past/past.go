// Package past is what the statements tell of an item's earlier revisions: its
// history, and what is erased of it for good.
package past

import (
	"context"
	"fmt"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/pieces"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store"
)

func malformed(item string) error {
	return fault.New(fault.Tampered, "replay", item, "malformed manifest")
}

// Revision is one manifest of an item's past, with its metadata opened.
type Revision struct {
	book.Item // in the vault where it was
	Current   bool
}

// History gives an item's revisions, oldest first. Their values stay shut: only
// what the latest manifest names is ever opened.
func History(ctx context.Context, b *book.Book, it *book.Item) ([]Revision, error) {
	var all []Revision
	err := b.Ledger.Statements(ctx, func(_ int64, s ledger.Signed, _ []byte) error {
		if s.Type != canon.TypeItem || s.Subject != it.ID {
			return nil
		}
		r := Revision{Item: book.Item{ID: it.ID, Version: s.Version, Vault: it.Vault}, Current: s.Version == it.Version}
		if err := canon.Decode(s.Payload, &r.Item.Item); err != nil {
			return malformed(it.ID)
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
		if err := b.OpenMeta(ctx, &r.Item); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// At picks a revision that can be gone back to: one in the vault where the item
// is now.
func At(all []Revision, version int64, it *book.Item) (*Revision, error) {
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

// Purge lays out the erasure of all that earlier manifests of a deleted item
// named: its sealed values and former metadata. What is erased is found by the
// statements, not by the store's own columns, and nothing that a latest manifest
// names is among it. The entry has no statement yet; PurgeStatement gives it.
func Purge(ctx context.Context, b *book.Book, it *book.Item) (ledger.Entry, error) {
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
			return malformed(it.ID)
		}
		for _, r := range append([]canon.FieldHash{{Hash: m.Meta}}, m.Values()...) {
			if keep[r.Hash] || seen[r.Hash] {
				continue
			}
			seen[r.Hash] = true
			listed, err := pieces.Of(ctx, b.Store, r.Hash)
			if err != nil {
				return err
			}
			e.Erase = append(append(e.Erase, store.Hash(r.Hash)), listed...)
		}
		return nil
	})
	return e, err
}

// PurgedSetting is the name of the setting that says that an item was purged.
func PurgedSetting(item string) string { return "purged-" + item }

// PurgeStatement lays out the statement that says up to which version of its
// manifest an item's blobs are erased.
func PurgeStatement(b *book.Book, it *book.Item) canon.Statement {
	name := PurgedSetting(it.ID)
	return b.Next(canon.TypeSetting, name, canon.Setting{V: 1, Name: name, Value: strconv.FormatInt(it.Version, 10)})
}

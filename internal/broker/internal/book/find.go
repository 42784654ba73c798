package book

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/ref"
)

// Meta is the metadata of an item: everything but concealed values. It is one
// padded blob per revision, sealed under the vault's index key.
type Meta struct {
	V        int      `json:"v"`
	Title    string   `json:"title"`
	Category string   `json:"category"`
	Tags     []string `json:"tags,omitempty"`
	URLs     []string `json:"urls,omitempty"`
	Fields   []Field  `json:"fields"`
	Created  int64    `json:"created"`
	Updated  int64    `json:"updated"`
	Expires  int64    `json:"expires,omitempty"` // unix milliseconds; 0 is never
}

// Field describes a field. Text is the value of one that is not concealed.
type Field struct {
	ID        string `json:"id"`
	Section   string `json:"section,omitempty"`
	Label     string `json:"label"`
	Type      string `json:"type"`
	Purpose   string `json:"purpose,omitempty"`
	Concealed bool   `json:"concealed"`
	Text      string `json:"text,omitempty"`
	Size      int64  `json:"size,omitempty"` // bytes of the value
}

// Item is an item's latest manifest with its metadata opened.
type Item struct {
	canon.Item
	ID      string
	Version int64
	Vault   *Vault
	Meta    Meta
}

// Vaults returns the vaults in order of their names.
func (b *Book) Vaults() []Vault {
	out := slices.DeleteFunc(b.Descriptors(), func(v Vault) bool { return v.Deleted })
	sort.SliceStable(out, func(i, j int) bool { return ref.Fold(out[i].Title) < ref.Fold(out[j].Title) })
	return out
}

// Count returns the numbers of vaults and current items.
func (b *Book) Count() (n api.Counts) {
	for _, v := range b.Vaults() {
		n.Vaults++
		n.Items += v.Items
	}
	return n
}

// Vault finds a vault by name or id.
func (b *Book) Vault(op, name string) (*Vault, error) {
	var hit []Vault
	b.mu.RLock()
	for _, v := range b.vaults {
		if !v.Deleted && (v.ID == name || ref.Fold(v.Title) == ref.Fold(name)) {
			hit = append(hit, *v)
		}
	}
	b.mu.RUnlock()
	switch len(hit) {
	case 1:
		return &hit[0], nil
	case 0:
		var names []string
		for _, v := range b.Vaults() {
			names = append(names, v.Title)
		}
		e := fault.New(fault.NotFound, op, name, fmt.Sprintf("%q isn't a vault in this account", name))
		return nil, suggest(e, name, names, "thumbturn vault list")
	}
	var list []string
	for _, v := range hit {
		list = append(list, v.Title+": "+v.ID)
	}
	sort.Strings(list)
	return nil, fault.New(fault.Ambiguous, op, name, fmt.Sprintf("more than one vault matches %q", name)).WithHint("use the id: " + strings.Join(list, ", "))
}

// suggest names the nearest candidate, or the command that lists them.
func suggest(e *fault.Error, name string, candidates []string, list string) error {
	if s := ref.Suggest(name, candidates); s != "" {
		return e.WithHint(fmt.Sprintf("did you mean %q?", s))
	}
	return e.WithHint("`" + list + "` shows what there is")
}

// Find finds an item by title or id and opens its metadata; without a vault it
// looks in all of them. Where there is none it suggests the nearest title.
func (b *Book) Find(ctx context.Context, op, vault, name string) (*Item, error) {
	if vault != "" {
		it, err := b.Seek(ctx, op, vault, name)
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.NotFound && e.Hint == "" {
			return nil, b.nearest(ctx, e, vault, name)
		}
		return it, err
	}
	var hit []*Item
	var at []string
	for _, v := range b.Vaults() {
		it, err := b.Seek(ctx, op, v.ID, name)
		if err == nil {
			hit, at = append(hit, it), append(at, v.Title)
		} else if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	switch len(hit) {
	case 1:
		return hit[0], nil
	case 0:
		return nil, b.nearest(ctx, fault.New(fault.NotFound, op, name, fmt.Sprintf("%q isn't an item", name)), "", name)
	}
	return nil, fault.New(fault.Ambiguous, op, name, fmt.Sprintf("more than one item matches %q", name)).
		WithHint("say which vault with --vault: " + strings.Join(at, ", "))
}

// Seek is Find in one vault for those who expect to find nothing: it opens no
// other item.
func (b *Book) Seek(ctx context.Context, op, vault, name string) (*Item, error) {
	v, err := b.Vault(op, vault)
	if err != nil {
		return nil, err
	}
	tag, err := b.Keys.Tag(v.ID, "title", ref.Fold(name))
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	ids := append([]string(nil), b.titles[v.ID][tag]...)
	if e := b.items[name]; e != nil && e.head.Vault == v.ID && e.head.State == canon.StateCurrent {
		ids = []string{name}
	}
	b.mu.RUnlock()
	at := v.Title + "/" + name
	switch len(ids) {
	case 1:
		return b.Item(ctx, ids[0])
	case 0:
		return nil, fault.New(fault.NotFound, op, at, fmt.Sprintf("%q isn't an item in the %q vault", name, v.Title))
	}
	sort.Strings(ids)
	for i, id := range ids {
		ids[i] = ref.Ref{Vault: v.Title, Item: id}.Vault + "/" + id
	}
	return nil, fault.New(fault.Ambiguous, op, at, fmt.Sprintf("more than one item matches %q", name)).
		WithHint("specify the item by its id: op://" + strings.Join(ids, "/…, op://") + "/…")
}

// candidates is how many titles are looked at for a suggestion: a typing error
// must not open a hundred thousand items.
const candidates = 2000

var errEnough = errors.New("book: enough")

// nearest suggests a title of one vault, or of any where none is named.
func (b *Book) nearest(ctx context.Context, e *fault.Error, vault, name string) error {
	id, list := "", "thumbturn item list"
	if vault != "" {
		v, err := b.Vault(e.Op, vault)
		if err != nil {
			return err
		}
		id, list = v.ID, list+" --vault "+v.Title
	}
	var titles []string
	_ = b.Each(ctx, id, func(it *Item) error {
		if titles = append(titles, it.Meta.Title); len(titles) == candidates {
			return errEnough
		}
		return nil
	})
	return suggest(e, name, titles, list)
}

// maxOpened bounds the metadata kept open between two uses of an item. It is no
// more than what the index key opens anyway, and goes at lock.
const maxOpened = 1024

// Item opens the metadata of an item by id. The item is not to be changed.
func (b *Book) Item(ctx context.Context, id string) (*Item, error) {
	b.mu.RLock()
	e := b.items[id]
	var v Vault
	if e != nil {
		v = *b.vaults[e.head.Vault]
	}
	known := b.opened[id]
	b.mu.RUnlock()
	if e == nil {
		return nil, fault.New(fault.NotFound, "item", id, "no such item")
	}
	if known != nil && known.Version == e.version {
		it := *known
		it.Vault = &v
		return &it, nil
	}
	it := &Item{ID: id, Version: e.version, Vault: &v}
	if err := canon.Decode(e.payload, &it.Item); err != nil {
		return nil, bad(id, "malformed manifest")
	}
	if err := b.OpenMeta(ctx, it); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened == nil || len(b.opened) >= maxOpened {
		b.opened = map[string]*Item{}
	}
	if b.items != nil { // else it was closed meanwhile
		b.opened[id] = it
	}
	return it, nil
}

// listed is an item as lists need it, without decoding the manifest: its head,
// the writer, and whether a proposal waits; no records.
func listed(e *entry, v *Vault) *Item {
	h := e.head
	it := &Item{ID: e.id, Version: e.version, Vault: v, Item: canon.Item{V: 1, Vault: h.Vault, Epoch: h.Epoch, State: h.State,
		Meta: h.Meta, Title: h.Title, Binding: h.Binding, Writer: canon.ItemWriter(e.payload)}}
	if canon.ItemPending(e.payload) {
		it.Pending = &canon.Proposal{}
	}
	return it
}

func (b *Book) metaContext(account string, it *Item) sealed.Context {
	return sealed.Context{Type: sealed.TypeMeta, Account: account, Vault: it.Vault.ID, Epoch: it.Epoch, Item: it.ID}
}

// Each opens the current items of a vault, or of all vaults when vault is empty,
// vault by vault, in the order in which they were last written. They come
// without fields and records.
func (b *Book) Each(ctx context.Context, vault string, each func(*Item) error) error {
	for _, v := range b.Vaults() {
		if vault != "" && vault != v.ID {
			continue
		}
		if err := b.eachOf(ctx, &v, each); err != nil {
			return err
		}
	}
	return nil
}

// eachOf reads a vault's metadata in the order of the disk: one query an item
// would take ten times as long. What is not found that way, because it was
// written meanwhile or its row was tampered with, is read by its hash.
func (b *Book) eachOf(ctx context.Context, v *Vault, each func(*Item) error) error {
	seen, account := map[string]bool{}, b.Genesis().Account
	err := b.Store.List(ctx, v.ID, store.Meta, func(x store.Blob) error {
		b.mu.RLock()
		e := b.items[x.Item]
		b.mu.RUnlock()
		if e == nil || e.head.Meta != canon.Hash(x.Hash) || e.head.State != canon.StateCurrent || e.head.Vault != v.ID {
			return ctx.Err() // an earlier revision, or deleted
		}
		if canon.Hash(sha256.Sum256(x.Bytes)) != e.head.Meta {
			return fault.New(fault.Tampered, "open", e.id, "its record is not the one the manifest names")
		}
		it := listed(e, v)
		text, err := b.Keys.Meta(b.metaContext(account, it), x.Bytes)
		if err != nil {
			return err
		}
		// All but the fields, which take longest and which no list shows.
		all := struct {
			*Meta
			Fields json.RawMessage `json:"fields"`
		}{Meta: &it.Meta}
		if err := json.Unmarshal(text, &all); err != nil {
			return bad(e.id, "malformed metadata")
		}
		seen[e.id] = true
		return each(it)
	})
	if err != nil {
		return err
	}
	var rest []string
	b.mu.RLock()
	for id, e := range b.items {
		if e.head.State == canon.StateCurrent && e.head.Vault == v.ID && !seen[id] {
			rest = append(rest, id)
		}
	}
	b.mu.RUnlock()
	sort.Strings(rest)
	for _, id := range rest {
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

// Field finds a field of an item by section and label or id.
func (it *Item) Field(op string, r ref.Ref) (*Field, error) {
	hit := ref.Match(r, it.ID, it.Meta.Fields, func(f *Field) ref.Name { return ref.Name{ID: f.ID, Section: f.Section, Label: f.Label} })
	switch len(hit) {
	case 1:
		return hit[0], nil
	case 0:
		var names []string
		for _, f := range it.Meta.Fields {
			names = append(names, f.Label)
		}
		at := strings.TrimPrefix(r.Section+"."+r.Field, ".")
		e := fault.New(fault.NotFound, op, r.String(), fmt.Sprintf("item '%s/%s' does not have a field '%s'", it.Vault.Title, it.Meta.Title, at))
		return nil, suggest(e, r.Field, names, "thumbturn item get "+it.Meta.Title+" --vault "+it.Vault.Title)
	}
	var list []string
	for _, f := range hit {
		list = append(list, it.Reference(f))
	}
	return nil, fault.New(fault.Ambiguous, op, r.String(), fmt.Sprintf("more than one field matches %q", r.Field)).WithHint("use one of " + strings.Join(list, ", "))
}

// Reference is the full reference of a field.
func (it *Item) Reference(f *Field) string {
	return ref.Ref{Vault: it.Vault.Title, Item: it.Meta.Title, Section: f.Section, Field: f.Label}.String()
}

// Value names the record of a field in this revision.
func (it *Item) Value(field string) (canon.FieldHash, bool) {
	for _, r := range it.Records {
		if r.Field == field {
			return r, true
		}
	}
	return canon.FieldHash{}, false
}

// Subject resolves a reference to the one record it names now.
func (b *Book) Subject(ctx context.Context, op string, r ref.Ref) (canon.Subject, int64, error) {
	it, err := b.Find(ctx, op, r.Vault, r.Item)
	if err != nil {
		return canon.Subject{}, 0, err
	}
	f, err := it.Field(op, r)
	if err != nil {
		return canon.Subject{}, 0, err
	}
	if r.Query == ref.QueryOTP && f.Type != "OTP" {
		return canon.Subject{}, 0, fault.New(fault.Usage, op, r.String(), "the field is no one-time password").
			WithHint("such a field has the type otp: thumbturn item edit ITEM 'name[otp]=otpauth://...'")
	}
	v, ok := it.Value(f.ID)
	if !ok {
		return canon.Subject{}, 0, fault.New(fault.NotFound, op, r.String(), "the field has no value").WithHint("set it: thumbturn set " + it.Reference(f))
	}
	named := ref.Ref{Vault: it.Vault.Title, Item: it.Meta.Title, Section: f.Section, Field: f.Label, Query: r.Query}
	return canon.Subject{Ref: named.String(), Vault: it.Vault.ID, Item: it.ID, Field: f.ID, Revision: v.Revision,
		Record: v.Hash, Binding: it.Binding, Writer: it.Writer, Tier: it.Vault.Tier, Addresses: canon.Addresses(it.Meta.URLs)}, v.Epoch, nil
}

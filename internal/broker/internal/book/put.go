package book

import (
	"context"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/internal/broker/internal/pieces"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/ref"
)

// Change is one field of a write.
type Change struct {
	Field
	Value  []byte      // nil leaves the value as it is; lent, the caller wipes it
	Long   sealed.Text // instead of Value; taken once, when all else is known to be well
	Delete bool
}

// Edit is a write to an item: a new one when Item is nil.
type Edit struct {
	Vault    *Vault
	Item     *Item
	Title    string // empty keeps it
	Category string
	Tags     []string // nil keeps them
	URLs     []string
	Expires  *int64 // unix milliseconds, 0 for never; nil keeps it
	Changes  []Change
	Writer   string // who writes, as evidence
}

// valued reports whether a change brings a value.
func (c Change) valued() bool { return c.Value != nil || !c.Long.Whole() }

// Draft is a write laid out and sealed: what would be stored, and whether the
// root key must sign it.
type Draft struct {
	ID        string
	Meta      Meta
	Statement canon.Statement
	Blobs     []store.Blob
	Root      bool

	to      *Vault // that values were sealed for, as it was then; nil where there are none
	intakes []*pieces.Intake
}

// Draft seals an edit's values to the vault's public key and lays the next
// manifest out. Nothing is current yet, though the pieces of long values are
// written: Discard is due when all is done. No key that opens values is used.
func (b *Book) Draft(ctx context.Context, e Edit) (d *Draft, err error) {
	it := e.Item
	now := b.Now().UnixMilli()
	if it == nil {
		id, err := canon.NewID(b.Rand)
		if err != nil {
			return nil, err
		}
		it = &Item{ID: id, Vault: e.Vault, Meta: Meta{V: 1, Category: "API_CREDENTIAL", Created: now},
			Item: canon.Item{V: 1, Vault: e.Vault.ID, Epoch: e.Vault.Epoch, Created: now}}
	}
	d = &Draft{ID: it.ID, Meta: it.Meta}
	defer func() {
		if err != nil {
			d.Discard(ctx)
		}
	}()
	d.Meta.Fields = append([]Field(nil), it.Meta.Fields...)
	d.Meta.Updated = now
	m := it.Item
	m.Vault, m.Epoch, m.State, m.Writer = e.Vault.ID, e.Vault.Epoch, canon.StateCurrent, e.Writer
	m.Records = append([]canon.FieldHash(nil), it.Records...)
	setMeta(&d.Meta, e)
	for _, c := range e.Changes {
		if err := b.apply(ctx, d, &m, it, c); err != nil {
			return d, err
		}
	}
	if strings.TrimSpace(d.Meta.Title) == "" {
		return d, fault.New(fault.Usage, "item", "", "an item needs a title")
	}
	if err := b.seal(d, &m, it); err != nil {
		return d, err
	}
	if d.Statement, err = b.next(it, m); err != nil {
		return d, err
	}
	return d, b.needsRoot(d, m)
}

func setMeta(m *Meta, e Edit) {
	if e.Title != "" {
		m.Title = e.Title
	}
	if e.Category != "" {
		m.Category = e.Category
	}
	if e.Tags != nil {
		m.Tags = e.Tags
	}
	if e.URLs != nil {
		m.URLs = e.URLs
	}
	if e.Expires != nil {
		m.Expires = *e.Expires
	}
}

// needsRoot sets Root from what the item's latest manifest says.
func (b *Book) needsRoot(d *Draft, m canon.Item) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	old := b.items[d.ID]
	if old == nil {
		return nil
	}
	h, err := canon.ReadItemHead(canon.Encode(m))
	d.Root = old.head.NeedsRoot(h)
	return err
}

// apply puts one change into the draft: the field's description, and its value
// sealed on its own.
func (b *Book) apply(ctx context.Context, d *Draft, m *canon.Item, it *Item, c Change) error {
	at := -1
	for i, f := range d.Meta.Fields {
		if ref.Fold(f.Label) == ref.Fold(c.Label) && ref.Fold(f.Section) == ref.Fold(c.Section) || c.ID != "" && f.ID == c.ID {
			at = i
		}
	}
	if c.Delete {
		if at < 0 {
			return fault.New(fault.NotFound, "item edit", c.Label, "no such field")
		}
		m.Records = without(m.Records, d.Meta.Fields[at].ID)
		m.Pending = proposalWithout(m.Pending, d.Meta.Fields[at].ID)
		d.Meta.Fields = append(d.Meta.Fields[:at:at], d.Meta.Fields[at+1:]...)
		return nil
	}
	if strings.TrimSpace(c.Label) == "" {
		return fault.New(fault.Usage, "item", "", "a field needs a label")
	}
	f := c.Field
	if at < 0 {
		if f.ID == "" {
			f.ID = fieldID(d.Meta.Fields, f)
		}
		d.Meta.Fields = append(d.Meta.Fields, f)
		at = len(d.Meta.Fields) - 1
	} else {
		old := &d.Meta.Fields[at]
		if f.Type != "" {
			if old.Concealed && !f.Concealed && !c.valued() {
				return fault.New(fault.Usage, "item edit", c.Label, "a concealed value becomes no text by itself").WithHint("write it anew: name[text]=value")
			}
			old.Type, old.Concealed = f.Type, f.Concealed
		}
		old.Text = f.Text
		f = *old
	}
	if f.Concealed {
		d.Meta.Fields[at].Text = ""
	}
	if !c.valued() {
		return nil
	}
	d.Meta.Fields[at].Size = int64(len(c.Value)) + c.Long.Size
	if !f.Concealed {
		d.Meta.Fields[at].Text = string(c.Value)
	}
	if !f.Concealed && !c.Long.Whole() {
		return fault.New(fault.Usage, "item", f.Label, "so long a value must be concealed")
	}
	rec, err := b.record(ctx, d, it, f.ID, c)
	if err != nil {
		return err
	}
	m.Pending = proposalWithout(m.Pending, f.ID)
	m.Records = sorted(append(without(m.Records, f.ID), rec))
	return nil
}

// fieldID is the label where that is a plain word nobody else uses, as with the
// built-in fields; else a number is appended.
func fieldID(have []Field, f Field) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, f.Label)
	base := id
	for n := 2; ; n++ {
		used := false
		for _, h := range have {
			used = used || h.ID == id
		}
		if !used {
			return id
		}
		id = base + "-" + string(rune('0'+n%10)) + strings.Repeat("x", n/10)
	}
}

func without(rs []canon.FieldHash, field string) []canon.FieldHash {
	out := make([]canon.FieldHash, 0, len(rs))
	for _, r := range rs {
		if r.Field != field {
			out = append(out, r)
		}
	}
	return out
}

func sorted(rs []canon.FieldHash) []canon.FieldHash {
	sort.Slice(rs, func(i, j int) bool { return rs[i].Field < rs[j].Field })
	return rs
}

// record seals one value to the vault's public key and adds it to the draft.
func (b *Book) record(ctx context.Context, d *Draft, it *Item, field string, c Change) (canon.FieldHash, error) {
	rev := it.Version + 1
	at := sealed.Context{Type: sealed.TypeValue, Account: b.Genesis().Account, Vault: it.Vault.ID,
		Epoch: it.Vault.Epoch, Item: it.ID, Field: field, Revision: rev}
	var ct []byte
	var err error
	if c.Long.Whole() {
		if ct, err = sealed.Value(it.Vault.Public, at, c.Value); err != nil {
			err = fault.Wrap(fault.Usage, "seal", it.Meta.Title+"/"+field, err)
		}
	} else {
		var in *pieces.Intake
		if in, err = pieces.Write(ctx, b.Ledger, b.Store, b.Rand, it.Vault.Public, at, c.Long); err == nil {
			ct, d.intakes = in.List, append(d.intakes, in)
		}
	}
	if err != nil {
		return canon.FieldHash{}, err
	}
	bl, h := blob(store.Record, it.Vault.ID, it.ID, ct)
	d.Blobs, d.to = append(d.Blobs, bl), it.Vault
	return canon.FieldHash{Field: field, Revision: rev, Epoch: it.Vault.Epoch, Hash: h}, nil
}

// seal seals the metadata and sets the manifest's hashes and tags.
func (b *Book) seal(d *Draft, m *canon.Item, it *Item) error {
	seal, err := b.Keys.IndexSealer(it.Vault.ID)
	if err != nil {
		return err
	}
	ctx := b.metaContext(b.Genesis().Account, it)
	ctx.Epoch = m.Epoch
	ct, err := sealed.Meta(seal, ctx, canon.Encode(d.Meta))
	if err != nil {
		return fault.Wrap(fault.Usage, "seal", d.Meta.Title, err)
	}
	bl, h := blob(store.Meta, it.Vault.ID, it.ID, ct)
	d.Blobs = append(d.Blobs, bl)
	m.Meta = h
	if m.Title, err = b.Keys.Tag(it.Vault.ID, "title", ref.Fold(d.Meta.Title)); err != nil {
		return err
	}
	m.Binding, err = b.Keys.Tag(it.Vault.ID, "binding", strings.Join(d.Meta.URLs, "\n"))
	return err
}

// Proposal lays out a manifest that keeps the current revision as it is and
// names new values beside it, pending until a person activates them.
func (b *Book) Proposal(ctx context.Context, e Edit) (d *Draft, err error) {
	m := e.Item.Item
	p := &canon.Proposal{Writer: e.Writer, Time: b.Now().UnixMilli()}
	if m.Pending != nil { // what waits for other fields goes on waiting
		p.Values = append(p.Values, m.Pending.Values...)
	}
	d = &Draft{ID: e.Item.ID, Meta: e.Item.Meta}
	defer func() {
		if err != nil {
			d.Discard(ctx)
		}
	}()
	for _, c := range e.Changes {
		var f *Field
		for i := range e.Item.Meta.Fields {
			if x := &e.Item.Meta.Fields[i]; ref.Fold(x.Label) == ref.Fold(c.Label) && ref.Fold(x.Section) == ref.Fold(c.Section) {
				f = x
			}
		}
		if f == nil || c.Delete || !c.valued() {
			return d, fault.New(fault.Denied, "propose", c.Label, "an agent can propose a new value for an existing field, nothing else")
		}
		if !f.Concealed { // its text stands in the metadata, which a proposal leaves alone
			return d, fault.New(fault.Denied, "propose", c.Label, "an agent proposes values of concealed fields only")
		}
		rec, err := b.record(ctx, d, e.Item, f.ID, c)
		if err != nil {
			return d, err
		}
		p.Values = append(without(p.Values, f.ID), rec)
	}
	m.Pending = p
	d.Statement, err = b.next(e.Item, m)
	return d, err
}

// Tombstone lays out the manifest of a deleted item: it names no records.
func (b *Book) Tombstone(it *Item, writer string) (*Draft, error) {
	m := it.Item
	m.State, m.Records, m.Pending, m.Writer = canon.StateDeleted, nil, nil, writer
	return b.draft(it, it.Meta, m)
}

// Entry is what a draft writes, with the root key's signature where it needs
// one.
func (d *Draft) Entry(sig []byte, ev canon.Event) ledger.Entry {
	e := ledger.Entry{Statements: []ledger.Signed{{Statement: d.Statement, Sig: sig}}, Blobs: d.Blobs, Events: []canon.Event{ev}}
	for _, in := range d.intakes {
		e.Erase = append(e.Erase, in.Mark)
	}
	return e
}

// Discard erases the pieces of a draft that did not become current.
func (d *Draft) Discard(ctx context.Context) {
	for _, in := range d.intakes {
		in.Discard(ctx)
	}
}

// Commit writes a draft, if the vault's key is still the one that it was sealed to: a
// value that waited for a person is not the last that a removed passkey opens.
func (b *Book) Commit(ctx context.Context, d *Draft, sig []byte, ev canon.Event, consume ...string) (ledger.Receipt, error) {
	e := d.Entry(sig, ev)
	e.Consume = consume
	b.turn.RLock()
	defer b.turn.RUnlock()
	if d.to != nil {
		if v, err := b.Vault("item", d.to.ID); err != nil || v.Epoch != d.to.Epoch {
			return ledger.Receipt{}, fault.New(fault.Conflict, "item", d.ID, "the vault's key was changed meanwhile").WithHint("do it again")
		}
	}
	return b.write(ctx, e)
}

// Package vault is what callers do with items, vaults and the policy, short of
// opening a value: writing, proposing, listing, deleting, creating, applying.
// Writers seal to public keys; what needs the root key's signature needs a
// person's gesture.
package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/escape"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Words that doors use without naming the book.
type (
	// Item is an item with its metadata; it holds no concealed value.
	Item = book.Item
	// Vault is a vault with its name.
	Vault = book.Vault
	// Field describes a field.
	Field = book.Field
	// Change is one field of a write.
	Change = book.Change
	// Text is a long value, lent chunk by chunk.
	Text = sealed.Text
)

// Custody is an account's vaults and items, for writing and listing.
type Custody struct {
	g      *gate.Gate
	create sync.Mutex // from the last look at a title or name to what takes it; never while somebody waits
}

// New returns the vaults behind a gate.
func New(g *gate.Gate) *Custody { return &Custody{g: g} }

// Mode says what a Put expects to find.
type Mode string

// The modes of Put.
const (
	Create Mode = "create" // a new item, whatever is there
	Edit   Mode = "edit"   // an existing item
	Set    Mode = "set"    // either
)

// Put is a write to one item.
type Put struct {
	gate.Ask
	Mode     Mode
	Vault    string
	Item     string // id or title; the title of a new one
	Title    string // a new title; empty keeps it
	Category string
	Tags     []string
	URLs     []string
	Expires  *int64 // unix milliseconds, 0 for never; nil keeps it
	Changes  []Change
}

// Written is what became of a Put.
type Written struct {
	Item     *Item
	Proposed bool // it waits for a person to activate it
}

// Put writes an item. Values are sealed to the vault's public key: no key that
// opens anything is used. What an agent may not do becomes a proposal or a
// denial; what moves a value's title or binding needs a gesture.
func (b *Custody) Put(ctx context.Context, who identity.Caller, p Put) (Written, error) {
	if !b.g.Book.Keys.Unlocked() {
		return Written{}, b.g.Refused(who, "write", open.ErrLocked)
	}
	v, err := b.vaultOf(ctx, who, p)
	if err != nil {
		return Written{}, err
	}
	e := book.Edit{Vault: v, Category: p.Category, Tags: p.Tags, URLs: p.URLs, Expires: p.Expires, Changes: p.Changes, Title: p.Title, Writer: writer(who)}
	release := func() {}
	if p.Mode != Edit && !long(p.Changes) {
		b.create.Lock()
		release = sync.OnceFunc(b.create.Unlock)
		defer release()
	}
	find := b.g.Book.Seek
	if p.Mode == Edit {
		find = b.g.Book.Find
	}
	e.Item, err = find(ctx, "item "+string(p.Mode), v.ID, p.Item)
	switch {
	case p.Mode == Create && err == nil || fault.Is(err, fault.Ambiguous):
		if p.Mode == Create {
			err = taken(v, p.Item)
		}
		return Written{}, err
	case err != nil && (p.Mode == Edit || !fault.Is(err, fault.NotFound)):
		return Written{}, err
	}
	if e.Item == nil {
		if e.Title == "" {
			e.Title = p.Item
		}
		if who.Kind() != identity.Person && len(p.URLs) > 0 {
			return Written{}, b.g.Refused(who, "create", fault.New(fault.Denied, "create", e.Title, "an agent sets no addresses: they say where a value may go"))
		}
		return b.write(ctx, who, p.Ask, "create", e)
	}
	release() // the title is taken: what follows may wait for a person
	if who.Kind() != identity.Person {
		return b.Propose(ctx, who, e)
	}
	return b.write(ctx, who, p.Ask, "edit", e)
}

// long reports whether a write brings a value that comes piece by piece.
func long(cs []Change) bool {
	return slices.ContainsFunc(cs, func(c Change) bool { return !c.Long.Whole() })
}

func taken(v *Vault, title string) error {
	return fault.New(fault.Exists, "item create", v.Title+"/"+title, "there is an item of that title").WithHint("change it with `thumbturn item edit`, or choose another title")
}

// vaultOf finds the vault of a write; an edit may leave it out where the title
// is the only one, and the caller may know that.
func (b *Custody) vaultOf(ctx context.Context, who identity.Caller, p Put) (*Vault, error) {
	if p.Vault == "" && p.Mode == Edit {
		it, err := b.Get(ctx, who, "item edit", "", p.Item)
		if err != nil {
			return nil, err
		}
		return it.Vault, nil
	}
	return b.g.Book.Vault("item "+string(p.Mode), p.Vault)
}

// Propose stores an agent's value beside the current one, pending: it never
// opens, and displaces nothing, until a person activates it.
func (b *Custody) Propose(ctx context.Context, who identity.Caller, e book.Edit) (Written, error) {
	if err := b.may(who, "propose", e.Vault, e.Item); err != nil {
		return Written{}, b.g.Refused(who, "propose", err)
	}
	if e.Title != "" || e.URLs != nil || e.Tags != nil || e.Expires != nil {
		return Written{}, b.g.Refused(who, "propose", fault.New(fault.Denied, "propose", e.Item.Meta.Title, "an agent changes neither title, tags, addresses nor the expiry"))
	}
	d, err := b.g.Book.Proposal(ctx, e)
	if err != nil {
		return Written{}, b.g.Refused(who, "propose", err)
	}
	defer d.Discard(ctx)
	_, err = b.g.Book.Commit(ctx, d, nil, gate.Did(who, canon.EventWrite, "propose", "pending", e.Vault.ID, d.ID, ""))
	if err != nil {
		return Written{}, err
	}
	it, err := b.g.Book.Item(ctx, d.ID)
	return Written{Item: it, Proposed: true}, err
}

// write drafts, asks where it must, and commits.
func (b *Custody) write(ctx context.Context, who identity.Caller, a gate.Ask, action string, e book.Edit) (Written, error) {
	if err := b.may(who, action, e.Vault, e.Item); err != nil {
		return Written{}, b.g.Refused(who, action, err)
	}
	d, err := b.g.Book.Draft(ctx, e)
	if err != nil {
		return Written{}, err
	}
	defer d.Discard(ctx)
	if e.Item == nil && long(e.Changes) { // what takes so long must not keep others from creating
		b.create.Lock()
		defer b.create.Unlock()
		if _, err := b.g.Book.Seek(ctx, "item create", e.Vault.ID, d.Meta.Title); !fault.Is(err, fault.NotFound) {
			return Written{}, taken(e.Vault, d.Meta.Title)
		}
	}
	return b.commit(ctx, who, a, action, action, e.Vault, e.Item, d)
}

// commit writes a draft, after a gesture where the root key must sign it. verb is
// what the person reads.
func (b *Custody) commit(ctx context.Context, who identity.Caller, a gate.Ask, action, verb string, v *Vault, old *Item, d *book.Draft) (Written, error) {
	var sig []byte
	var consume []string
	if d.Root {
		lines, err := bound(verb, v, old, d)
		if err != nil {
			return Written{}, err
		}
		req, g, err := b.g.Gesture(ctx, who, a, gate.Act{Action: "bind", Vault: v, Lines: lines, Change: append([]string{d.ID, fmt.Sprint(old.Version)}, lines...)})
		if err != nil {
			return Written{}, err
		}
		defer g.Close()
		if sig, err = g.Root().Sign(d.Statement.Body()); err != nil {
			return Written{}, err
		}
		consume = []string{req.ID}
	}
	ev := gate.Did(who, canon.EventWrite, action, "written", v.ID, d.ID, "")
	if _, err := b.g.Book.Commit(ctx, d, sig, ev, consume...); err != nil {
		return Written{}, err
	}
	it, err := b.g.Book.Item(ctx, d.ID)
	return Written{Item: it}, err
}

// bound is what a draft makes of a value's title and addresses, as the person
// reads it, and whether any value is left.
func bound(verb string, v *Vault, old *Item, d *book.Draft) ([]string, error) {
	var urls []string
	for _, u := range d.Meta.URLs {
		urls = append(urls, `"`+strings.ReplaceAll(escape.Address(u), `"`, `\"`)+`"`)
	}
	lines := []string{fmt.Sprintf("%s item %s/%s: title %q, addresses %s", verb, v.Title, old.Meta.Title, d.Meta.Title, urls)}
	h, err := canon.ReadItemHead(d.Statement.Payload)
	if err == nil && !h.Values {
		lines = append(lines, "its last value is removed: programs that use it find none")
	}
	return lines, err
}

// Get returns an item's metadata, where the caller may list names.
func (b *Custody) Get(ctx context.Context, who identity.Caller, op, vault, item string) (*Item, error) {
	if err := b.g.Listing(who); err != nil {
		return nil, err
	}
	return b.g.Book.Find(ctx, op, vault, item)
}

// List hands out the items of a vault, or of all, one by one, or those in the
// archive.
func (b *Custody) List(ctx context.Context, who identity.Caller, vault string, archived bool, each func(*Item) error) error {
	if err := b.g.Listing(who); err != nil {
		return err
	}
	if vault != "" {
		v, err := b.g.Book.Vault("item list", vault)
		if err != nil {
			return err
		}
		vault = v.ID
	}
	if archived {
		return b.g.Book.EachArchived(ctx, vault, each)
	}
	return b.g.Book.Each(ctx, vault, each)
}

// Vaults lists the vaults.
func (b *Custody) Vaults(who identity.Caller) ([]Vault, error) {
	if err := b.g.Listing(who); err != nil {
		return nil, err
	}
	return b.g.Book.Vaults(), nil
}

// ApplyPolicy makes a text the policy in force, after a gesture.
func (b *Custody) ApplyPolicy(ctx context.Context, who identity.Caller, a gate.Ask, text string) error {
	set, err := policy.Load("policy", text)
	if err != nil {
		return fault.Wrap(fault.Usage, "policy apply", "", err)
	}
	if err := b.g.Listing(who); err != nil {
		return err
	}
	later := b.g.Facts(who, "policy-apply", gate.Ask{})
	later.Caller, later.Session, later.Foreground = string(identity.Person), true, true
	if set.Decide(later).Decision == policy.Deny {
		return fault.New(fault.Usage, "policy apply", "", "under this policy no person could apply another one").
			WithHint("keep a permit for policy-apply")
	}
	old := ""
	if p := b.g.Book.Policy(); p != nil {
		old = p.Text()
	}
	lines := strings.Split(strings.TrimSuffix(policy.Diff(old, text), "\n"), "\n")
	hash := canon.Hash(set.Hash()).String()
	req, g, err := b.g.Gesture(ctx, who, a, gate.Act{Action: "policy-apply", Lines: lines, Change: []string{hash}})
	if err != nil {
		return b.g.Refused(who, "policy-apply", err)
	}
	defer g.Close()
	s, err := b.g.Book.Sign(g.Root().Sign, canon.TypePolicy, "policy", canon.Policy{V: 1, Text: text})
	if err != nil {
		return err
	}
	_, err = b.g.Book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Consume: []string{req.ID},
		Events: []canon.Event{gate.Did(who, canon.EventWrite, "policy-apply", "written", "", "", hash)}})
	return err
}

// may asks the policy for a write that needs nobody.
func (b *Custody) may(who identity.Caller, action string, v *Vault, it *Item) error {
	set := b.g.Book.Policy()
	if set == nil {
		return fault.New(fault.Denied, action, "", "no policy is in force")
	}
	f := b.g.Facts(who, action, gate.Ask{})
	f.Vault, f.Name, f.Tier = v.ID, v.Title, string(v.Tier)
	if it != nil {
		f.Item = it.ID
	}
	verdict := set.Decide(f)
	if verdict.Decision == policy.Allow {
		return nil
	}
	return fault.New(fault.Denied, action, v.Title, "policy does not allow it").WithHint(verdict.Reason)
}

// writer is who changed an item, as evidence.
func writer(who identity.Caller) string {
	if who.Label() != "" {
		return string(who.Kind()) + " (" + who.Label() + ")"
	}
	return string(who.Kind())
}

// Policy returns the policy in force.
func (b *Custody) Policy(who identity.Caller) (text string, hash canon.Hash, err error) {
	if err := b.g.Listing(who); err != nil {
		return "", hash, err
	}
	p := b.g.Book.Policy()
	return p.Text(), p.Hash(), nil
}

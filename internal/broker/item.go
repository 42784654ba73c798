package broker

import (
	"context"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
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
)

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
	Ask
	Mode     Mode
	Vault    string
	Item     string // id or title; the title of a new one
	Title    string // a new title; empty keeps it
	Category string
	Tags     []string
	URLs     []string
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
func (b *Broker) Put(ctx context.Context, who identity.Caller, p Put) (Written, error) {
	if !b.book.Keys.Unlocked() {
		return Written{}, b.refused(who, "write", open.ErrLocked)
	}
	v, err := b.book.Vault("item "+string(p.Mode), p.Vault)
	if err != nil {
		return Written{}, err
	}
	e := book.Edit{Vault: v, Category: p.Category, Tags: p.Tags, URLs: p.URLs, Changes: p.Changes, Title: p.Title, Writer: writer(who)}
	if p.Mode != Create {
		e.Item, err = b.book.Find(ctx, "item "+string(p.Mode), p.Vault, p.Item)
		if err != nil && !(p.Mode == Set && fault.Is(err, fault.NotFound)) {
			return Written{}, err
		}
	}
	if e.Item == nil {
		if e.Title == "" {
			e.Title = p.Item
		}
		return b.write(ctx, who, p.Ask, "create", e)
	}
	if who.Kind() != identity.Person {
		return b.Propose(ctx, who, e)
	}
	return b.write(ctx, who, p.Ask, "edit", e)
}

// Propose stores an agent's value beside the current one, pending: it never
// opens, and displaces nothing, until a person activates it.
func (b *Broker) Propose(ctx context.Context, who identity.Caller, e book.Edit) (Written, error) {
	if err := b.may(who, "propose", e.Vault, e.Item); err != nil {
		return Written{}, b.refused(who, "propose", err)
	}
	if e.Title != "" || e.URLs != nil || e.Tags != nil {
		return Written{}, b.refused(who, "propose", fault.New(fault.Denied, "propose", e.Item.Meta.Title, "an agent changes neither title, tags nor addresses"))
	}
	d, err := b.book.Proposal(e)
	if err != nil {
		return Written{}, b.refused(who, "propose", err)
	}
	_, err = b.book.Commit(ctx, d, nil, b.did(who, canon.EventWrite, "propose", "pending", e.Vault.ID, d.ID, ""))
	if err != nil {
		return Written{}, err
	}
	it, err := b.book.Item(ctx, d.ID)
	return Written{Item: it, Proposed: true}, err
}

// write drafts, asks where it must, and commits.
func (b *Broker) write(ctx context.Context, who identity.Caller, a Ask, action string, e book.Edit) (Written, error) {
	if err := b.may(who, action, e.Vault, e.Item); err != nil {
		return Written{}, b.refused(who, action, err)
	}
	d, err := b.book.Draft(e)
	if err != nil {
		return Written{}, err
	}
	var sig []byte
	if d.Root {
		lines := []string{fmt.Sprintf("item %s/%s: title %q, addresses %q", e.Vault.Title, e.Item.Meta.Title, d.Meta.Title, d.Meta.URLs)}
		_, g, err := b.gesture(ctx, who, a, act{"bind", e.Vault, lines, append([]string{d.ID}, lines...)})
		if err != nil {
			return Written{}, err
		}
		defer g.Close()
		if sig, err = g.Root().Sign(d.Statement.Body()); err != nil {
			return Written{}, err
		}
	}
	if _, err = b.book.Commit(ctx, d, sig, b.did(who, canon.EventWrite, action, "written", e.Vault.ID, d.ID, "")); err != nil {
		return Written{}, err
	}
	it, err := b.book.Item(ctx, d.ID)
	return Written{Item: it}, err
}

// Delete writes an item's tombstone, after a gesture.
func (b *Broker) Delete(ctx context.Context, who identity.Caller, a Ask, vault, item string) error {
	it, err := b.Get(ctx, who, "item delete", vault, item)
	if err != nil {
		return err
	}
	lines := []string{"delete item " + it.Vault.Title + "/" + it.Meta.Title}
	req, g, err := b.gesture(ctx, who, a, act{"delete", it.Vault, lines, []string{it.ID, fmt.Sprint(it.Version)}})
	if err != nil {
		return b.refused(who, "delete", err)
	}
	defer g.Close()
	d, err := b.book.Tombstone(it, writer(who))
	if err != nil {
		return err
	}
	sig, err := g.Root().Sign(d.Statement.Body())
	if err != nil {
		return err
	}
	_, err = b.book.Commit(ctx, d, sig, b.did(who, canon.EventWrite, "delete", "written", it.Vault.ID, it.ID, ""), req.ID)
	return err
}

// Get returns an item's metadata, where the caller may list names.
func (b *Broker) Get(ctx context.Context, who identity.Caller, op, vault, item string) (*Item, error) {
	if err := b.listing(who); err != nil {
		return nil, err
	}
	return b.book.Find(ctx, op, vault, item)
}

// List hands out the items of a vault, or of all, one by one.
func (b *Broker) List(ctx context.Context, who identity.Caller, vault string, each func(*Item) error) error {
	if err := b.listing(who); err != nil {
		return err
	}
	if vault != "" {
		v, err := b.book.Vault("item list", vault)
		if err != nil {
			return err
		}
		vault = v.ID
	}
	return b.book.Each(ctx, vault, each)
}

// Vaults lists the vaults.
func (b *Broker) Vaults(who identity.Caller) ([]Vault, error) {
	if err := b.listing(who); err != nil {
		return nil, err
	}
	return b.book.Vaults(), nil
}

// CreateVault makes a vault, after a gesture.
func (b *Broker) CreateVault(ctx context.Context, who identity.Caller, a Ask, name string, tier canon.Tier) (*Vault, error) {
	if err := b.listing(who); err != nil {
		return nil, err
	}
	if tier != canon.TierStandard && tier != canon.TierPresence {
		return nil, fault.New(fault.Usage, "vault create", name, "the tier is standard or presence")
	}
	if v, err := b.book.Vault("vault create", name); err == nil {
		return nil, fault.New(fault.Exists, "vault create", v.Title, "there is a vault of that name")
	}
	lines := []string{fmt.Sprintf("create vault %q, tier %s", name, tier)}
	req, g, err := b.gesture(ctx, who, a, act{"vault-create", nil, lines, []string{name, string(tier)}})
	if err != nil {
		return nil, b.refused(who, "vault-create", err)
	}
	defer g.Close()
	e, err := b.book.NewVault(g, b.rand, name, tier)
	if err != nil {
		return nil, err
	}
	e.Events = []canon.Event{b.did(who, canon.EventWrite, "vault-create", "written", "", "", "")}
	e.Consume = []string{req.ID}
	if _, err := b.book.Write(ctx, e); err != nil {
		return nil, err
	}
	return b.book.Vault("vault create", name)
}

// ApplyPolicy makes a text the policy in force, after a gesture.
func (b *Broker) ApplyPolicy(ctx context.Context, who identity.Caller, a Ask, text string) error {
	set, err := policy.Load("policy", text)
	if err != nil {
		return fault.Wrap(fault.Usage, "policy apply", "", err)
	}
	if err := b.listing(who); err != nil {
		return err
	}
	later := b.facts(who, "policy-apply", Ask{})
	later.Caller, later.Session, later.Foreground = string(identity.Person), true, true
	if set.Decide(later).Decision == policy.Deny {
		return fault.New(fault.Usage, "policy apply", "", "under this policy no person could apply another one").
			WithHint("keep a permit for policy-apply")
	}
	old := ""
	if p := b.book.Policy(); p != nil {
		old = p.Text()
	}
	lines := []string{policy.Diff(old, text)}
	hash := canon.Hash(set.Hash()).String()
	req, g, err := b.gesture(ctx, who, a, act{"policy-apply", nil, lines, []string{hash}})
	if err != nil {
		return b.refused(who, "policy-apply", err)
	}
	defer g.Close()
	s, err := b.book.Sign(g.Root().Sign, canon.TypePolicy, "policy", canon.Policy{V: 1, Text: text})
	if err != nil {
		return err
	}
	_, err = b.book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Consume: []string{req.ID},
		Events: []canon.Event{b.did(who, canon.EventWrite, "policy-apply", "written", "", "", hash)}})
	return err
}

// may asks the policy for a write that needs nobody.
func (b *Broker) may(who identity.Caller, action string, v *Vault, it *Item) error {
	set := b.book.Policy()
	if set == nil {
		return fault.New(fault.Denied, action, "", "no policy is in force")
	}
	f := b.facts(who, action, Ask{})
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

// listing says whether the caller may see names.
func (b *Broker) listing(who identity.Caller) error {
	if !b.book.Keys.Unlocked() {
		return b.refused(who, "list", open.ErrLocked)
	}
	set := b.book.Policy()
	if set == nil || set.Decide(b.facts(who, "list", Ask{})).Decision != policy.Allow {
		return b.refused(who, "list", fault.New(fault.Denied, "list", "", "policy does not allow it"))
	}
	return nil
}

// refused records a denial of something other than a release.
func (b *Broker) refused(who identity.Caller, action string, err error) error {
	ev := b.did(who, canon.EventDenial, action, string(fault.KindOf(err)), "", "", "")
	ev.Reason = err.Error()
	b.book.Ledger.Later(ev)
	return err
}

// writer is who changed an item, as evidence.
func writer(who identity.Caller) string {
	if who.Label() != "" {
		return string(who.Kind()) + " (" + who.Label() + ")"
	}
	return string(who.Kind())
}

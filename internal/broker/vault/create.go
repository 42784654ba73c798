package vault

import (
	"context"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// CreateVault makes a vault, after a gesture. No least is the default of its tier.
func (b *Custody) CreateVault(ctx context.Context, who identity.Caller, a gate.Ask, name string, tier canon.Tier, least canon.Least) (*Vault, error) {
	const op = "vault create"
	if err := b.g.Listing(who); err != nil {
		return nil, err
	}
	if tier != canon.TierStandard && tier != canon.TierPresence {
		return nil, fault.New(fault.Usage, op, name, "the tier is standard or presence")
	}
	least, err := least.For(tier)
	if err != nil {
		return nil, fault.New(fault.Usage, op, name, err.Error())
	}
	if v, err := b.g.Book.Vault(op, name); err == nil {
		return nil, fault.New(fault.Exists, op, v.Title, "there is a vault of that name")
	}
	if err := b.g.Met(b.g.Book.Roster(), name, least); err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("create vault %q, tier %s", name, canon.Guard(tier, least))}
	req, g, err := b.g.Gesture(ctx, who, a, gate.Act{Action: "vault-create", Lines: lines, Change: []string{name, string(tier), string(least)}})
	if err != nil {
		return nil, b.g.Refused(who, "vault-create", err)
	}
	defer g.Close()
	b.create.Lock()
	defer b.create.Unlock()
	if _, err := b.g.Book.Vault(op, name); !fault.Is(err, fault.NotFound) { // while it waited
		return nil, b.g.Refused(who, "vault-create", fault.New(fault.Conflict, op, name, "a vault of that name was made meanwhile"))
	}
	roster := b.g.Book.Roster()
	if err := b.g.Met(roster, name, least); err != nil {
		return nil, err
	}
	e, err := b.founded(g, roster, name, tier, least)
	if err != nil {
		return nil, err
	}
	e.Events = []canon.Event{gate.Did(who, canon.EventWrite, "vault-create", "written", "", "", "")}
	e.Consume = []string{req.ID}
	if _, err := b.g.Book.Write(ctx, e); err != nil {
		return nil, err
	}
	return b.g.Book.Vault(op, name)
}

// founded lays out a new vault: its descriptor, and the roster where it brings a
// compartment of its own: for the ways in of now, so not by a gesture of before.
func (b *Custody) founded(g *open.Gesture, old open.Roster, name string, tier canon.Tier, least canon.Least) (ledger.Entry, error) {
	var e ledger.Entry
	if tier == canon.TierPresence && !g.Of(old) {
		return e, fault.New(fault.Conflict, "vault create", name, "passphrases, passkeys or vaults were changed meanwhile").WithHint("do it again")
	}
	id, err := canon.NewID(b.g.Rand)
	if err != nil {
		return e, err
	}
	v, roster, err := g.NewVault(old.Roster, id, name, tier, least)
	if err != nil {
		return e, err
	}
	if len(roster.Compartments) != len(old.Compartments) {
		s, err := b.g.Book.SignRoster(g.Root().Sign, old, roster)
		if err != nil {
			return e, err
		}
		e.Statements = append(e.Statements, s)
	}
	s, err := b.g.Book.Sign(g.Root().Sign, canon.TypeVault, id, v)
	e.Statements = append(e.Statements, s)
	return e, err
}

// EditVault changes the weakest gesture that opens a presence vault, after one that
// opens it now: what is too weak afterwards is left without a key.
func (b *Custody) EditVault(ctx context.Context, who identity.Caller, a gate.Ask, name string, least canon.Least) (*Vault, error) {
	const op, action = "vault edit", "tier"
	if err := b.g.Listing(who); err != nil {
		return nil, err
	}
	v, err := b.g.Book.Vault(op, name)
	if err != nil {
		return nil, err
	}
	if least == "" {
		return nil, fault.New(fault.Usage, op, v.Title, "nothing to change").WithHint("--min-approval says what opens it")
	}
	if least, err = least.For(v.Tier); err != nil {
		return nil, fault.New(fault.Usage, op, v.Title, err.Error())
	}
	if least == v.MinApproval {
		return v, nil
	}
	if err := b.g.Met(b.g.Book.Roster(), v.Title, least); err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("vault %q opens by %s", v.Title, least.Said()), "until now by " + v.MinApproval.Said()}
	req, g, err := b.g.Gesture(ctx, who, a, gate.Act{Action: action, Vault: v, Lines: lines, Needs: []string{v.ID},
		Change: []string{v.ID, fmt.Sprint(v.Version), string(least)}})
	if err != nil {
		return nil, b.g.Refused(who, action, err)
	}
	defer g.Close()
	roster := b.g.Book.Roster()
	now, err := b.g.Book.Vault(op, v.ID)
	if err == nil && now.Version != v.Version {
		err = fault.New(fault.Conflict, op, v.Title, "the vault was changed meanwhile").WithHint("do it again")
	}
	if err == nil {
		err = b.g.Met(roster, v.Title, least)
	}
	if err != nil {
		return nil, err
	}
	next, changed, err := g.Retake(roster, now.Vault, least)
	if err != nil {
		return nil, err
	}
	ev := gate.Did(who, canon.EventWrite, action, "written", v.ID, "", "")
	ev.Reason = "minimum approval " + string(v.MinApproval) + " changed to " + string(least)
	e := ledger.Entry{Events: []canon.Event{ev}, Consume: []string{req.ID}}
	if e.Statements, err = b.g.Rostered(g, roster, next, changed); err != nil {
		return nil, err
	}
	if _, err := b.g.Book.Write(ctx, e); err != nil {
		return nil, err
	}
	return b.g.Book.Vault(op, v.ID)
}

//go:build unix

package account_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// asked is a way of asking in which something happens before the person answers.
func (h *home) asked(meanwhile func(approve.Ticket), answer func(string) error) broker.Ask {
	return broker.Ask{Waiting: func(x approve.Ticket) (func(), error) {
		go func() {
			meanwhile(x)
			if err := answer(x.ID); err != nil {
				h.t.Errorf("answer: %v", err)
				_ = h.broker.Deny(context.Background(), h.who, x.ID)
			}
		}()
		return func() {}, nil
	}}
}

func nothing(approve.Ticket) {}

// A name is given once, also where two who asked for it are both approved.
func TestNameTakenMeanwhile(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	const db = "op://dev/DB/password"
	_, err := h.create(personPID, order(), func(id string) error {
		h.granted(order())
		return h.approve(id)
	}, db)
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a second grant of one name: %v", err)
	}
	if l, err := h.broker.Grants(context.Background(), h.as(personPID), true); err != nil || len(l) != 1 {
		t.Errorf("%d, %v", len(l), err)
	}

	ctx := context.Background()
	second := func(approve.Ticket) {
		if _, err := h.broker.CreateVault(ctx, h.who, h.asked(nothing, h.approve), "team", canon.TierStandard, ""); err != nil {
			t.Error(err)
		}
	}
	if _, err := h.broker.CreateVault(ctx, h.who, h.asked(second, h.approve), "Team", canon.TierStandard, ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second vault of one name: %v", err)
	}
	if l, err := h.broker.Vaults(h.who); err != nil || len(l) != 3 {
		t.Errorf("%d, %v", len(l), err)
	}
}

// waits is the request that waits.
func (h *home) waits() (id string) {
	for _, x := range h.broker.Requests() {
		if x.State == approve.Pending {
			id = x.ID
		}
	}
	return id
}

// A vault that was approved by a passphrase which was replaced since does not open by
// that one, and not without the new one.
func TestVaultByAPassphraseOfBefore(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	create := func(a broker.Ask) error {
		_, err := h.broker.CreateVault(ctx, h.who, a, "team", canon.TierPresence, "")
		return err
	}
	if err := create(broker.Ask{NoWait: true}); !fault.Is(err, fault.Pending) {
		t.Fatal(err)
	}
	id := h.waits()
	if err := h.yes(id); err != nil {
		t.Fatal(err)
	}
	const next = "another presence passphrase"
	if err := h.acc.Passphrase(ctx, h.who, broker.Ask{}, "file", "presence", []byte(presencePass), []byte(presencePass), []byte(next)); err != nil {
		t.Fatal(err)
	}
	err := create(broker.Ask{NoWait: true, Request: id})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("by the passphrase of before: %v", err)
	}
	if err != nil {
		h.clock.move(time.Minute, time.Minute)
		if err := create(h.asked(nothing, h.typing("", next))); err != nil {
			t.Fatal(err)
		}
	}
	h.put("team", "Mail", concealed("password", later))
	x := h.thief(slot.Way{Kind: canon.SlotPresence}, always(presencePass))
	x.take(h.loot())
	if got := x.reads(h.loot()); len(got) > 0 {
		t.Errorf("the passphrase of before reads %v", got)
	}
	h.reading("the passphrase of now", "op://team/Mail/password", later, h.typing("", next))
}

// An approval that lay there while a vault's keys changed removes no passkey, and is
// told so: that is no tampering.
func TestRemovalApprovedBefore(t *testing.T) {
	t.Parallel()
	h, k, _ := keyed(newPersonsHome(t))
	ctx := context.Background()
	remove := func(a broker.Ask) error { return h.acc.RemovePasskey(ctx, h.who, a, "file", "spare", nil) }
	if err := remove(broker.Ask{NoWait: true}); !fault.Is(err, fault.Pending) {
		t.Fatal(err)
	}
	id := h.waits()
	if err := h.touch(k)(id); err != nil {
		t.Fatal(err)
	}
	if _, err := h.broker.EditVault(ctx, h.who, h.by(k), "prod", canon.LeastPasskey); err != nil {
		t.Fatal(err)
	}
	if err := remove(broker.Ask{NoWait: true, Request: id}); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
	if err := remove(h.by(k)); err != nil {
		t.Error(err)
	}
}

// Nobody else's work waits for a person.
func TestCreateWhileAnotherWaits(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	create := func(approve.Ticket) {
		done := make(chan error, 1)
		go func() {
			_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Create, Vault: "dev", Item: "Other"})
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("a creation waits for somebody else's approval")
		}
	}
	w, err := h.broker.Put(ctx, h.who, vault.Put{Ask: h.asked(create, h.yes), Mode: vault.Set, Vault: "dev", Item: "Stripe", URLs: []string{"https://stripe.com"}})
	if err != nil || len(w.Item.Meta.URLs) != 1 {
		t.Errorf("%v", err)
	}
}

// Of two that create one title at once, one does.
func TestCreateTogether(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	const many = 8
	errs := make(chan error, many)
	for range many {
		go func() {
			_, err := h.broker.Put(context.Background(), h.who, vault.Put{Mode: vault.Create, Vault: "dev", Item: "Same"})
			errs <- err
		}()
	}
	var made int
	for range many {
		if err := <-errs; err == nil {
			made++
		} else if !fault.Is(err, fault.Exists) {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d were made", made)
	}
}

// Items that the store does not list are found all the same, in the same order
// each time.
func TestListWithoutTheStore(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	for i := range 12 {
		if _, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Create, Vault: "dev", Item: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	h.db.blind = true
	var ids []string
	err := h.broker.List(ctx, h.who, "dev", false, func(it *vault.Item) error { ids = append(ids, it.ID); return nil })
	if err != nil || len(ids) != 13 || !slices.IsSorted(ids) {
		t.Errorf("%q, %v", ids, err)
	}
}

// What a person reads of a change says all that it does: the tier of the vault
// that a value goes to, and that no value is left.
func TestChangesAreShown(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	shown := func(what string, do func(broker.Ask) error) string {
		var lines []string
		see := func(x approve.Ticket) {
			var r canon.Request
			if err := canon.Decode(x.Raw, &r); err != nil {
				t.Error(err)
			}
			for _, l := range canon.Lines(r) {
				if l.Label == "change" {
					lines = append(lines, l.Text)
				}
			}
		}
		if err := do(h.asked(see, h.yes)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return strings.Join(lines, "\n")
	}
	edit := func(item string, p vault.Put) func(broker.Ask) error {
		return func(a broker.Ask) error {
			p.Ask, p.Mode, p.Vault, p.Item = a, vault.Edit, "prod", item
			_, err := h.broker.Put(ctx, h.who, p)
			return err
		}
	}
	const removed = "its last value is removed"
	gone := vault.Put{Changes: []vault.Change{{Field: vault.Field{Label: "credential"}, Delete: true}}}
	renamed := vault.Put{Title: "Billing"}
	for _, c := range []struct {
		what string
		do   func(broker.Ask) error
		want string
		not  string
	}{
		{"rename", edit("Stripe", renamed), `title "Billing"`, removed},
		{"move", func(a broker.Ask) error {
			_, err := h.broker.Move(ctx, h.who, a, "dev", "Stripe", "prod")
			return err
		}, "move item dev/Stripe to vault prod, tier presence", removed},
		{"bind", edit("Billing", vault.Put{URLs: []string{"https://api.p\u0430ypal.example/v1?ключ=x", "https://пример.example"}}),
			`addresses ["https://api.p\u{430}ypal.example/v1?ключ=x" "https://\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.example"]`, removed},
		{"unbind", edit("Billing", gone), removed, "tier"},
	} {
		if got := shown(c.what, c.do); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%s: %q does not say %q, or says %q", c.what, got, c.want, c.not)
		}
	}
}

//go:build unix

package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// refusedAs checks the kind of an error, and words of it or of its hint.
func refusedAs(t *testing.T, what string, err error, kind fault.Kind, words string) {
	t.Helper()
	e, _ := errors.AsType[*fault.Error](err)
	if e == nil || e.Kind != kind || !strings.Contains(e.Error()+" "+e.Hint, words) {
		t.Errorf("%s: %v (%+v), want %s with %q", what, err, e, kind, words)
	}
}

// make creates a vault that takes at least so much, with a value.
func (h *home) make(name string, least canon.Least, yes func(string) error) {
	h.t.Helper()
	h.clock.move(time.Minute, time.Minute)
	if v, err := h.broker.CreateVault(context.Background(), h.who, h.asked(nothing, yes), name, canon.TierPresence, least); err != nil || v.MinApproval != least {
		h.t.Fatalf("%s: %v", name, err)
	}
	h.put(name, "Stripe", concealed("credential", canary))
}

// kinds are the kinds of slots that reach the compartment of a vault.
func (h *home) kinds(name string) (out []canon.SlotKind) {
	h.t.Helper()
	vs, err := h.broker.Vaults(h.who)
	if err != nil {
		h.t.Fatal(err)
	}
	l := h.loot()
	for _, v := range vs {
		c, _ := l.roster.Compartment(v.ID)
		for _, x := range c.Seeds {
			for _, s := range l.roster.Slots {
				if hd, _ := slot.Header(s); hd.ID == x.To && v.Title == name {
					out = append(out, hd.Kind)
				}
			}
		}
	}
	return out
}

// leastHome is a person's home with a passphrase, a PIN and a passkey, and a vault that
// takes each of them at least: prod, pinned and keyed.
func leastHome(t *testing.T) (*home, *approvetest.Passkey) {
	h := newPersonsHome(t)
	h.chipped()
	k := h.key()
	ctx := context.Background()
	for _, least := range []canon.Least{canon.LeastPIN, canon.LeastPasskey} { // not before there is one
		_, err := h.broker.CreateVault(ctx, h.who, broker.Ask{NoWait: true}, "early", canon.TierPresence, least)
		refusedAs(t, "before there is one", err, fault.Denied, "there is none")
	}
	h.must(k, "laptop", typed(), broker.Ask{})
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
		t.Fatal(err)
	}
	h.make("pinned", canon.LeastPIN, h.yes)
	h.make("keyed", canon.LeastPasskey, h.yes)
	return h, k
}

// What is weaker than a vault takes is refused while the request waits, is told what
// is needed, and has no key either; what is enough opens it after that.
func TestMinApproval(t *testing.T) {
	t.Parallel()
	h, k := leastHome(t)
	ways := map[string]func(string) error{"passphrase": h.yes, "pin": h.typing(canon.SlotPIN, pin), "passkey": h.touch(k)}
	order := []string{"passphrase", "pin", "passkey"}
	for least, at := range []string{"prod", "pinned", "keyed"} {
		name := "op://" + at + "/Stripe/credential"
		for _, by := range order[:least] {
			h.clock.move(time.Minute, time.Minute)
			id := h.park(name)
			refusedAs(t, at+" by "+by, ways[by](id), fault.Denied, "a passkey that decrypts")
			if x, err := h.broker.Request(id); err != nil || x.State != approve.Pending || x.Signed != nil {
				t.Errorf("%s by %s: the request is %s, %v", at, by, x.State, err)
			}
			if err := ways["passkey"](id); err != nil {
				t.Errorf("%s after %s: %v", at, by, err)
			}
			if got, err := h.collect(name, id); got != canary || err != nil {
				t.Errorf("%s after %s: %q, %v", at, by, got, err)
			}
		}
		for _, by := range order[least:] {
			h.reading(by, name, canary, ways[by])
		}
	}
	for at, want := range map[string][]canon.SlotKind{
		"prod":   {canon.SlotPresence, canon.SlotRecovery, canon.SlotPasskey, canon.SlotPIN},
		"pinned": {canon.SlotRecovery, canon.SlotPasskey, canon.SlotPIN},
		"keyed":  {canon.SlotRecovery, canon.SlotPasskey},
	} {
		if diff := cmp.Diff(want, h.kinds(at)); diff != "" {
			t.Errorf("%s is sealed to (-want +got): %s", at, diff)
		}
	}
	// With the passphrase, the share and the database nothing else opens.
	x := h.thief(slot.Way{Kind: canon.SlotPresence}, always(presencePass))
	h.put("keyed", "Own", concealed("credential", later))
	h.put("pinned", "Own", concealed("credential", later))
	l := h.loot()
	x.take(l)
	if diff := cmp.Diff(map[string]bool{canary: true}, x.reads(l)); diff != "" {
		t.Errorf("the passphrase reads (-want +got): %s", diff)
	}
	// A passkey that only signs decrypts nothing.
	badge := h.key()
	badge.SignsOnly = true
	_, err := h.enrol(badge, "badge", typed(), broker.Ask{})
	refusedAs(t, "enrolled by the passphrase", err, fault.Denied, "a passkey that decrypts")
	h.must(badge, "badge", passkey.Adding{}, h.by(k))
	id := h.park("op://keyed/Stripe/credential")
	_, err = h.answer(badge, approve.Lease{}, id)
	refusedAs(t, "signed", err, fault.Denied, "a passkey that decrypts")
	h.verifies(-1)
}

// A minimum can be changed by who meets it, and not to what nobody meets; what is left
// too weak loses its key, and the last way that meets it stays.
func TestMinApprovalChanged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h, k := leastHome(t)
	edit := func(name string, least canon.Least, yes func(string) error) error {
		t.Helper()
		h.clock.move(time.Minute, time.Minute)
		answered := make(chan error, 1)
		asked := false
		ask := broker.Ask{Waiting: func(x approve.Ticket) (func(), error) {
			asked = true
			go func() {
				err := yes(x.ID)
				if err != nil {
					_ = h.broker.Deny(ctx, h.who, x.ID)
				}
				answered <- err
			}()
			return func() {}, nil
		}}
		_, err := h.broker.EditVault(ctx, h.who, ask, name, least)
		if asked {
			if refused := <-answered; refused != nil {
				return refused
			}
		}
		return err
	}
	for name, c := range map[string]struct {
		vault string
		least canon.Least
		kind  fault.Kind
		words string
	}{
		"unlock":           {"prod", canon.LeastUnlock, fault.Usage, "presence-passphrase, pin or passkey"},
		"unknown":          {"prod", "thumb", fault.Usage, "presence-passphrase, pin or passkey"},
		"nothing":          {"prod", "", fault.Usage, "--min-approval"},
		"a standard vault": {"dev", canon.LeastPIN, fault.Usage, "takes no gesture"},
		"no such vault":    {"prods", canon.LeastPIN, fault.NotFound, "prod"},
	} {
		refusedAs(t, name, edit(c.vault, c.least, h.touch(k)), c.kind, c.words)
	}
	refusedAs(t, "lowered by less", edit("keyed", canon.LeastPresence, h.yes), fault.Denied, "a passkey that decrypts")
	refusedAs(t, "lowered by a PIN", edit("keyed", canon.LeastPIN, h.typing(canon.SlotPIN, pin)), fault.Denied, "a passkey that decrypts")
	refusedAs(t, "the last passkey", h.acc.RemovePasskey(ctx, h.who, h.by(k), "file", "laptop", nil), fault.Denied, `"keyed"`)
	refusedAs(t, "the code renewed by less", errOnly(h.acc.RenewRecovery(ctx, h.who, broker.Ask{}, "file", []byte(presencePass))), fault.Denied, "a passkey that decrypts")

	x := h.thief(slot.Way{Kind: canon.SlotPresence}, always(presencePass))
	x.take(h.loot())
	if err := edit("prod", canon.LeastPasskey, h.yes); err != nil { // raised by what was enough
		t.Fatal(err)
	}
	refusedAs(t, "after it was raised", h.yes(h.park(prod)), fault.Denied, "a passkey that decrypts")
	h.put("prod", "Later", concealed("token", later))
	l := h.loot()
	x.take(l)
	if got := x.reads(l); got[later] || !got[canary] {
		t.Errorf("raised, and the passphrase reads %v", got)
	}
	if diff := cmp.Diff([]canon.SlotKind{canon.SlotRecovery, canon.SlotPasskey}, h.kinds("prod")); diff != "" {
		t.Error(diff)
	}
	h.reading("the passkey", prod, canary, h.touch(k))
	h.reading("the passkey", "op://prod/Later/token", later, h.touch(k))

	if err := edit("keyed", canon.LeastPresence, h.touch(k)); err != nil {
		t.Fatal(err)
	}
	h.reading("lowered", "op://keyed/Stripe/credential", canary, h.yes)
	h.reading("lowered", "op://keyed/Stripe/credential", canary, h.typing(canon.SlotPIN, pin))
	if err := edit("prod", canon.LeastPIN, h.touch(k)); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(k), "file", "laptop", nil); err != nil {
		t.Fatal(err)
	}
	refusedAs(t, "the last PIN", h.acc.RemovePIN(ctx, h.who, byPIN, "file", []byte(pin)), fault.Denied, "there is none")
	refusedAs(t, "a move without it", h.moves(), fault.Denied, "a PIN")
	h.reading("the PIN", prod, canary, h.typing(canon.SlotPIN, pin))
	h.verifies(-1)

	// A recovery leaves a passphrase: that is what vaults take then.
	lend, err := h.acc.RenewRecovery(ctx, h.who, byPIN, "file", []byte(pin))
	if err != nil {
		t.Fatal(err)
	}
	const next = "a presence passphrase of later"
	err = lend(func(code []byte) error {
		again, err := h.acc.Recover(ctx, h.who, "file", code, []byte("an unlock passphrase of later"), []byte(next))
		if err == nil {
			err = again(func([]byte) error { return nil })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"prod", "pinned", "keyed"} {
		h.reading("recovered", "op://"+at+"/Stripe/credential", canary, h.typing("", next))
	}
	told := 0
	h.events()
	err = h.acc.Events(ctx, api.AuditFilter{}, func(e api.Event) error {
		var ev canon.Event
		err := canon.Decode(e.Body, &ev)
		if ev.Action == "recover" {
			told = strings.Count(ev.Reason, "opens by")
		}
		return err
	})
	if err != nil || told != 2 {
		t.Errorf("the ledger says so %d times, %v", told, err)
	}
	h.verifies(-1)
}

func errOnly(_ func(func([]byte) error) error, err error) error { return err }

// moves gives the ledger to another device, by the PIN.
func (h *home) moves() error {
	dir := h.t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		h.t.Fatal(err)
	}
	d, err := device.Create(filepath.Join(dir, "device"), data, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	defer d.Close()
	return h.acc.Move(context.Background(), h.who, byPIN, "file", canon.Installation{V: 1, ID: d.ID(), DeviceKey: canon.Bytes(d.Public()), DeviceKEM: d.KEMPublic()}, []byte(pin))
}

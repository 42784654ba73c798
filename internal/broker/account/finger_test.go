//go:build unix

package account_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/tpm"
)

// finger is a setting and a reader that the test holds.
type finger struct {
	on     bool
	broken error // the setting
	touch  func(ctx context.Context) error
	asked  int
}

func (f *finger) setting() (func(context.Context, func(string)) error, error) {
	if f.broken != nil || !f.on {
		return nil, f.broken
	}
	return func(ctx context.Context, tell func(string)) error {
		f.asked++
		if tell != nil {
			tell("now the finger")
		}
		return f.touch(ctx)
	}, nil
}

func fingered(t *testing.T) (*home, *finger) {
	h := newHome(t)
	f := &finger{on: true, touch: func(context.Context) error { return nil }}
	h.reopen(account.Options{Finger: f.setting, Sleep: func(time.Duration) {}})
	h.opened()
	return h, f
}

// reasons are those of the decisions since a place.
func (h *home) reasons(from int64) string {
	h.t.Helper()
	h.events()
	var out []string
	err := h.acc.Events(context.Background(), api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		err := canon.Decode(e.Body, &ev)
		if ev.Type == canon.EventDecision || ev.Type == canon.EventDenial {
			out = append(out, fmt.Sprintf("%s %s %s: %s", ev.Type, ev.Action, ev.Outcome, ev.Reason))
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// The passphrase was right and the finger was not: nothing is answered, nothing
// opens, and it is on record. Then both are right.
func TestFingerBeside(t *testing.T) {
	t.Parallel()
	h, f := fingered(t)
	ctx := context.Background()
	id := h.park(prod)
	wrong := fault.New(fault.Denied, "fingerprint", "", "the finger did not match")
	for _, c := range []struct {
		what, pass string
		on         bool
		broken     error
		touch      error
		want       fault.Kind
		asked      int
		reason     string
	}{
		{"a wrong passphrase", unlockPass, true, nil, nil, fault.Passphrase, 0, "decision  failed: wrong presence passphrase"},
		{"a wrong finger", presencePass, true, nil, wrong, fault.Denied, 1, "decision  failed: the finger did not match"},
		{"an unreadable setting", presencePass, false, fault.New(fault.Usage, "config", "daemon.toml", "it is not understood"), nil, fault.Usage, 0, "decision  failed: it is not understood"},
	} {
		from := h.events()
		*f = finger{on: c.on, broken: c.broken, touch: func(context.Context) error { return c.touch }}
		told := ""
		err := h.broker.Approve(ctx, h.who, id, broker.Answer{Source: "file", Secret: []byte(c.pass), Tell: func(s string) { told += s }})
		if !fault.Is(err, c.want) || f.asked != c.asked || (told != "") != (c.asked > 0) {
			t.Errorf("%s: %v, asked %d times, told %q", c.what, err, f.asked, told)
		}
		if x, err := h.broker.Request(id); err != nil || x.State != approve.Pending {
			t.Errorf("%s: it is %s, %v", c.what, x.State, err)
		}
		if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Pending) {
			t.Errorf("%s: %q, %v", c.what, got, err)
		}
		if said := h.reasons(from); said != c.reason {
			t.Errorf("%s: the ledger says %q", c.what, said)
		}
	}
	from := h.events()
	*f = finger{on: true, touch: func(context.Context) error { return nil }}
	if err := h.yes(id); err != nil || f.asked != 1 {
		t.Fatal(err, f.asked)
	}
	if got, err := h.collect(prod, id); got != canary || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if said := h.reasons(from); said != "decision  approved: a finger matched too, as the system's own service says" {
		t.Errorf("the ledger says %q", said)
	}
	f.on = false
	from = h.events()
	h.gets(prod, h.yes)
	if said := h.reasons(from); f.asked != 1 || said != "decision  approved: " {
		t.Errorf("off: asked %d times, %q", f.asked, said)
	}
	if v, err := h.acc.Verify(ctx); err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

// A PIN takes a finger as the passphrase does, after it, and never instead of it.
func TestFingerBesidePIN(t *testing.T) {
	t.Parallel()
	h, chip := pinHome(t)
	f := &finger{touch: func(context.Context) error { return nil }}
	h.reopen(account.Options{Finger: f.setting, Sleep: func(time.Duration) {}, TPM: &tpm.TPM{Dial: chip.Dial, Rand: rand.Reader}})
	h.unlock()
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
		t.Fatal(err)
	}
	f.on = true
	var err error
	id := h.park(prod)
	if err = h.typed(canon.SlotPIN, otherPIN, new(error))(id); !fault.Is(err, fault.Passphrase) || f.asked != 0 {
		t.Errorf("a wrong PIN: %v, asked %d times", err, f.asked)
	}
	f.touch = func(context.Context) error {
		return fault.New(fault.Denied, "fingerprint", "", "the finger did not match")
	}
	from := h.events()
	if err = h.typed(canon.SlotPIN, pin, new(error))(id); !fault.Is(err, fault.Denied) || f.asked != 1 {
		t.Errorf("a wrong finger: %v, asked %d times", err, f.asked)
	}
	if err := h.setPIN(byPIN, pin, otherPIN); !fault.Is(err, fault.Denied) || f.asked != 2 {
		t.Errorf("another PIN with a wrong finger: %v, asked %d times", err, f.asked)
	}
	if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Pending) {
		t.Errorf("%q, %v", got, err)
	}
	f.touch = func(context.Context) error { return nil }
	if err = h.typed(canon.SlotPIN, pin, new(error))(id); err != nil || f.asked != 3 {
		t.Errorf("%v, asked %d times", err, f.asked)
	}
	if got, err := h.collect(prod, id); got != canary || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	said := h.reasons(from)
	for _, want := range []string{"decision  failed: the finger did not match", "denial pin set denied: ", "decision  approved: a finger matched too, "} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
}

// An act on the account itself takes the finger too.
func TestFingerForTheAccount(t *testing.T) {
	t.Parallel()
	h, f := fingered(t)
	ctx := context.Background()
	next := []byte(strings.ToUpper(unlockPass))
	change := func() error {
		return h.acc.Passphrase(ctx, h.who, broker.Ask{}, "file", "unlock", []byte(presencePass), []byte(unlockPass), next)
	}
	from := h.events()
	f.touch = func(context.Context) error {
		return fault.New(fault.Denied, "fingerprint", "", "the finger did not match")
	}
	if err := change(); !fault.Is(err, fault.Denied) {
		t.Errorf("a wrong finger: %v", err)
	}
	if said := h.reasons(from); !strings.HasPrefix(said, "denial passphrase change denied: ") || !strings.HasSuffix(said, "the finger did not match") {
		t.Errorf("the ledger says %q", said)
	}
	h.opened() // by the passphrase that it was
	from = h.events()
	f.touch = func(context.Context) error { return nil }
	if err := change(); err != nil || f.asked != 2 {
		t.Errorf("%v, asked %d times", err, f.asked)
	}
	if said := h.reasons(from); said != "decision passphrase change done: a finger matched too, as the system's own service says" {
		t.Errorf("the ledger says %q", said)
	}
}

// A lock does not wait for a finger, and a finger that comes after it opens nothing.
func TestFingerAndLock(t *testing.T) {
	t.Parallel()
	h, f := fingered(t)
	ctx := context.Background()
	f.touch = func(context.Context) error { return h.acc.Lock(ctx, "suspend") }
	id := h.park(prod)
	if err := h.yes(id); err == nil {
		t.Error("approved behind a lock")
	}
	if s := h.acc.State(); s != api.StateLocked {
		t.Error(s)
	}
	h.opened()
	if got, err := h.collect(prod, id); got != "" || err == nil {
		t.Errorf("%q, %v", got, err)
	}
	err := h.acc.Passphrase(ctx, h.who, broker.Ask{}, "file", "unlock", []byte(presencePass), []byte(unlockPass), []byte("another phrase of the test"))
	if !fault.Is(err, fault.Locked) {
		t.Errorf("a passphrase changed behind a lock: %v", err)
	}
	f.on = false
	h.opened()
	// Who is denied meanwhile is denied, whatever the finger says.
	f.on = true
	id = h.park(prod)
	f.touch = func(context.Context) error { return h.broker.Deny(ctx, h.who, id) }
	if err := h.yes(id); !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Denied) {
		t.Errorf("denied meanwhile: %v", err)
	}
}

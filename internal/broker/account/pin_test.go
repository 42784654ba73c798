//go:build unix

package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/tpm"
	"github.com/thumbturn/thumbturn/internal/tpm/tpmtest"
)

const pin, otherPIN, wrongPIN = "canary-739146", "canary-2580-7", "5173"

// pinHome is a home with a TPM, unlocked.
func pinHome(t *testing.T) (*home, *tpmtest.Chip) {
	t.Helper()
	c := tpmtest.New(t)
	c.Limit(10, 1000)
	h := newHome(t)
	h.pinAgain(c)
	return h, c
}

// again is a new process of the daemon, unlocked.
func (h *home) pinAgain(c *tpmtest.Chip) {
	h.t.Helper()
	o := account.Options{Sleep: func(time.Duration) {}}
	if c != nil {
		o.TPM = &tpm.TPM{Dial: c.Dial, Rand: rand.Reader}
	}
	h.reopen(o)
	h.unlock()
}

func (h *home) unlock() {
	h.t.Helper()
	if err := h.acc.Unlock(context.Background(), h.who, "file", []byte(unlockPass)); err != nil && !fault.Is(err, fault.Denied) { // see newHome
		h.t.Fatal(err)
	}
}

var byPIN = broker.Ask{Typed: canon.SlotPIN}

func (h *home) setPIN(ask broker.Ask, typed, fresh string) error {
	return h.acc.SetPIN(context.Background(), h.who, ask, "file", []byte(typed), []byte(fresh))
}

// typed answers a request with what is typed, and keeps the error.
func (h *home) typed(kind canon.SlotKind, secret string, out *error) func(id string) error {
	return func(id string) error {
		err := h.broker.Approve(context.Background(), h.who, id, broker.Answer{Source: "file", Typed: kind, Secret: []byte(secret)})
		if err != nil { // else the asker has gone on already
			*out = err
		}
		return err
	}
}

// opens reports what comes of a release from the presence vault by what is typed.
func (h *home) opens(kind canon.SlotKind, secret string) error {
	h.t.Helper()
	h.clock.move(time.Minute, time.Minute) // past the cool-down of a denial
	var refused error
	got, err := h.release("op://prod/Stripe/credential", h.typed(kind, secret, &refused))
	if refused != nil {
		return refused
	}
	if err == nil && got != canary {
		h.t.Errorf("got %q", got)
	}
	return err
}

// good and bad compare what comes of it.
func (h *home) good(what string, kind canon.SlotKind, secret string) {
	h.t.Helper()
	if err := h.opens(kind, secret); err != nil {
		h.t.Errorf("%s: %v", what, err)
	}
}

func (h *home) bad(what string, kind canon.SlotKind, secret string, want fault.Kind, words string) {
	h.t.Helper()
	err := h.opens(kind, secret)
	e, _ := errors.AsType[*fault.Error](err)
	if e == nil || e.Kind != want || !strings.Contains(e.Error()+" "+e.Hint, words) {
		h.t.Errorf("%s: %v (%+v), want %q with %q", what, err, e, want, words)
	}
}

// blobs names what the TPM has sealed here.
func (h *home) blobs() []string {
	h.t.Helper()
	all, err := filepath.Glob(filepath.Join(h.dir, "device", "tpm-*"))
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func TestPIN(t *testing.T) {
	t.Parallel()
	h, chip := pinHome(t)
	ctx := context.Background()
	h.bad("before it is set", canon.SlotPIN, pin, fault.Denied, "no PIN is set")
	for what, c := range map[string]struct {
		typed, fresh string
		ask          broker.Ask
		want         fault.Kind
	}{
		"trivial":            {presencePass, "1234", broker.Ask{}, fault.Usage},
		"wrong passphrase":   {unlockPass, pin, broker.Ask{}, fault.Passphrase},
		"unlock passphrase":  {presencePass, unlockPass, broker.Ask{}, fault.Usage},
		"presence again":     {presencePass, presencePass, broker.Ask{}, fault.Usage},
		"nothing":            {"", pin, broker.Ask{}, fault.Passphrase},
		"a PIN without one":  {pin, otherPIN, byPIN, fault.Denied},
		"something else":     {presencePass, pin, broker.Ask{Typed: canon.SlotRecovery}, fault.Usage},
		"the unlock kind":    {unlockPass, pin, broker.Ask{Typed: canon.SlotUnlock}, fault.Usage},
		"passkey as a value": {presencePass, pin, broker.Ask{Typed: canon.SlotPasskey}, fault.Usage},
	} {
		if err := h.setPIN(c.ask, c.typed, c.fresh); !fault.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if p := h.acc.PIN(); p.Set || p.Here || !p.Known || p.Err != nil || len(h.blobs()) > 0 {
		t.Errorf("not set: %+v, %q", p, h.blobs())
	}
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
		t.Fatal(err)
	}
	var st api.Status
	if h.acc.Describe(&st); !h.acc.PIN().Here || !st.Approval.PIN || !st.Approval.Passphrase {
		t.Errorf("set: %+v, %+v", h.acc.PIN(), st.Approval)
	}
	from := h.events()
	h.good("the PIN", canon.SlotPIN, pin)
	h.good("the passphrase beside it", canon.SlotPresence, presencePass)
	tiers := map[string]int{}
	h.events()
	if err := h.acc.Events(ctx, api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		err := canon.Decode(e.Body, &ev)
		for _, tier := range []string{"pin", "presence-passphrase"} {
			if ev.Outcome == "approved" && bytes.Contains(ev.Proof, []byte(`"tier":"`+tier+`"`)) {
				tiers[tier]++
			}
		}
		return err
	}); err != nil || tiers["pin"] != 1 || tiers["presence-passphrase"] != 1 {
		t.Errorf("tiers %v: %v", tiers, err)
	}
	h.bad("a wrong PIN", canon.SlotPIN, wrongPIN, fault.Passphrase, "9 tries left")
	h.bad("the passphrase as a PIN", canon.SlotPIN, presencePass, fault.Passphrase, "8 tries left")
	h.bad("the PIN as a passphrase", canon.SlotPresence, pin, fault.Passphrase, "wrong presence passphrase")

	// It opens what is made later, by itself and by the passphrase; and survives a lock.
	h.pinAgain(chip)
	h.good("after a lock", canon.SlotPIN, pin)
	code, err := h.acc.RenewRecovery(ctx, h.who, byPIN, "file", []byte(pin))
	if err != nil {
		t.Fatal(err)
	}
	_ = code(func([]byte) error { return nil })
	if err := h.acc.Passphrase(ctx, h.who, byPIN, "file", "presence", []byte(pin), nil, []byte("another presence passphrase")); err != nil {
		t.Fatal(err)
	}
	h.bad("the old passphrase", canon.SlotPresence, presencePass, fault.Passphrase, "")
	h.good("the new passphrase", canon.SlotPresence, "another presence passphrase")
	h.good("the PIN after a change of passphrase", canon.SlotPIN, pin)

	// Another takes its place.
	if err := h.setPIN(byPIN, pin, pin); !fault.Is(err, fault.Usage) {
		t.Errorf("the same again: %v", err)
	}
	if err := h.setPIN(byPIN, pin, otherPIN); err != nil {
		t.Fatal(err)
	}
	h.bad("the old PIN", canon.SlotPIN, pin, fault.Passphrase, "tries left")
	h.good("the new PIN", canon.SlotPIN, otherPIN)
	if n := len(h.blobs()); n != 1 {
		t.Errorf("%d blobs", n)
	}

	h.grep("canary-739146", "canary-2580-7", canary)
	if err := h.acc.RemovePIN(ctx, h.who, byPIN, "file", []byte(wrongPIN)); !fault.Is(err, fault.Passphrase) {
		t.Errorf("removed with a wrong PIN: %v", err)
	}
	if err := h.acc.RemovePIN(ctx, h.who, byPIN, "file", []byte(otherPIN)); err != nil {
		t.Fatal(err)
	}
	h.bad("removed", canon.SlotPIN, otherPIN, fault.Denied, "no PIN is set")
	h.good("the passphrase after that", canon.SlotPresence, "another presence passphrase")
	if n := len(h.blobs()); n != 0 {
		t.Errorf("%d blobs", n)
	}
	if v, err := h.acc.Verify(ctx); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
}

// grep fails the test where a text is anywhere in the home.
func (h *home) grep(texts ...string) {
	h.t.Helper()
	h.events()
	seen := 0
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		seen++
		for _, text := range texts {
			if bytes.Contains(b, []byte(text)) {
				h.t.Errorf("%q is in %s", text, path)
			}
		}
		return err
	})
	if err != nil || seen < 4 {
		h.t.Errorf("%d files: %v", seen, err)
	}
}

func TestPINLockedOut(t *testing.T) {
	t.Parallel()
	h, c := pinHome(t)
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
		t.Fatal(err)
	}
	c.Limit(3, 1000)
	for _, left := range []string{"2 tries left", "1 try left", "that was the last try"} {
		h.bad("wrong", canon.SlotPIN, wrongPIN, fault.Passphrase, left)
	}
	h.bad("the right one now", canon.SlotPIN, pin, fault.Denied, "in at most 16m40s")
	if p := h.acc.PIN(); !p.TPM.Locked || p.TPM.Left() != 0 || !p.Here {
		t.Errorf("%+v", p)
	}
	h.good("the passphrase", canon.SlotPresence, presencePass)
	c.Limit(3, 1000)
	h.good("the PIN later", canon.SlotPIN, pin)
}

// What the TPM kept may be gone, or the TPM, or what the TPM was: the PIN says so, and
// everything else goes on.
func TestPINGone(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		lose  func(*home, *tpmtest.Chip) *tpmtest.Chip
		want  fault.Kind
		words string
		here  bool
		again bool // a new one can be set
	}{
		"another device": {func(h *home, c *tpmtest.Chip) *tpmtest.Chip {
			if err := h.dev.KeepBlob(""); err != nil {
				t.Fatal(err)
			}
			return c
		}, fault.Unavailable, "thumbturn pin set", false, true},
		"TPM cleared":        {func(_ *home, c *tpmtest.Chip) *tpmtest.Chip { c.Clear(); return c }, fault.Tampered, "thumbturn pin set", true, true},
		"TPM gone":           {func(_ *home, c *tpmtest.Chip) *tpmtest.Chip { c.Stop(); return c }, fault.Unavailable, "the TPM did not do it", true, false},
		"no TPM":             {func(*home, *tpmtest.Chip) *tpmtest.Chip { return nil }, fault.Unavailable, "no TPM", true, false},
		"the blob is broken": {func(h *home, c *tpmtest.Chip) *tpmtest.Chip { h.spoil(); return c }, fault.Tampered, "thumbturn pin set", true, true},
	} {
		t.Run(what, func(t *testing.T) {
			h, chip := pinHome(t)
			if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
				t.Fatal(err)
			}
			chip = c.lose(h, chip)
			h.pinAgain(chip)
			if p := h.acc.PIN(); p.Here != c.here || !p.Set {
				t.Errorf("%+v", p)
			}
			h.bad("the PIN", canon.SlotPIN, pin, c.want, c.words)
			h.good("the passphrase", canon.SlotPresence, presencePass)
			if err := h.setPIN(broker.Ask{}, presencePass, otherPIN); (err == nil) != c.again {
				t.Errorf("set again: %v", err)
			}
			if c.again {
				h.good("the new one", canon.SlotPIN, otherPIN)
			}
			if err := h.acc.RemovePIN(context.Background(), h.who, broker.Ask{}, "file", []byte(presencePass)); err != nil || len(h.blobs()) != 0 {
				t.Errorf("removed: %v, %q", err, h.blobs())
			}
			h.good("the passphrase after that", canon.SlotPresence, presencePass)
		})
	}
}

// spoil changes a byte of what the TPM sealed.
func (h *home) spoil() {
	b, err := os.ReadFile(h.blobs()[0])
	if err == nil {
		b[50] ^= 1
		err = os.WriteFile(h.blobs()[0], b, 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// A change that is cut short between the blob and the statement, or between the
// statement and the end of the old blob: the PIN that the roster names opens, and the
// next unlock clears up.
func TestPINCutShort(t *testing.T) {
	t.Parallel()
	h, c := pinHome(t)
	fails := errors.New("the disk is gone")
	h.db.set(func(b store.Batch) error {
		if len(b.Statements) > 0 {
			return fails
		}
		return nil
	}, nil)
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err == nil || len(h.blobs()) != 1 {
		t.Fatalf("%v, %q", err, h.blobs())
	}
	h.db.set(nil, nil)
	h.pinAgain(c)
	if len(h.blobs()) != 0 {
		t.Errorf("left: %q", h.blobs())
	}
	h.bad("never written", canon.SlotPIN, pin, fault.Denied, "no PIN is set")
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
		t.Fatal(err)
	}
	old := h.blobs()[0]
	kept, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}

	h.db.set(func(b store.Batch) error {
		if len(b.Statements) > 0 {
			return fails
		}
		return nil
	}, nil)
	if err := h.setPIN(broker.Ask{}, presencePass, otherPIN); err == nil || len(h.blobs()) != 2 {
		t.Fatalf("%v, %q", err, h.blobs())
	}
	h.db.set(nil, nil)
	h.pinAgain(c)
	if b := h.blobs(); len(b) != 1 || b[0] != old {
		t.Errorf("%q", b)
	}
	h.good("the one that the roster names", canon.SlotPIN, pin)

	if err := h.setPIN(broker.Ask{}, presencePass, otherPIN); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, kept, 0o600); err != nil { // as a kill before its end leaves it
		t.Fatal(err)
	}
	h.bad("the old one is no more", canon.SlotPIN, pin, fault.Passphrase, "")
	h.good("the new one is", canon.SlotPIN, otherPIN)
	h.pinAgain(c)
	if b := h.blobs(); len(b) != 1 || b[0] == old {
		t.Errorf("%q", b)
	}
	h.good("and stays", canon.SlotPIN, otherPIN)
}

// A recovery ends the PIN.
func TestPINRecovered(t *testing.T) {
	t.Parallel()
	h, _ := pinHome(t)
	ctx := context.Background()
	if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
		t.Fatal(err)
	}
	lend, err := h.acc.RenewRecovery(ctx, h.who, broker.Ask{}, "file", []byte(presencePass))
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	_ = lend(func(b []byte) error { code = bytes.Clone(b); return nil })
	if _, err := h.acc.Recover(ctx, h.who, "file", code, []byte("a new unlock passphrase"), []byte("a new presence passphrase")); err != nil {
		t.Fatal(err)
	}
	h.bad("after a recovery", canon.SlotPIN, pin, fault.Denied, "no PIN is set")
	h.good("the passphrase", canon.SlotPresence, "a new presence passphrase")
	if len(h.blobs()) != 0 {
		t.Errorf("left: %q", h.blobs())
	}
}

// Beside passkeys the PIN is a way of its own: one of the two stays. What a passkey has
// signed that gives no key, the PIN completes.
func TestPINAndPasskeys(t *testing.T) {
	t.Parallel()
	h, _ := pinHome(t)
	ctx := context.Background()
	_, k, spare := keyed(h)
	if err := h.setPIN(h.by(k), "", pin); err != nil {
		t.Fatal(err)
	}
	h.good("the PIN, with no passphrase", canon.SlotPIN, pin)
	h.bad("the passphrase", canon.SlotPresence, presencePass, fault.Denied, "passkeys approve")
	if err := h.setPIN(byPIN, pin, otherPIN); err != nil {
		t.Fatal(err)
	}
	badge := h.key()
	badge.SignsOnly = true
	if e := h.must(badge, "badge", passkey.Adding{Presence: []byte(otherPIN)}, byPIN); e.PRF || e.PassphraseEnded {
		t.Errorf("%+v", e)
	}
	h.clock.move(time.Minute, time.Minute)
	id := h.park(prod)
	if how, err := h.answer(badge, approve.Lease{}, id); err != nil || how != "signed" {
		t.Errorf("%s, %v", how, err)
	}
	if err := h.broker.Approve(ctx, h.who, id, broker.Answer{Source: "file", Typed: canon.SlotPIN, Secret: []byte(otherPIN)}); err != nil {
		t.Error(err)
	}
	if got, err := h.collect(prod, id); err != nil || got != canary {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []string{"badge", "spare", "laptop"} {
		if err := h.acc.RemovePasskey(ctx, h.who, byPIN, "file", name, []byte(otherPIN)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.clock.move(time.Minute, time.Minute)
	for _, x := range []*approvetest.Passkey{k, spare} {
		if _, err := h.answer(x, approve.Lease{}, h.park(prod)); err == nil {
			t.Error("a removed passkey approves")
		}
	}
	h.good("the PIN alone", canon.SlotPIN, otherPIN)
	h.bad("the passphrase, where the PIN is alone", canon.SlotPresence, presencePass, fault.Denied, "the PIN approves")
	if err := h.acc.RemovePIN(ctx, h.who, byPIN, "file", []byte(otherPIN)); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "last way") {
		t.Errorf("the last way was removed: %v", err)
	}
	if err := h.acc.Passphrase(ctx, h.who, byPIN, "file", "presence", []byte(otherPIN), nil, []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.RemovePIN(ctx, h.who, byPIN, "file", []byte(otherPIN)); err != nil {
		t.Error(err)
	}
	h.good("the passphrase that came back", canon.SlotPresence, presencePass)
	h.verifies(-1)
}

// With the PIN lost, a passkey is the last way: a PIN that opens nothing here is none.
func TestPINLostBesidePasskeys(t *testing.T) {
	t.Parallel()
	h, _ := pinHome(t)
	ctx := context.Background()
	_, k, _ := keyed(h)
	if err := h.setPIN(h.by(k), "", pin); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(k), "file", "spare", nil); err != nil {
		t.Fatal(err)
	}
	if err := h.dev.KeepBlob(""); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(k), "file", "laptop", nil); !fault.Is(err, fault.Denied) {
		t.Errorf("the last way was removed: %v", err)
	}
}

// An agent sets, removes and types no PIN, in whatever it runs; a file is typed by
// nobody; and without a TPM a person is told so before anything is asked.
func TestPINRefused(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	ctx := context.Background()
	agent := h.as(hiredPID, "thumbturn", "pin", "set")
	h.park(prod)
	id := h.broker.Requests()[0].ID
	for what, c := range map[string]struct {
		err   error
		kind  fault.Kind
		words string
	}{
		"agent sets":     {h.acc.SetPIN(ctx, agent, broker.Ask{}, "terminal", []byte(presencePass), []byte(pin)), fault.Denied, "under an agent"},
		"agent removes":  {h.acc.RemovePIN(ctx, agent, broker.Ask{}, "terminal", []byte(presencePass)), fault.Denied, "under an agent"},
		"agent approves": {h.broker.Approve(ctx, agent, id, broker.Answer{Source: "terminal", Typed: canon.SlotPIN, Secret: []byte(pin)}), fault.Denied, "under an agent"},
		"nobody":         {h.acc.SetPIN(ctx, identity.Caller{}, broker.Ask{}, "terminal", []byte(presencePass), []byte(pin)), fault.Denied, "nobody"},
		"from a file":    {h.acc.SetPIN(ctx, h.who, broker.Ask{}, "file", []byte(presencePass), []byte(pin)), fault.Denied, "test homes only"},
		"none to remove": {h.acc.RemovePIN(ctx, h.who, broker.Ask{}, "terminal", []byte(presencePass)), fault.NotFound, "no PIN"},
		"no TPM":         {h.acc.SetPIN(ctx, h.who, broker.Ask{}, "terminal", []byte(presencePass), []byte(pin)), fault.Unavailable, "no TPM"},
	} {
		if !fault.Is(c.err, c.kind) || !strings.Contains(c.err.Error(), c.words) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
	if err := h.acc.Lock(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.SetPIN(ctx, h.who, broker.Ask{}, "terminal", []byte(presencePass), []byte(pin)); !fault.Is(err, fault.Locked) {
		t.Errorf("locked: %v", err)
	}
}

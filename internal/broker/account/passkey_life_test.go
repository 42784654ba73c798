//go:build unix

package account_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/ref"
)

// A passkey that only signs leaves a request pending until the passphrase completes
// it, with the terms that were signed and no others.
func TestSignsOnly(t *testing.T) {
	t.Parallel()
	h := leased(t)
	ctx := context.Background()
	k := h.key()
	k.SignsOnly = true
	enrolInTheatre(h, k, "badge")
	who := h.as(hiredPID, "thumbturn", "run", "--", task().prog.Argv[0])
	from := h.events()
	id := h.parkAs(who, task())
	if how, err := h.answer(k, h.terms(time.Minute, 3), id); err != nil || how != "signed" {
		t.Fatalf("%s, %v", how, err)
	}
	if x, _ := h.broker.Request(id); x.State != approve.Pending || x.Signed == nil {
		t.Fatalf("%+v", x)
	}
	complete := func(l approve.Lease, pass string) error {
		return h.broker.Approve(ctx, h.as(personPID), id, broker.Answer{Source: "terminal", Lease: l, Secret: []byte(pass)})
	}
	if err := complete(h.terms(time.Minute, 4), presencePass); !fault.Is(err, fault.Conflict) {
		t.Errorf("other terms: %v", err)
	}
	if err := complete(approve.Lease{}, unlockPass); !fault.Is(err, fault.Passphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if x, _ := h.broker.Request(id); x.State != approve.Pending {
		t.Fatalf("%s", x.State)
	}
	if err := complete(approve.Lease{}, presencePass); err != nil {
		t.Fatal(err)
	}
	ps := h.proofs(from)
	if len(ps) != 1 || ps[0].Tier != approve.TierSigned || ps[0].Lease == nil || ps[0].Lease.Uses != 3 || ps[0].Assertion == nil {
		t.Errorf("%+v", ps)
	}
	h.verifies(1)
}

// What a passkey that was removed has signed counts no more: the passphrase alone
// approves.
func TestSignerRemoved(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	k := h.key()
	k.SignsOnly = true
	h.must(k, "badge", typed(), broker.Ask{})
	id := h.park(prod)
	if how, err := h.answer(k, approve.Lease{}, id); err != nil || how != "signed" {
		t.Fatalf("%s, %v", how, err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, broker.Ask{}, "file", "badge", []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	from := h.events()
	if err := h.yes(id); err != nil {
		t.Fatal(err)
	}
	if ps := h.proofs(from); len(ps) != 1 || ps[0].Tier != approve.TierPresence || ps[0].Assertion != nil {
		t.Errorf("%+v", ps)
	}
	if got, err := h.collect(prod, id); got != canary || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	h.verifies(0)
}

// enrolInTheatre is enrol at a person's terminal.
func enrolInTheatre(h theatre, k *approvetest.Passkey, name string) {
	h.t.Helper()
	ctx := context.Background()
	id, err := h.acc.AddPasskey(ctx, h.as(personPID), broker.Ask{}, passkey.Adding{Source: "terminal", Name: name, Presence: []byte(presencePass)})
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.acc.Registration(id)
	if err != nil {
		h.t.Fatal(err)
	}
	var m approve.Made
	m.Attestation, m.ClientData = k.Create(r.Challenge)
	c, err := h.acc.Made(id, m)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c)); err != nil {
		h.t.Fatal(err)
	}
}

// parkAs leaves a job's request behind.
func (h theatre) parkAs(who identity.Caller, j job) (id string) {
	h.t.Helper()
	_, err := h.releaseAs(who, j, broker.Ask{NoWait: true})
	var waits *fault.Error
	if !errors.As(err, &waits) || waits.Kind != fault.Pending {
		h.t.Fatalf("parked: %v", err)
	}
	return waits.Ref
}

// releaseAs asks for a job's value in a way.
func (h theatre) releaseAs(who identity.Caller, j job, ask broker.Ask) (string, error) {
	h.t.Helper()
	return h.releaseIn(context.Background(), who, j, ask)
}

func (h theatre) releaseIn(ctx context.Context, who identity.Caller, j job, ask broker.Ask) (string, error) {
	h.t.Helper()
	client, server := h.pair()
	r, err := ref.Parse(j.refs[0])
	if err != nil {
		h.t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		if hd, err := api.ReadHeader(client); err == nil && hd.Values > 0 {
			b, _ := api.ReadValue(client)
			done <- string(b)
			return
		}
		done <- ""
	}()
	_, err = h.broker.Release(ctx, who, broker.Want{Ask: ask, Agent: j.agent, Refs: []ref.Ref{r}},
		handoff.To(server, j.prog, broker.ShownArgs(j.prog.Argv), []string{"PASSWORD"}))
	_ = server.CloseWrite()
	return <-done, err
}

// A lease that a passkey signed serves its task, and no lease comes that the policy
// does not give.
func TestLeaseByPasskey(t *testing.T) {
	t.Parallel()
	h := leased(t)
	k := h.key()
	enrolInTheatre(h, k, "laptop")
	who := h.as(hiredPID, append([]string{"thumbturn", "run", "--"}, task().prog.Argv...)...)
	id := h.parkAs(who, task())
	for name, l := range map[string]approve.Lease{"too long": h.terms(31*time.Minute, 2), "too often": h.terms(time.Minute, approve.MaxUses+1), "past": h.terms(-time.Second, 2)} {
		if _, err := h.answer(k, l, id); err == nil {
			t.Errorf("%s: given", name)
		}
	}
	other := h.parkAs(who, task()) // two in one answer: each has its own
	if how, err := h.answer(k, h.terms(time.Minute, 2), id, other); err != nil || how != "approved" {
		t.Fatalf("%s, %v", how, err)
	}
	got, err := h.releaseAs(who, task(), broker.Ask{NoWait: true, Request: id})
	if err != nil || got != canary+"DB" {
		t.Fatalf("%q, %v", got, err)
	}
	for range 2 {
		h.given("under the lease", task())
	}
	h.refused("the third", task(), fault.Pending)
	h.verifies(2)
}

// To unlock with a passkey marks the session that asked, and no other. Agents, and
// passkeys that only sign, unlock nothing.
func TestUnlockByPasskey(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	ctx := context.Background()
	k, badge := h.key(), h.key()
	badge.SignsOnly = true
	enrolInTheatre(h, badge, "badge")
	lock := func() {
		t.Helper()
		if err := h.acc.Lock(ctx, "test"); err != nil {
			t.Fatal(err)
		}
	}
	unlock := func(pid int, finish func(c approve.Ceremony) error) error {
		return h.acc.UnlockPasskey(ctx, h.as(pid), "terminal", func(c approve.Ceremony) error {
			if err := finish(c); err != nil {
				t.Logf("finish: %v", err)
			}
			return nil
		})
	}
	with := func(k *approvetest.Passkey, but ...func(*approvetest.Said)) func(approve.Ceremony) error {
		return func(c approve.Ceremony) error {
			_, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c, but...))
			return err
		}
	}
	if err := unlock(personPID, with(badge)); !fault.Is(err, fault.NotFound) {
		t.Errorf("where none decrypts: %v", err)
	}
	enrolInTheatre(h, k, "laptop")
	lock()
	from := int64(0)
	for name, c := range map[string]struct {
		pid    int
		finish func(approve.Ceremony) error
	}{
		"an agent":        {hiredPID, with(k)},
		"a job":           {jobPID, with(k)},
		"one that signs":  {personPID, with(badge)},
		"another passkey": {personPID, with(h.key())},
		"another key":     {personPID, with(k.Impostor())},
		"not verified":    {personPID, with(k, func(s *approvetest.Said) { s.Flags = approvetest.Present })},
		"another page":    {personPID, with(k, func(s *approvetest.Said) { s.Origin = "http://localhost:20001" })},
		"another account's output": {personPID, func(c approve.Ceremony) error {
			x := h.touches(k, c)
			x[0].Sealed = h.sealed(c, 0, make([]byte, 32))
			_, _, err := h.acc.Finish(ctx, c.ID, x)
			return err
		}},
	} {
		if err := unlock(c.pid, c.finish); err == nil || h.acc.State() != api.StateLocked {
			t.Fatalf("%s: %v, %s", name, err, h.acc.State())
		}
	}
	if err := unlock(personPID, with(k)); err != nil || h.acc.State() != api.StateUnlocked {
		t.Fatalf("%v, %s", err, h.acc.State())
	}
	for pid, want := range map[int]identity.Kind{personPID: identity.Person, jobPID: identity.Agent, hiredPID: identity.Agent} {
		if got := h.as(pid).Kind(); (got == identity.Person) != (want == identity.Person) {
			t.Errorf("%d is %s", pid, got)
		}
	}
	if err := unlock(personPID, with(k)); err != nil { // once more, while it is open
		t.Error(err)
	}
	if err := unlock(personPID, with(k.Impostor())); err == nil {
		t.Error("while it is open anybody unlocks")
	}
	if says := h.ledgerSays(from); says["unlock/failed"] < 5 || says["unlock/done"] < 3 {
		t.Errorf("the ledger says %v", says)
	}
	waits, stop := context.WithCancel(ctx)
	err := h.acc.UnlockPasskey(waits, h.as(personPID), "terminal", func(c approve.Ceremony) error {
		defer stop()
		lock()
		if err := with(k)(c); !fault.Is(err, fault.NotFound) {
			t.Errorf("a ceremony outlived a lock: %v", err)
		}
		return nil
	})
	if err == nil || h.acc.State() != api.StateLocked {
		t.Errorf("%v, %s", err, h.acc.State())
	}
}

// Recovery code, restore and move take a passkey where the passphrase has ended.
func TestActsByPasskey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b := newSite(t), newSite(t)
	a.found()
	k := a.key()
	in := typed()
	in.Code = a.code
	a.must(k, "laptop", in, broker.Ask{})

	code, err := a.acc.RenewRecovery(ctx, a.who, a.by(k), "file", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = code(func(c []byte) error {
		if bytes.Equal(c, a.code) {
			t.Error("the old code")
		}
		return nil
	})
	if _, err := a.acc.RenewRecovery(ctx, a.who, a.by(k), "file", []byte(presencePass)); !fault.Is(err, fault.Denied) {
		t.Errorf("by the ended passphrase: %v", err)
	}

	// A database behind what the device has seen.
	file := filepath.Join(a.data(), "thumbturn.db")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	var old []byte
	a.restart(func() (err error) { old, err = os.ReadFile(file); return err })
	if err := a.open(unlockPass); err != nil {
		t.Fatal(err)
	}
	a.gets(prod, a.touch(k))
	a.restart(func() error { return os.WriteFile(file, old, 0o600) })
	if a.acc.State() != api.StateHeld {
		t.Fatalf("an old database: %s", a.acc.State())
	}
	if _, err := a.acc.Restore(ctx, a.who, a.asked(nothing, func(id string) error {
		_, err := a.answer(k.Impostor(), approve.Lease{}, id)
		if err == nil {
			t.Error("an impostor restored")
		}
		return a.broker.Deny(ctx, a.who, id)
	}), "file", nil); err == nil || a.acc.State() != api.StateHeld {
		t.Errorf("%v, %s", err, a.acc.State())
	}
	a.clock.move(10*time.Second, 10*time.Second)
	if _, err := a.acc.Restore(ctx, a.who, a.by(k), "file", nil); err != nil {
		t.Fatal(err)
	}
	if err := a.open(unlockPass); err != nil {
		t.Fatal(err)
	}
	a.gets(prod, a.touch(k))
	a.verifies(-1)

	if err := a.acc.Move(ctx, a.who, a.by(k), "file", b.acc.Installation(), nil); err != nil {
		t.Fatal(err)
	}
	swap, err := b.accept(a.backup())
	if err != nil {
		t.Fatal(err)
	}
	b.restart(swap)
	if err := b.open(unlockPass); err != nil {
		t.Fatal(err)
	}
	b.gets(prod, b.touch(k))
	b.verifies(-1)
}

//go:build unix

package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/ref"
)

// newShut is a locked theatre with a passkey.
func newShut(t *testing.T) (theatre, *approvetest.Passkey) {
	t.Helper()
	h := newTheatre(t, false)
	k := h.key()
	enrolInTheatre(h, k, "laptop")
	h.shut()
	return h, k
}

func (h theatre) shut() {
	h.t.Helper()
	if err := h.acc.Lock(context.Background(), "test"); err != nil || h.acc.State() != api.StateLocked {
		h.t.Fatal(err, h.acc.State())
	}
}

func parsed(t *testing.T, name string) ref.Ref {
	t.Helper()
	r, err := ref.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hired is an agent's run of something that needs one value.
func hired(name string) job {
	j := task()
	j.refs = []string{name}
	return j
}

// wanted is what an agent gets that asks for a value, where a person sees each request
// that comes of it.
func (h theatre) wanted(j job, person func(t approve.Ticket)) (string, error) {
	h.t.Helper()
	who := h.as(j.pid, append([]string{"thumbturn", "run", "--"}, j.prog.Argv...)...)
	return h.releaseAs(who, j, broker.Ask{Timeout: 10 * time.Second, Waiting: func(t approve.Ticket) (func(), error) {
		done := make(chan struct{})
		go func() { defer close(done); person(t) }()
		return func() { <-done }, nil
	}})
}

// yesBy is a person who touches a passkey for whatever comes, and keeps what it was.
func (h theatre) yesBy(k *approvetest.Passkey, seen *[]approve.Ticket) func(approve.Ticket) {
	return func(t approve.Ticket) {
		*seen = append(*seen, t)
		if how, err := h.answer(k, approve.Lease{}, t.ID); err != nil || how != "approved" && !(t.Unlock && how == "opened") {
			h.t.Errorf("%s: %s, %v", t.ID, how, err)
		}
	}
}

// One touch opens the vaults and answers what an agent asked meanwhile, of a standard
// vault and of the guarded one. What was signed named the references, the record names
// the values, and both verify offline.
func TestUnlockAndApprove(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	for _, name := range []string{"op://dev/DB/password", "op://PROD/stripe/Credential"} {
		h.shut()
		var seen []approve.Ticket
		want := canary
		if strings.Contains(name, "DB") {
			want += "DB"
		}
		got, err := h.wanted(hired(name), h.yesBy(k, &seen))
		if got != want || err != nil || len(seen) != 1 || !seen[0].Unlock {
			t.Fatalf("%s: %q, %v, after %d requests", name, got, err, len(seen))
		}
		var shown canon.Request
		if err := canon.Decode(seen[0].Raw, &shown); err != nil || !shown.Unlock || shown.Resolved() || shown.Subjects[0].Ref != name {
			t.Errorf("%+v, %v", shown.Subjects, err)
		}
		if h.acc.State() != api.StateUnlocked {
			t.Error(h.acc.State())
		}
	}
	if kind := h.as(personPID).Kind(); kind == identity.Person { // an agent's request makes no terminal a person's
		t.Error("the terminal counts as a person's")
	}
	h.refused("the next", hired("op://dev/DB/password"), fault.Pending)
	h.verifies(2)
	if says := h.ledgerSays(0); says["unlock/done"] < 2 || says["outcome/delivered"] != 2 {
		t.Errorf("the ledger says %v", says)
	}
}

// Who is no known agent, does not wait, or comes where no passkey opens anything, hears
// that it is locked, and nobody is asked.
func TestLockedForOthers(t *testing.T) {
	t.Parallel()
	h, _ := newShut(t)
	nobody := func(t approve.Ticket) { h.t.Errorf("asked for %s", t.ID) }
	for what, j := range map[string]job{"a person": {pid: personPID}, "a job": {pid: jobPID}} {
		j.refs, j.prog = []string{"op://dev/DB/password"}, task().prog
		if got, err := h.wanted(j, nobody); got != "" || !fault.Is(err, fault.Locked) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	h.refused("who does not wait", hired("op://dev/DB/password"), fault.Locked)
	h.refused("no reference", hired("op://dev/sk_live_0123456789abcdef/password"), fault.Locked)
	if got, err := h.wanted(hired("op://dev/sk_live_0123456789abcdef/password"), nobody); got != "" || !fault.Is(err, fault.Locked) {
		t.Errorf("a credential for a name: %q, %v", got, err)
	}
	// What the policy never gives an agent opens nothing.
	_, server := h.pair()
	_, err := h.broker.Release(t.Context(), h.as(hiredPID), broker.Want{Refs: []ref.Ref{parsed(t, prod)}, Ask: broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		nobody(t)
		return func() {}, errors.New("nobody")
	}}}, reveal.To(server, task().prog, nil, false))
	if !fault.Is(err, fault.Locked) {
		t.Errorf("a reading: %v", err)
	}
	if n := len(h.broker.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	h.s.mu.Lock()
	lost := h.s.procs[hiredPID] // whose parent nobody can read: no known agent
	lost.PID, lost.PPID, lost.SID, lost.PGID, lost.Start = 60, 61, 60, 60, 60
	h.s.procs[60] = lost
	h.s.mu.Unlock()
	j := hired("op://dev/DB/password")
	j.pid = 60
	if got, err := h.wanted(j, nobody); got != "" || !fault.Is(err, fault.Locked) {
		t.Errorf("an ancestor that cannot be read: %q, %v", got, err)
	}
	plain := newTheatre(t, false) // its passphrase opens nothing from the page
	plain.shut()
	if got, err := plain.wanted(hired("op://dev/DB/password"), nobody); got != "" || !fault.Is(err, fault.Locked) {
		t.Errorf("without a passkey: %q, %v", got, err)
	}
}

// What the touch does not come to is not approved, and the vaults are open: it is asked
// in full, or it is not there.
func TestUnlockedAndAskedAgain(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	ctx := context.Background()
	if err := h.acc.Unlock(ctx, h.as(personPID), "terminal", []byte(unlockPass)); err != nil {
		t.Fatal(err)
	}
	h.who = h.as(personPID)
	if _, err := h.broker.CreateVault(ctx, h.who, h.by(k), "vip", canon.TierPresence, ""); err != nil { // now there are two
		t.Fatal(err)
	}
	h.shut()
	var seen []approve.Ticket
	if got, err := h.wanted(hired(prod), h.yesBy(k, &seen)); got != canary || err != nil || len(seen) != 2 || !seen[0].Unlock || seen[1].Unlock {
		t.Errorf("%q, %v, after %d requests", got, err, len(seen))
	}
	h.shut()
	seen = nil
	if got, err := h.wanted(hired("op://dev/Nothing/here"), h.yesBy(k, &seen)); got != "" || !fault.Is(err, fault.NotFound) || len(seen) != 1 {
		t.Errorf("%q, %v, after %d requests", got, err, len(seen))
	}
	if h.acc.State() != api.StateUnlocked {
		t.Error(h.acc.State())
	}
	// Who unlocks at a terminal approves nothing by it.
	h.shut()
	seen = nil
	got, err := h.wanted(hired("op://dev/DB/password"), func(x approve.Ticket) {
		if seen = append(seen, x); !x.Unlock {
			_ = h.broker.Deny(ctx, h.who, x.ID)
			return
		}
		if err := h.acc.Unlock(ctx, h.as(personPID), "terminal", []byte(unlockPass)); err != nil {
			t.Error(err)
		}
	})
	if got != "" || !fault.Is(err, fault.Denied) || len(seen) != 2 {
		t.Errorf("%q, %v, after %d requests", got, err, len(seen))
	}
	h.verifies(-1)
}

// Whatever is not the enrolled passkey over exactly this neither opens nor approves.
func TestForgedUnlock(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	ctx := context.Background()
	finish := func(k *approvetest.Passkey, but ...func(*approvetest.Said)) func(approve.Ticket) error {
		return func(x approve.Ticket) error {
			c, err := h.acc.Question([]string{x.ID}, approve.Lease{})
			if err == nil {
				_, _, err = h.acc.Finish(ctx, c.ID, h.touches(k, c, but...))
			}
			return err
		}
	}
	badge := h.key()
	badge.SignsOnly = true
	for what, forge := range map[string]func(approve.Ticket) error{
		"a passkey of nobody": finish(h.key()),
		"another key":         finish(k.Impostor()),
		"not verified":        finish(k, func(s *approvetest.Said) { s.Flags = approvetest.Present }),
		"another page":        finish(k, func(s *approvetest.Said) { s.Origin = "http://localhost:20001" }),
		"no output": func(x approve.Ticket) error {
			c, err := h.acc.Question([]string{x.ID}, approve.Lease{})
			if err == nil {
				as := h.touches(k, c)
				as[0].Sealed = nil
				_, _, err = h.acc.Finish(ctx, c.ID, as)
			}
			return err
		},
		"another output": func(x approve.Ticket) error {
			c, err := h.acc.Question([]string{x.ID}, approve.Lease{})
			if err == nil {
				as := h.touches(k, c)
				as[0].Sealed = h.sealed(c, 0, make([]byte, 32*len(c.Plan[0])))
				_, _, err = h.acc.Finish(ctx, c.ID, as)
			}
			return err
		},
		"the passphrase": func(x approve.Ticket) error {
			return h.broker.Approve(ctx, h.as(personPID), x.ID, broker.Answer{Source: "terminal", Secret: []byte(presencePass)})
		},
		"a lease": func(x approve.Ticket) error {
			_, err := h.answer(k, h.terms(time.Minute, 2), x.ID)
			return err
		},
	} {
		got, err := h.wanted(hired(prod), func(x approve.Ticket) {
			if err := forge(x); err == nil {
				t.Errorf("%s: taken", what)
			}
			if y, err := h.broker.Request(x.ID); err != nil || y.State != approve.Pending || h.acc.State() != api.StateLocked {
				t.Errorf("%s: %s, %v, %s", what, y.State, err, h.acc.State())
			}
			_ = h.broker.Refuse(ctx, x.ID, 0)
		})
		if got != "" || !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
		h.clock.move(10*time.Second, 10*time.Second) // past the rest after a denial
	}
}

// What was signed is worth nothing for anything else, nor twice, nor later; and who
// goes away leaves nothing behind.
func TestUnlockIsForOneRequest(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	ctx := context.Background()
	var c approve.Ceremony
	if got, err := h.wanted(hired("op://dev/DB/password"), func(x approve.Ticket) {
		c = h.question(x.ID)
		if _, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c)); err != nil {
			t.Error(err)
		}
	}); got != canary+"DB" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	h.shut()
	if _, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c)); err == nil || h.acc.State() != api.StateLocked {
		t.Errorf("a second time: %v, %s", err, h.acc.State())
	}
	// The policy changed, or the value: the names came to something else than was asked for.
	gone, leave := context.WithCancel(ctx)
	who := h.as(hiredPID, "thumbturn", "run", "--", "x")
	err := make(chan error, 1)
	asked := make(chan approve.Ticket, 1)
	go func() {
		_, _, e := h.knock(gone, who, hired(prod), func(x approve.Ticket) { asked <- x })
		err <- e
	}()
	x := <-asked
	c = h.question(x.ID)
	leave()
	if e := <-err; !fault.Is(e, fault.Pending) && !errors.Is(e, context.Canceled) {
		t.Error(e)
	}
	if y, e := h.broker.Request(x.ID); e != nil || y.State != approve.Expired {
		t.Errorf("left behind: %s, %v", y.State, e)
	}
	_, _, e := h.acc.Finish(ctx, c.ID, h.touches(k, c))
	if !fault.Is(e, fault.Conflict) || h.acc.State() != api.StateLocked {
		t.Errorf("opened for nobody: %v, %s", e, h.acc.State())
	}
	if got, err := h.releaseAs(who, hired(prod), broker.Ask{NoWait: true, Request: x.ID}); got != "" || err == nil {
		t.Errorf("collected later: %q, %v (%v)", got, err, e)
	}
	if err := h.acc.Unlock(ctx, h.as(personPID), "terminal", []byte(unlockPass)); err != nil {
		t.Error(err)
	}
	h.verifies(-1)
}

// knock asks with a context of its own.
func (h theatre) knock(ctx context.Context, who identity.Caller, j job, person func(approve.Ticket)) (string, approve.Ticket, error) {
	var seen approve.Ticket
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) { seen = t; person(t); return func() {}, nil }}
	got, err := h.releaseIn(ctx, who, j, ask)
	return got, seen, err
}

// What was denied while a touch was on its way opens nothing.
func TestDeniedUnlock(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	ctx := context.Background()
	if got, err := h.wanted(hired(prod), func(x approve.Ticket) {
		c := h.question(x.ID)
		if err := h.broker.Deny(ctx, h.as(jobPID), x.ID); err != nil {
			t.Error(err)
		}
		if how, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c)); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s, %v", how, err)
		}
	}); got != "" || !fault.Is(err, fault.Denied) {
		t.Errorf("%q, %v", got, err)
	}
	if h.acc.State() != api.StateLocked {
		t.Error(h.acc.State())
	}
}

// An id says nothing to who sees nothing else: what is named by one is asked in full.
func TestUnlockByID(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	ctx := context.Background()
	if err := h.acc.Unlock(ctx, h.as(personPID), "terminal", []byte(unlockPass)); err != nil {
		t.Fatal(err)
	}
	it, err := h.broker.Get(ctx, h.as(personPID), "item get", "prod", "Stripe")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"op://prod/" + it.ID + "/credential", "op://" + it.Vault.ID + "/Stripe/credential"} {
		h.shut()
		var seen []approve.Ticket
		got, err := h.wanted(hired(name), h.yesBy(k, &seen))
		if got != canary || err != nil || len(seen) != 2 || !seen[0].Unlock || seen[1].Unlock {
			t.Errorf("%s: %q, %v, after %d requests", name, got, err, len(seen))
		}
	}
	h.verifies(-1)
}

// Who unlocks between the look and the asking leaves nobody waiting for that.
func TestUnlockedBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	h, _ := newShut(t)
	ctx := context.Background()
	person, who := h.as(personPID), h.as(hiredPID, append([]string{"thumbturn", "run", "--"}, task().prog.Argv...)...)
	h.s.mu.Lock()
	h.s.on = func() { // the asker is looked at again, right before it is asked
		if err := h.acc.Unlock(ctx, person, "terminal", []byte(unlockPass)); err != nil {
			t.Error(err)
		}
	}
	h.s.mu.Unlock()
	var seen []approve.Ticket
	got, err := h.releaseAs(who, hired("op://dev/DB/password"), broker.Ask{Timeout: 5 * time.Second, Waiting: func(x approve.Ticket) (func(), error) {
		if seen = append(seen, x); !x.Unlock {
			_ = h.broker.Deny(ctx, person, x.ID)
		}
		return func() {}, nil
	}})
	if got != "" || !fault.Is(err, fault.Denied) || len(seen) != 2 {
		t.Errorf("%q, %v, after %d requests", got, err, len(seen))
	}
}

// One touch for two requests of a session, of which one names nothing: the other is
// answered, and the person is not told that all is approved.
func TestUnlockForTwo(t *testing.T) {
	t.Parallel()
	h, k := newShut(t)
	ctx := context.Background()
	who := h.as(hiredPID, append([]string{"thumbturn", "run", "--"}, task().prog.Argv...)...)
	asked := make(chan approve.Ticket, 2)
	results := map[string]chan error{"op://dev/DB/password": make(chan error, 1), "op://dev/Nothing/here": make(chan error, 1)}
	for name, result := range results {
		go func() {
			got, _, err := h.knock(ctx, who, hired(name), func(x approve.Ticket) { asked <- x })
			if err == nil && got != canary+"DB" {
				err = errors.New(got)
			}
			result <- err
		}()
	}
	one, two := <-asked, <-asked
	if how, err := h.answer(k, approve.Lease{}, one.ID, two.ID); err != nil || how != "opened" {
		t.Errorf("%s, %v", how, err)
	}
	if err := <-results["op://dev/DB/password"]; err != nil {
		t.Error(err)
	}
	if err := <-results["op://dev/Nothing/here"]; !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	h.verifies(-1)
}

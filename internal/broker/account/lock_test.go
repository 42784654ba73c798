//go:build unix

package account_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

func (h *home) opened() {
	h.t.Helper()
	if err := h.acc.Unlock(context.Background(), h.who, "file", []byte(unlockPass)); err != nil && !fault.Is(err, fault.Denied) { // a session without a leader here cannot be marked
		h.t.Fatal(err)
	}
}

// A delivery under way is finished before a lock, none begins behind it, and two
// reasons at once lock once.
func TestLockAndDelivery(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	from := h.events()
	began, proceed := make(chan struct{}), make(chan struct{})
	client, server := h.pair()
	r, _ := ref.Parse("op://prod/Stripe/credential")
	released := make(chan error, 1)
	go func() {
		to := handoff.To(server, api.Program{Path: "/usr/bin/true"}, nil, []string{"KEY"}).Observed(func() { close(began); <-proceed })
		_, err := h.broker.Release(ctx, h.who, broker.Want{Ask: h.asked(nothing, h.yes), Refs: []ref.Ref{r}}, to)
		released <- err
	}()
	<-began
	var did atomic.Int64
	var locks sync.WaitGroup
	for _, why := range []string{"suspend", "screen lock"} {
		locks.Go(func() {
			ok, err := h.acc.LockFor(ctx, why)
			if err != nil {
				t.Error(err)
			}
			if ok {
				did.Add(1)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if s := h.acc.State(); s != api.StateUnlocked || did.Load() != 0 {
		t.Errorf("the lock did not wait: %s", s)
	}
	var behind sync.WaitGroup
	behind.Go(func() { // a passphrase typed now is checked when the lock is through
		if got, err := h.release("op://dev/Stripe/credential", h.yes); got != "" || !fault.Is(err, fault.Locked) {
			t.Errorf("a delivery began behind the lock: %q, %v", got, err)
		}
	})
	time.Sleep(100 * time.Millisecond)
	close(proceed)
	locks.Wait()
	behind.Wait()
	if err := <-released; err != nil {
		t.Errorf("the delivery under way: %v", err)
	}
	if hd, err := api.ReadHeader(client); err != nil || hd.Values != 1 {
		t.Fatal(err)
	}
	if b, err := api.ReadValue(client); err != nil || string(b) != canary {
		t.Errorf("%q, %v", b, err)
	}
	if s := h.acc.State(); s != api.StateLocked || did.Load() != 1 {
		t.Errorf("%s, locked %d times", s, did.Load())
	}
	h.opened()
	if says := h.ledgerSays(from); says["lock/done"] != 1 || says["outcome/delivered"] != 1 || says["intent/allowed"] != 1 {
		t.Errorf("the ledger says %v", says)
	}
	last := ""
	_ = h.acc.Events(ctx, api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return err
		}
		if ev.Type == canon.EventOutcome && last == "lock" {
			t.Error("the outcome stands behind the lock")
		}
		if ev.Type == canon.EventLock {
			last = "lock"
		}
		return nil
	})
}

// What is due counts as locked before anybody has locked it; to unlock is a use
// before that and a fresh start afterwards.
func TestIdle(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	after := time.Minute
	h.reopen(account.Options{After: func() (time.Duration, error) { return after, nil }})
	idle := func(want bool) {
		t.Helper()
		if did, err := h.acc.LockFor(ctx, account.Idle); did != want || err != nil {
			t.Errorf("locked: %v, %v", did, err)
		}
	}
	idle(false) // nothing is open
	h.opened()
	from := h.events()
	h.clock.move(59*time.Second, 59*time.Second)
	idle(false)
	h.opened()
	h.clock.move(59*time.Second, 59*time.Second)
	idle(false)
	if got, err := h.release("op://prod/Stripe/credential", h.yes); got != canary || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	h.clock.move(-time.Hour, 59*time.Second) // a clock set back prolongs nothing
	idle(false)
	h.clock.move(0, time.Second)
	if s := h.acc.State(); s != api.StateLocked {
		t.Errorf("due, and %s", s)
	}
	if got, err := h.release("op://prod/Stripe/credential", h.yes); got != "" || !fault.Is(err, fault.Locked) {
		t.Errorf("due, and %q, %v", got, err)
	}
	h.opened()
	idle(false)
	if says := h.ledgerSays(from); says["lock/done"] != 1 {
		t.Errorf("unlocked when it was due: %v", says)
	}
	h.clock.move(8*time.Hour, 8*time.Hour) // suspended
	idle(true)
	idle(false)
	h.reopen(account.Options{After: func() (time.Duration, error) { return 0, fault.New(fault.Usage, "config", "", "unreadable") }})
	if err := h.acc.Unlock(ctx, h.who, "file", []byte(unlockPass)); !fault.Is(err, fault.Usage) || h.acc.State() != api.StateLocked {
		t.Errorf("a setting that cannot be read: %v", err)
	}
}

// An approval lives 60 s between the gesture and the intent.
func TestApprovalAge(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	r, _ := ref.Parse("op://prod/Stripe/credential")
	for name, c := range map[string]struct {
		wall, boot time.Duration
		lives      bool
	}{"59 s": {59 * time.Second, 59 * time.Second, true}, "61 s": {61 * time.Second, 61 * time.Second, false},
		"clock set back": {-time.Hour, 61 * time.Second, false}, "suspended": {time.Hour, time.Hour, false}} {
		ask := func(a broker.Ask) error {
			_, server := h.pair()
			_, err := h.broker.Release(ctx, h.who, broker.Want{Ask: a, Refs: []ref.Ref{r}}, handoff.To(server, api.Program{Path: "/usr/bin/true"}, nil, []string{"KEY"}))
			return err
		}
		if err := ask(broker.Ask{NoWait: true}); !fault.Is(err, fault.Pending) {
			t.Fatal(name, err)
		}
		id := ""
		for _, x := range h.broker.Requests() {
			if x.State == approve.Pending {
				id = x.ID
			}
		}
		if err := h.yes(id); err != nil {
			t.Fatal(name, err)
		}
		h.clock.move(c.wall, c.boot)
		if err := ask(broker.Ask{NoWait: true, Request: id}); (err == nil) != c.lives {
			t.Errorf("%s: %v", name, err)
		}
	}
}

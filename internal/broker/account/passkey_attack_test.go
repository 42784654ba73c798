//go:build unix

package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// question begins an answer that must come about.
func (h *home) question(ids ...string) approve.Ceremony {
	h.t.Helper()
	c, err := h.acc.Question(ids, approve.Lease{})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// untouched checks that a request waits as before and that nothing comes of it, and
// takes it away.
func (h *home) untouched(what, id string) {
	h.t.Helper()
	if x, err := h.broker.Request(id); err != nil || x.State != approve.Pending || x.Signed != nil {
		h.t.Errorf("%s: the request is %s, %v", what, x.State, err)
	}
	if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Pending) {
		h.t.Errorf("%s: delivered %q, %v", what, got, err)
	}
	_ = h.broker.Deny(context.Background(), h.who, id)
	h.clock.move(10*time.Second, 10*time.Second) // past the rest after a denial
}

// Whatever is not the enrolled passkey's signature over exactly this answer, on its
// own page and with its person verified, approves nothing. Nothing that it brings
// along is opened: what is sealed here would be told as tampered with.
func TestForgedAnswers(t *testing.T) {
	t.Parallel()
	h, k, spare := newKeyed(t)
	ctx := context.Background()
	removed := h.key()
	h.must(removed, "lost", passkey.Adding{}, h.by(k))
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(k), "file", "lost", nil); err != nil {
		t.Fatal(err)
	}
	said := func(f func(*approvetest.Said)) func(approve.Ceremony) []passkey.Touched {
		return func(c approve.Ceremony) []passkey.Touched { return h.touches(k, c, f) }
	}
	flip := func(part func(*canon.Assertion) *canon.Bytes, at int) func(approve.Ceremony) []passkey.Touched {
		return func(c approve.Ceremony) []passkey.Touched {
			x := h.touches(k, c)
			b := bytes.Clone(*part(&x[0].Assertion))
			b[(at+len(b))%len(b)] ^= 1
			*part(&x[0].Assertion) = b
			return x
		}
	}
	signature := func(a *canon.Assertion) *canon.Bytes { return &a.Signature }
	data := func(a *canon.Assertion) *canon.Bytes { return &a.AuthenticatorData }
	client := func(a *canon.Assertion) *canon.Bytes { return &a.ClientData }
	unknown := approvetest.New(t, page)
	for what, forge := range map[string]func(approve.Ceremony) []passkey.Touched{
		"no touch":             func(approve.Ceremony) []passkey.Touched { return nil },
		"a touch too many":     func(c approve.Ceremony) []passkey.Touched { x := h.touches(k, c); return append(x, x...) },
		"localhost":            said(func(s *approvetest.Said) { s.Origin = "http://localhost:20001" }),
		"another port":         said(func(s *approvetest.Said) { s.Origin = strings.Replace(page, "20001", "20002", 1) }),
		"https":                said(func(s *approvetest.Said) { s.Origin = strings.Replace(page, "http:", "https:", 1) }),
		"origin with a slash":  said(func(s *approvetest.Said) { s.Origin = page + "/" }),
		"origin in capitals":   said(func(s *approvetest.Said) { s.Origin = strings.ToUpper(page) }),
		"another rp id":        said(func(s *approvetest.Said) { s.RPID = "localhost" }),
		"framed":               said(func(s *approvetest.Said) { s.More = `,"crossOrigin":true` }),
		"framed by another":    said(func(s *approvetest.Said) { s.More = `,"crossOrigin":false,"topOrigin":"http://evil.test"` }),
		"origin twice":         said(func(s *approvetest.Said) { s.Origin = "http://evil.test"; s.More = `,"origin":"` + page + `"` }),
		"of an enrolment":      said(func(s *approvetest.Said) { s.Type = "webauthn.create" }),
		"not verified":         said(func(s *approvetest.Said) { s.Flags = approvetest.Present }),
		"nobody present":       said(func(s *approvetest.Said) { s.Flags = approvetest.Verified }),
		"no flags":             said(func(s *approvetest.Said) { s.Flags = 0 }),
		"bytes behind":         said(func(s *approvetest.Said) { s.Tail = []byte{0} }),
		"another challenge":    said(func(s *approvetest.Said) { s.Challenge = bytes.Repeat([]byte{1}, 32) }),
		"no challenge":         said(func(s *approvetest.Said) { s.Challenge = nil }),
		"signature's last bit": flip(signature, -1),
		"signature's first":    flip(signature, 0),
		"rp hash":              flip(data, 0),
		"counter":              flip(data, 36),
		"client data":          flip(client, 40),
		"unknown":              func(c approve.Ceremony) []passkey.Touched { return h.touches(unknown, c) },
		"removed":              func(c approve.Ceremony) []passkey.Touched { return h.touches(removed, c) },
		"its own key":          func(c approve.Ceremony) []passkey.Touched { return h.touches(k.Impostor(), c) },
		"another one's name": func(c approve.Ceremony) []passkey.Touched {
			x := h.touches(k, c)
			x[0].Assertion.Credential = spare.Credential
			return x
		},
		"no name": func(c approve.Ceremony) []passkey.Touched {
			x := h.touches(k, c)
			x[0].Assertion.Credential = nil
			return x
		},
		"nothing signed": func(c approve.Ceremony) []passkey.Touched {
			x := h.touches(k, c)
			x[0].Assertion.Signature = nil
			return x
		},
		"an answer of its own": func(c approve.Ceremony) []passkey.Touched {
			var a canon.Answer
			if err := canon.Decode(c.Raw, &a); err != nil {
				t.Fatal(err)
			}
			a.Lease = &canon.Terms{Until: h.clock.Now().Add(time.Hour).UnixMilli(), Uses: 1000}
			raw := canon.Encode(a)
			x := h.touches(k, approve.Ceremony{Challenge: canon.AnswerDigest(raw), Raw: raw, Plan: c.Plan})
			x[0].Assertion.Answer = raw
			return x
		},
	} {
		for _, spoilt := range []bool{false, true} {
			id := h.park(prod)
			from := h.now()
			c := h.question(id)
			x := forge(c)
			if spoilt && len(x) > 0 { // had it been opened, it would be told as tampered with
				x[0].Sealed = bytes.Repeat([]byte{1}, 80)
			}
			if _, _, err := h.acc.Finish(ctx, c.ID, x); !fault.Is(err, fault.Denied) {
				t.Errorf("%s, spoilt %v: %v", what, spoilt, err)
			}
			h.untouched(what, id)
			if !spoilt {
				h.failedSince(what, from, id)
			}
		}
	}
	h.gets(prod, h.touch(k))
	h.verifies(-1)
}

// now is how many events there are.
func (h *home) now() int64 {
	var s api.Status
	h.acc.Describe(&s)
	return s.Events
}

// failedSince checks that a failed answer to a request was recorded.
func (h *home) failedSince(what string, from int64, id string) {
	h.t.Helper()
	for range 100 {
		var n int
		err := h.acc.Events(context.Background(), api.AuditFilter{From: from}, func(e api.Event) error {
			var ev canon.Event
			if err := canon.Decode(e.Body, &ev); err != nil {
				return err
			}
			if ev.Type == canon.EventDecision && ev.Outcome == "failed" && ev.Request == id && ev.Kind == "page" {
				n++
			}
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
		if n == 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Errorf("%s: the failed answer is not in the ledger", what)
}

// What a passkey gives counts for one batch of one challenge; that it gave nothing,
// something else or something that is not for here is told apart.
func TestForgedOutputs(t *testing.T) {
	t.Parallel()
	h, k, _ := newKeyed(t)
	ctx := context.Background()
	other := h.question(h.park(prod))
	for what, c := range map[string]struct {
		sealed func(c approve.Ceremony, right []byte) []byte
		kind   fault.Kind
		says   string
	}{
		"nothing":           {func(approve.Ceremony, []byte) []byte { return nil }, fault.Passphrase, "gave no key"},
		"something else":    {func(c approve.Ceremony, b []byte) []byte { return h.sealed(c, 0, bytes.Repeat([]byte{7}, len(b))) }, fault.Passphrase, "another key"},
		"zeros":             {func(c approve.Ceremony, b []byte) []byte { return h.sealed(c, 0, make([]byte, len(b))) }, fault.Passphrase, "another key"},
		"too short":         {func(c approve.Ceremony, b []byte) []byte { return h.sealed(c, 0, b[1:]) }, fault.Tampered, "not for this request"},
		"too long":          {func(c approve.Ceremony, b []byte) []byte { return h.sealed(c, 0, append(b, 0)) }, fault.Tampered, "not for this request"},
		"empty, sealed":     {func(c approve.Ceremony, b []byte) []byte { return h.sealed(c, 0, nil) }, fault.Tampered, "not for this request"},
		"another batch":     {func(c approve.Ceremony, b []byte) []byte { return h.sealed(c, 1, b) }, fault.Tampered, "not for this request"},
		"another challenge": {func(c approve.Ceremony, b []byte) []byte { return h.sealed(other, 0, b) }, fault.Tampered, "not for this request"},
		"a flipped bit": {func(c approve.Ceremony, b []byte) []byte {
			x := h.sealed(c, 0, b)
			x[len(x)-1] ^= 1
			return x
		}, fault.Tampered, "not for this request"},
		"another vault's": {func(c approve.Ceremony, b []byte) []byte {
			return h.sealed(c, 0, k.PRF(h.acc.Salts([]string{"session"})...))
		}, fault.Passphrase, "another key"},
		"plain": {func(c approve.Ceremony, b []byte) []byte { return b }, fault.Tampered, "not for this request"},
	} {
		id := h.park(prod)
		q := h.question(id)
		if len(q.Plan) != 1 || len(q.Plan[0]) != 1 {
			t.Fatalf("%v", q.Plan)
		}
		x := h.touches(k, q)
		x[0].Sealed = c.sealed(q, k.PRF(h.acc.Salts(q.Plan[0])...))
		from := h.now()
		if _, _, err := h.acc.Finish(ctx, q.ID, x); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
		h.failedSince(what, from, id)
		h.untouched(what, id)
	}
}

// A ceremony is for one answer to its own requests, while they wait.
func TestCeremonies(t *testing.T) {
	t.Parallel()
	h, k, spare := newKeyed(t)
	ctx := context.Background()
	finish := func(c approve.Ceremony, x []passkey.Touched) error {
		_, _, err := h.acc.Finish(ctx, c.ID, x)
		return err
	}
	t.Run("replayed", func(t *testing.T) {
		id := h.park(prod)
		c := h.question(id)
		x := h.touches(k, c)
		if err := finish(c, x); err != nil {
			t.Fatal(err)
		}
		if err := finish(c, x); !fault.Is(err, fault.NotFound) {
			t.Errorf("the same ceremony: %v", err)
		}
		if got, err := h.collect(prod, id); got != canary || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if got, err := h.collect(prod, id); got != "" || err == nil {
			t.Errorf("taken twice: %q, %v", got, err)
		}
		id = h.park(prod)
		if err := finish(h.question(id), x); !fault.Is(err, fault.Denied) {
			t.Errorf("another ceremony: %v", err)
		}
		h.untouched("replayed", id)
	})
	t.Run("another request", func(t *testing.T) {
		one, two := h.park(prod), h.park(prod)
		a, b := h.question(one), h.question(two)
		if err := finish(a, h.touches(k, b)); !fault.Is(err, fault.Denied) {
			t.Errorf("%v", err)
		}
		if err := finish(b, h.touches(k, a)); !fault.Is(err, fault.Denied) {
			t.Errorf("%v", err)
		}
		h.untouched("one", one)
		h.untouched("two", two)
	})
	t.Run("two tabs", func(t *testing.T) {
		id := h.park(prod)
		a, b := h.question(id), h.question(id)
		if err := finish(a, h.touches(k, a)); err != nil {
			t.Fatal(err)
		}
		if err := finish(b, h.touches(spare, b)); !fault.Is(err, fault.Conflict) {
			t.Errorf("the second: %v", err)
		}
		if got, err := h.collect(prod, id); got != canary || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("one of two is gone", func(t *testing.T) {
		one, two := h.park(prod), h.park(prod)
		c := h.question(one, two)
		if err := h.broker.Deny(ctx, h.who, two); err != nil {
			t.Fatal(err)
		}
		if err := finish(c, h.touches(k, c)); !fault.Is(err, fault.Conflict) {
			t.Errorf("%v", err)
		}
		h.clock.move(10*time.Second, 10*time.Second)
		h.untouched("the other", one)
		if _, err := h.acc.Question([]string{two}, approve.Lease{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a denied request: %v", err)
		}
	})
	t.Run("no lease here", func(t *testing.T) {
		id := h.park(prod)
		l := approve.Lease{Until: h.clock.Now().Add(time.Minute).UnixMilli(), Uses: 2}
		if _, err := h.acc.Question([]string{id}, l); !fault.Is(err, fault.Denied) {
			t.Errorf("%v", err)
		}
		h.untouched("lease", id)
	})
	t.Run("too many", func(t *testing.T) {
		var ids []string
		for range 8 {
			ids = append(ids, h.park(prod))
		}
		if _, err := h.acc.Question(append(ids, ids[0]), approve.Lease{}); !fault.Is(err, fault.Usage) {
			t.Errorf("nine: %v", err)
		}
		if _, err := h.acc.Question([]string{ids[0], ids[0]}, approve.Lease{}); !fault.Is(err, fault.Usage) {
			t.Errorf("one twice: %v", err)
		}
		if _, err := h.acc.Question(nil, approve.Lease{}); !fault.Is(err, fault.Usage) {
			t.Errorf("none: %v", err)
		}
		first := h.question(ids[0])
		var others []approve.Ceremony
		for range 32 { // a page that is reloaded must not shut itself out
			h.clock.move(time.Millisecond, time.Millisecond)
			others = append(others, h.question(ids[0]))
		}
		if err := finish(first, h.touches(k, first)); !fault.Is(err, fault.NotFound) {
			t.Errorf("the 33rd before: %v", err)
		}
		if err := finish(others[0], h.touches(k, others[0])); err != nil {
			t.Errorf("the 32nd before: %v", err)
		}
		c := h.question(ids[1:]...)
		if err := finish(c, h.touches(k, c)); err != nil {
			t.Errorf("seven at once: %v", err)
		}
		for _, id := range ids {
			if err := h.broker.Deny(ctx, h.who, id); err != nil { // an approval is taken back
				t.Error(err)
			}
			if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Denied) {
				t.Errorf("taken back: %q, %v", got, err)
			}
		}
	})
	for what, meanwhile := range map[string]func(){
		"two minutes":          func() { h.clock.move(2*time.Minute, 2*time.Minute) },
		"two minutes of sleep": func() { h.clock.move(0, 2*time.Minute) },
		"the clock is set on":  func() { h.clock.move(2*time.Minute, 0) },
	} {
		t.Run(what, func(t *testing.T) {
			id := h.park(prod)
			c := h.question(id)
			meanwhile()
			if err := finish(c, h.touches(k, c)); !fault.Is(err, fault.NotFound) {
				t.Errorf("%v", err)
			}
			h.untouched(what, id)
		})
	}
	for what, c := range map[string]struct {
		wall, boot time.Duration
		lives      bool
	}{"59 s": {59 * time.Second, 59 * time.Second, true}, "60 s": {60 * time.Second, 60 * time.Second, false}, "60 s of sleep": {0, 60 * time.Second, false}} {
		t.Run("approved, and "+what, func(t *testing.T) {
			id := h.park(prod)
			if err := h.touch(k)(id); err != nil {
				t.Fatal(err)
			}
			h.clock.move(c.wall, c.boot)
			if got, err := h.collect(prod, id); (got == canary) != c.lives || (err == nil) != c.lives {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	t.Run("locked", func(t *testing.T) {
		id := h.park(prod)
		c := h.question(id)
		x := h.touches(k, c)
		if err := h.acc.Lock(ctx, "test"); err != nil {
			t.Fatal(err)
		}
		if err := finish(c, x); !fault.Is(err, fault.NotFound) {
			t.Errorf("while locked: %v", err)
		}
		h.opened()
		if err := finish(c, x); !fault.Is(err, fault.NotFound) {
			t.Errorf("opened again: %v", err)
		}
		if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Locked) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// What was approved is what is given, or nothing is.
func TestChangedAfterApproval(t *testing.T) {
	t.Parallel()
	h, k, _ := keyed(newPersonsHome(t))
	ctx := context.Background()
	put := func(p vault.Put) func() error {
		return func() error {
			p.Ask, p.Mode, p.Vault, p.Item = h.by(k), vault.Set, "prod", "Stripe"
			_, err := h.broker.Put(ctx, h.who, p)
			return err
		}
	}
	for what, change := range map[string]func() error{
		"value":   put(vault.Put{Changes: []vault.Change{{Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: []byte("another value")}}}),
		"binding": put(vault.Put{URLs: []string{"https://stripe.com"}}),
		"policy": func() error {
			text, _, err := h.broker.Policy(h.who)
			if err != nil {
				return err
			}
			return h.broker.ApplyPolicy(ctx, h.who, h.by(k), text+"\n// "+rand.Text()+"\n")
		},
	} {
		id := h.park(prod)
		if err := h.touch(k)(id); err != nil {
			t.Fatal(err)
		}
		from := h.now()
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
		if says := h.ledgerSays(from); says["outcome/delivered"] != 0 {
			t.Errorf("%s: the ledger says %v", what, says)
		}
	}
	// A passkey that is removed takes back nothing that it approved, and approves no more.
	id := h.park(prod)
	var r canon.Request
	if x, err := h.broker.Request(id); err != nil || canon.Decode(x.Raw, &r) != nil || r.Subjects[0].Addresses != "https://stripe.com" || r.Subjects[0].Writer != "person" {
		t.Errorf("what is asked for says %+v, %v", r.Subjects, err)
	}
	c := h.question(id)
	if err := h.acc.RemovePasskey(ctx, h.who, h.asked(nothing, h.touch(k)), "file", "laptop", nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c)); !fault.Is(err, fault.Denied) {
		t.Errorf("removed between question and answer: %v", err)
	}
}

// An agent adds, removes and unlocks nothing, whatever passkey it has, and a caller
// that is gone gets nothing. Requests of two sessions are two answers.
func TestPasskeysAndCallers(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	ctx := context.Background()
	k := h.key()
	enrolInTheatre(h, k, "laptop")
	from := h.events()
	for _, pid := range []int{hiredPID, jobPID} {
		who := h.as(pid)
		told := func(approve.Ceremony) error { t.Error("an unlock began"); return fmt.Errorf("no") }
		for what, err := range map[string]error{
			"unlock": h.acc.UnlockPasskey(ctx, who, "terminal", told),
			"remove": h.acc.RemovePasskey(ctx, who, h.by(k), "terminal", "laptop", nil),
			"typed":  h.acc.RemovePasskey(ctx, who, broker.Ask{}, "terminal", "laptop", []byte(presencePass)),
			"phrase": h.acc.Passphrase(ctx, who, h.by(k), "terminal", "presence", nil, nil, []byte("the agent's own passphrase")),
			"add": func() error {
				_, err := h.acc.AddPasskey(ctx, who, h.by(k), passkey.Adding{Name: "x", Source: "terminal"})
				return err
			}(),
			"add, typed": func() error {
				_, err := h.acc.AddPasskey(ctx, who, broker.Ask{}, passkey.Adding{Name: "x", Source: "terminal", Presence: []byte(presencePass)})
				return err
			}(),
			"from a file": func() error {
				_, err := h.acc.AddPasskey(ctx, h.as(personPID), broker.Ask{}, passkey.Adding{Name: "x", Source: "file", Presence: []byte(presencePass)})
				return err
			}(),
			"code": func() error { _, err := h.acc.RenewRecovery(ctx, who, h.by(k), "terminal", nil); return err }(),
		} {
			if !fault.Is(err, fault.Denied) {
				t.Errorf("%d, %s: %v", pid, what, err)
			}
		}
	}
	if n := len(h.acc.Passkeys()); n != 1 {
		t.Errorf("%d passkeys", n)
	}
	hired := h.as(hiredPID, append([]string{"thumbturn", "run", "--"}, task().prog.Argv...)...)
	cron := h.as(jobPID, append([]string{"thumbturn", "run", "--"}, task().prog.Argv...)...)
	one, two := h.parkAs(hired, task()), h.parkAs(cron, task())
	if _, err := h.acc.Question([]string{one, two}, approve.Lease{}); !fault.Is(err, fault.Denied) {
		t.Errorf("two sessions: %v", err)
	}
	if err := h.touch(k)(one); err != nil {
		t.Fatal(err)
	}
	if got, err := h.releaseAs(cron, task(), broker.Ask{NoWait: true, Request: one}); got != "" || !fault.Is(err, fault.NotFound) {
		t.Errorf("another session takes it: %q, %v", got, err)
	}
	h.s.mu.Lock()
	p := h.s.procs[hiredPID]
	delete(h.s.procs, hiredPID)
	h.s.mu.Unlock()
	if got, err := h.releaseAs(hired, task(), broker.Ask{NoWait: true, Request: one}); got != "" || err == nil {
		t.Errorf("a caller that is gone: %q, %v", got, err)
	}
	h.s.mu.Lock()
	h.s.procs[hiredPID] = p
	h.s.mu.Unlock()
	if says := h.ledgerSays(from); says["outcome/delivered"] != 0 || says["denial/denied"] < 12 {
		t.Errorf("the ledger says %v", says)
	}
}

// A daemon that dies between approval and delivery has delivered nothing, and the
// next one knows nothing of the request.
func TestKilledAfterApproval(t *testing.T) {
	t.Parallel()
	h, k, _ := newKeyed(t)
	id := h.park(prod)
	c := h.question(h.park(prod))
	if err := h.touch(k)(id); err != nil {
		t.Fatal(err)
	}
	from := h.events()
	h.reopen(account.Options{})
	h.opened()
	if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.NotFound) {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err := h.acc.Finish(context.Background(), c.ID, h.touches(k, c)); !fault.Is(err, fault.NotFound) {
		t.Errorf("a ceremony of before: %v", err)
	}
	if _, err := h.acc.Question([]string{id}, approve.Lease{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a question of before: %v", err)
	}
	if says := h.ledgerSays(from); says["outcome/delivered"] != 0 || says["intent/allowed"] != 0 {
		t.Errorf("the ledger says %v", says)
	}
	h.gets(prod, h.touch(k))
	h.verifies(-1)
}

// A passkey that somebody writes into the roster in the database is none: the root
// key did not sign it.
func TestPasskeyInTheDatabase(t *testing.T) {
	t.Parallel()
	h, _, _ := newKeyed(t)
	ctx := context.Background()
	evil := approvetest.New(t, page)
	if err := h.acc.Close(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, ledger.Options{Store: h.db, Device: h.dev, Signer: h.dev.Public(), Rand: rand.Reader, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var last ledger.Signed
	err = l.Replay(ctx, func(_ int64, s ledger.Signed, _ []byte) error {
		if s.Type == canon.TypeRoster {
			last = s
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var r canon.Roster
	if err := canon.Decode(last.Payload, &r); err != nil {
		t.Fatal(err)
	}
	forged := r.Authenticators[0]
	forged.Name, forged.Credential, forged.Public = "mine", evil.Credential, evil.Public()
	if forged.ID, err = canon.NewID(rand.Reader); err != nil {
		t.Fatal(err)
	}
	r.Authenticators = append(slices.Clone(r.Authenticators), forged)
	next := last
	next.Version, next.Parent, next.Payload = last.Version+1, canon.HashBody(last.Body()), canon.Encode(r)
	_, err = l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{next}})
	if cerr := l.Close(); cerr != nil || err != nil {
		t.Fatal(err, cerr)
	}
	h.again(account.Options{})
	if err := h.acc.Unlock(ctx, h.who, "file", []byte(unlockPass)); !fault.Is(err, fault.Tampered) || h.acc.State() != api.StateHeld {
		t.Errorf("%v, %s", err, h.acc.State())
	}
	if err := h.acc.UnlockPasskey(ctx, h.who, "file", func(approve.Ceremony) error { return nil }); !fault.Is(err, fault.Held) {
		t.Errorf("by a passkey: %v", err)
	}
	let := &tickets{}
	if e := h.send(h.serve(let), api.OpPage, nil); e != nil || let.given.Load() != 1 { // a restore is approved there
		t.Errorf("the page of a held home: %+v", e)
	}
	if n := len(h.acc.Passkeys()); n > 2 {
		t.Errorf("%d passkeys", n)
	}
}

// A passkey that gave another key is told apart from a vault that is broken: whoever
// touched the right one is not sent to look for another.
func TestWrongKeyOrBrokenVault(t *testing.T) {
	t.Parallel()
	h, k, _ := newKeyed(t)
	id := h.park(prod)
	c := h.question(id)
	x := h.touches(k, c)
	x[0].Sealed = h.sealed(c, 0, bytes.Repeat([]byte{7}, 32))
	if _, _, err := h.acc.Finish(context.Background(), c.ID, x); !fault.Is(err, fault.Passphrase) || !strings.Contains(err.Error(), "another key") {
		t.Errorf("another key: %v", err)
	}
	if err := h.touch(k)(id); err != nil {
		t.Fatal(err)
	}
	h.db.set(nil, func(b store.Blob) store.Blob {
		b.Bytes = bytes.Clone(b.Bytes)
		b.Bytes[len(b.Bytes)-1] ^= 1
		return b
	})
	if got, err := h.collect(prod, id); got != "" || !fault.Is(err, fault.Tampered) {
		t.Errorf("a broken record: %q, %v", got, err)
	}
	h.db.set(nil, nil)
	h.gets(prod, h.touch(k))
}

// Whoever brings back the database of before a passkey was removed brings back no
// passkey: nothing opens until a person restores.
func TestPasskeyRolledBack(t *testing.T) {
	t.Parallel()
	h, k, spare := newKeyed(t)
	ctx := context.Background()
	lost := h.key()
	h.must(lost, "lost", passkey.Adding{}, h.by(k))
	old := filepath.Join(t.TempDir(), "old.db")
	if err := h.db.Store.(*sqlite.DB).Backup(ctx, old); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(spare), "file", "lost", nil); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.Close(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(old, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	h.db.Store = db
	h.again(account.Options{})
	if err := h.acc.Unlock(ctx, h.who, "file", []byte(unlockPass)); err == nil || h.acc.State() != api.StateHeld {
		t.Errorf("%v, %s", err, h.acc.State())
	}
	if got, err := h.want(prod, h.by(lost)); got != "" || !fault.Is(err, fault.Locked) && !fault.Is(err, fault.Held) {
		t.Errorf("%q, %v", got, err)
	}
	if err := h.acc.UnlockPasskey(ctx, h.who, "file", func(c approve.Ceremony) error {
		_, _, err := h.acc.Finish(ctx, c.ID, h.touches(lost, c))
		return err
	}); !fault.Is(err, fault.Held) {
		t.Errorf("it unlocks: %v", err)
	}
}

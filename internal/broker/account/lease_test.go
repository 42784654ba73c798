//go:build unix

package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/ref"
)

// leased is a theatre whose policy gives leases of half an hour.
func leased(t *testing.T) theatre {
	t.Helper()
	h := newTheatre(t, false)
	h.policy(func(text string) string {
		return strings.Replace(text, "@id(\"agent-hold\")\n", "@id(\"agent-hold\")\n@lease(\"30m\")\n", 1)
	})
	return h
}

// policy applies the policy in force after an edit.
func (h theatre) policy(edit func(string) string) {
	h.t.Helper()
	text, _, err := h.broker.Policy(h.who)
	if err != nil {
		h.t.Fatal(err)
	}
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		go func() { _ = h.approve(t.ID) }()
		return func() {}, nil
	}}
	if err := h.broker.ApplyPolicy(context.Background(), h.who, ask, edit(text)); err != nil {
		h.t.Fatal(err)
	}
}

// task is a run by a known agent's session.
func task() job {
	j := backup()
	j.pid = hiredPID
	j.prog.File, j.prog.IntFile = "1:2", "1:3"
	return j
}

// ask is run with somebody who answers, and who may give a lease.
func (h theatre) ask(j job, given approve.Lease) (id string, err error) {
	h.t.Helper()
	who := h.as(j.pid, append([]string{"thumbturn", "run", "--"}, j.prog.Argv...)...)
	_, server := h.pair()
	want := broker.Want{Agent: j.agent, Ask: broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		id = t.ID
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := h.broker.Approve(context.Background(), h.who, t.ID, broker.Answer{Source: "terminal", Lease: given, Secret: []byte(presencePass)}); err != nil {
				h.t.Logf("answer: %v", err)
				_ = h.broker.Deny(context.Background(), h.who, t.ID)
			}
		}()
		return func() { <-done }, nil
	}}}
	for _, x := range j.refs {
		r, err := ref.Parse(x)
		if err != nil {
			h.t.Fatal(err)
		}
		want.Refs = append(want.Refs, r)
	}
	_, err = h.broker.Release(context.Background(), who, want, handoff.To(server, j.prog, broker.ShownArgs(j.prog.Argv), []string{"PASSWORD"}))
	return id, err
}

func (h theatre) terms(life time.Duration, uses int) approve.Lease {
	return approve.Lease{Until: h.clock.Now().Add(life).UnixMilli(), Uses: uses}
}

// lease gives a lease for a task and returns its id.
func (h theatre) lease(j job, life time.Duration, uses int) string {
	h.t.Helper()
	id, err := h.ask(j, h.terms(life, uses))
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// A task with a lease runs again without a question; block, uses and end are in
// the ledger under the lease's id, and what the person gave is in the evidence.
func TestLeaseServesItsTask(t *testing.T) {
	t.Parallel()
	h := leased(t)
	h.refused("before", task(), fault.Pending)
	from := h.events()
	id := h.lease(task(), 30*time.Minute, 20)
	for range 20 {
		changed := h.acc.Changed()
		h.given("under the lease", task())
		select {
		case <-changed: // a page shows how many uses are left
		default:
			t.Error("nobody hears of a use")
		}
	}
	if l := h.broker.Leases(context.Background()); len(l) != 0 {
		t.Errorf("used up, and still there: %+v", l)
	}
	h.refused("the 21st", task(), fault.Pending)
	h.events() // outcomes come late
	got := map[string]int{}
	err := h.acc.Events(context.Background(), api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return err
		}
		if ev.Lease == id {
			got[string(ev.Type)]++
			got["uses"] += ev.Uses
		}
		if ev.Request == id && strings.Contains(string(ev.Proof), `"uses":20`) {
			got["evidence "+string(ev.Type)]++
		}
		return nil
	})
	if err != nil || got["intent"] != 20 || got["block"] != 2 || got["uses"] != 20 || got["evidence decision"] != 1 || got["evidence intent"] != 1 {
		t.Errorf("the ledger says %v, %v", got, err)
	}
	if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
}

// Whatever differs from the task is asked about, or refused, as without a lease,
// and does not end it.
func TestLeaseCoversNothingElse(t *testing.T) {
	t.Parallel()
	h := leased(t)
	h.lease(task(), 30*time.Minute, 100)
	h.s.mu.Lock()
	for pid, parent := range map[int]int{40: initPID, 41: 40, 42: agentPID} { // a sibling of the agent with a child; another child of the agent
		p := h.s.procs[hiredPID]
		p.PID, p.PPID, p.Start, p.PGID = pid, parent, uint64(pid), pid
		if p.SID = 40; pid == 42 {
			p.SID = agentPID
		}
		if pid == 40 {
			p.Exe, p.Argv = h.s.procs[agentPID].Exe, h.s.procs[agentPID].Argv
		}
		h.s.procs[pid] = p
	}
	h.s.mu.Unlock()
	for name, c := range map[string]struct {
		change func(*job)
		kind   fault.Kind
	}{
		"a sibling of the agent":  {func(j *job) { j.pid = 41 }, fault.Pending},
		"a job of cron":           {func(j *job) { j.pid = jobPID }, fault.Pending},
		"another worktree":        {func(j *job) { j.prog.Dir = "/srv2" }, fault.Pending},
		"another argument":        {func(j *job) { j.prog.Argv = append(j.prog.Argv[:1:1], "--all") }, fault.Pending},
		"an argument more":        {func(j *job) { j.prog.Argv = append(j.prog.Argv[:2:2], "") }, fault.Pending},
		"another path":            {func(j *job) { j.prog.Path = "/tmp/backup.sh" }, fault.Pending},
		"other content":           {func(j *job) { j.prog.Hash = sumB }, fault.Pending},
		"another file, same text": {func(j *job) { j.prog.File = "1:4" }, fault.Pending},
		"another interpreter":     {func(j *job) { j.prog.Interpreter = "/bin/dash" }, fault.Pending},
		"its other content":       {func(j *job) { j.prog.IntHash = sumA }, fault.Pending},
		"its other file":          {func(j *job) { j.prog.IntFile = "1:2" }, fault.Pending},
		"no hash":                 {func(j *job) { j.prog.Hash = "" }, fault.Pending},
		"another reference":       {func(j *job) { j.refs = []string{"op://dev/Other/password"} }, fault.Pending},
		"a reference more":        {func(j *job) { j.refs = append(j.refs, "op://dev/Other/password") }, fault.Pending},
		"a presence vault":        {func(j *job) { j.refs = []string{"op://prod/Stripe/credential"} }, fault.Pending},
		"a known agent":           {func(j *job) { j.agent = true }, fault.Pending},
		"a reading":               {func(j *job) { j.reveal = true }, fault.Denied},
	} {
		j := task()
		c.change(&j)
		h.refused(name, j, c.kind)
	}
	h.given("the task itself", task())
	again := task()
	again.pid = 42
	h.given("another process of the session", again)
}

// What ends a lease.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, end := range map[string]func(h theatre, id string){
		"its time":                     func(h theatre, _ string) { h.clock.move(30*time.Minute, 30*time.Minute) },
		"suspend, the wall clock back": func(h theatre, _ string) { h.clock.move(-time.Hour, 30*time.Minute) },
		"the wall clock forward":       func(h theatre, _ string) { h.clock.move(30*time.Minute, 0) },
		"deny": func(h theatre, id string) {
			if err := h.broker.Deny(ctx, h.as(hiredPID), id); err != nil {
				h.t.Error(err)
			}
		},
		"lock":              func(h theatre, _ string) { h.again() },
		"a new value":       func(h theatre, _ string) { h.put("DB", "password", canary+"DB") },
		"the policy":        func(h theatre, _ string) { h.policy(func(s string) string { return s + "// another\n" }) },
		"a forbidding rule": forbid,
		"the session's end": func(h theatre, _ string) {
			h.s.mu.Lock()
			p := h.s.procs[agentPID]
			p.Start = 25 // another process of the same number
			h.s.procs[agentPID] = p
			h.s.mu.Unlock()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := leased(t)
			id := h.lease(task(), 30*time.Minute, 100)
			h.given("before", task())
			if l := h.broker.Leases(ctx); len(l) != 1 || l[0].Request.ID != id || l[0].Left != 99 {
				t.Errorf("listed: %+v", l)
			}
			end(h, id)
			if l := h.broker.Leases(ctx); len(l) != 0 {
				t.Errorf("still listed: %+v", l)
			}
			kind := fault.Pending
			if name == "a forbidding rule" {
				kind = fault.Denied
			}
			h.refused("after", task(), kind)
			if name == "deny" {
				if err := h.broker.Deny(ctx, h.who, id); !fault.Is(err, fault.Conflict) {
					t.Errorf("ended twice: %v", err)
				}
			}
		})
	}
}

func forbid(h theatre, _ string) {
	h.policy(func(s string) string {
		return s + "\n@id(\"no-hold\")\nforbid (principal is Agent, action == Action::\"hold\", resource);\n"
	})
}

// A value that changed and changed back while nobody asked is another one.
func TestLeaseStaysEnded(t *testing.T) {
	t.Parallel()
	h := leased(t)
	h.lease(task(), 30*time.Minute, 100)
	h.put("DB", "password", "another")
	if _, err := h.broker.Revert(context.Background(), h.who, broker.Ask{}, "dev", "DB", 1); err != nil {
		t.Fatal(err)
	}
	h.refused("reverted", task(), fault.Pending)
}

// Only what may have a lease gets one, and no longer than the policy says. What
// is refused leaves the request waiting, and costs no gesture.
func TestLeaseRefused(t *testing.T) {
	t.Parallel()
	h := leased(t)
	good := func() approve.Lease { return h.terms(30*time.Minute, 10) }
	inexact, hired, guarded := task(), task(), task()
	inexact.prog.File = ""
	hired.agent = true
	guarded.refs = []string{"op://prod/Stripe/credential"}
	for name, c := range map[string]struct {
		j job
		l func() approve.Lease
	}{
		"too long":         {task(), func() approve.Lease { return h.terms(30*time.Minute+2*time.Millisecond, 10) }},
		"over already":     {task(), func() approve.Lease { return h.terms(-time.Second, 10) }},
		"no use":           {task(), func() approve.Lease { return h.terms(time.Minute, 0) }},
		"uses alone":       {task(), func() approve.Lease { return approve.Lease{Uses: 10} }},
		"too many uses":    {task(), func() approve.Lease { return h.terms(time.Minute, approve.MaxUses+1) }},
		"far too long":     {task(), func() approve.Lease { return approve.Lease{Until: 1 << 62, Uses: 1} }},
		"an inexact place": {inexact, good},
		"a known agent":    {hired, good},
		"a presence vault": {guarded, good},
	} {
		if _, err := h.ask(c.j, c.l()); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
		h.clock.move(10*time.Second, 10*time.Second)
	}
	if l := h.broker.Leases(context.Background()); len(l) != 0 {
		t.Errorf("leases: %+v", l)
	}
	h.refused("after all that", task(), fault.Pending)
}

// The built-in policy gives none.
func TestLeaseOffByDefault(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	if _, err := h.ask(task(), h.terms(time.Minute, 1)); !fault.Is(err, fault.Denied) {
		t.Errorf("%v", err)
	}
}

// Of uses at the same time no more succeed than there are, and each that does
// has an intent.
func TestLeaseUsesTogether(t *testing.T) {
	t.Parallel()
	h := leased(t)
	h.lease(task(), 30*time.Minute, 5)
	j := task()
	who := h.as(j.pid, append([]string{"thumbturn", "run", "--"}, j.prog.Argv...)...)
	r, _ := ref.Parse("op://dev/DB/password")
	from := h.events()
	var wg sync.WaitGroup
	errs := make(chan error, 12)
	for range 12 {
		_, server := h.pair()
		wg.Go(func() {
			_, err := h.broker.Release(context.Background(), who, broker.Want{Ask: broker.Ask{NoWait: true}, Refs: []ref.Ref{r}},
				handoff.To(server, j.prog, broker.ShownArgs(j.prog.Argv), []string{"PASSWORD"}))
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	given := 0
	for err := range errs {
		if err == nil {
			given++
		} else if !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Pending) {
			t.Error(err)
		}
	}
	if says := h.ledgerSays(from); given != 5 || says["intent/allowed"] != 5 || says["block/reserved"] != 1 {
		t.Errorf("%d uses of 5; the ledger says %v", given, says)
	}
}

func failing(store.Batch) error { return fault.New(fault.Unavailable, "commit", "", "disk full") }

// No durable trace, no value: also under a lease.
func TestLeaseNeedsBlock(t *testing.T) {
	t.Parallel()
	h := leased(t)
	h.lease(task(), 30*time.Minute, 100)
	h.events()
	h.db.set(failing, nil)
	h.refused("nothing can be written", task(), fault.Unavailable)
	h.db.set(nil, nil)
}

// A lease is of the session that asked: not of whom the same root makes a person.
func TestLeaseIsNotThePersons(t *testing.T) {
	t.Parallel()
	h := leased(t)
	h.lease(task(), 30*time.Minute, 100)
	if who := h.as(personPID); who.Kind() != identity.Person {
		t.Fatal(who.Why())
	}
	for _, l := range h.broker.Leases(context.Background()) {
		if l.Request.Caller.Root != h.as(hiredPID).Root().String() || l.Request.Caller.Kind != "agent" {
			t.Errorf("whose: %+v", l.Request.Caller)
		}
	}
}

// A mute keeps one session from asking, and not from what needs no asking; only
// a person may mute and unmute. Each refusal is an event.
func TestMute(t *testing.T) {
	t.Parallel()
	h := leased(t)
	ctx := context.Background()
	h.lease(task(), 30*time.Minute, 100)
	other := task()
	other.prog.Dir = "/elsewhere"
	park := func(j job) string {
		t.Helper()
		_, server := h.pair()
		r, _ := ref.Parse(j.refs[0])
		_, err := h.broker.Release(ctx, h.as(j.pid), broker.Want{Ask: broker.Ask{NoWait: true}, Refs: []ref.Ref{r}},
			handoff.To(server, j.prog, nil, []string{"PASSWORD"}))
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Pending {
			t.Fatal(err)
		}
		return e.Ref
	}
	id := park(other)
	for who, pid := range map[string]int{"the agent": hiredPID, "a job": jobPID} {
		if err := h.acc.Mute(ctx, h.as(pid), id, time.Minute); !fault.Is(err, fault.Denied) {
			t.Errorf("%s mutes: %v", who, err)
		}
	}
	from := h.events()
	if err := h.acc.Mute(ctx, h.who, id, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	h.refused("muted", other, fault.Denied)
	h.given("what is leased", task())
	h.refused("another session", backup(), fault.Pending)
	if says := h.ledgerSays(from); says["decision/denied"] != 2 || says["denial/denied"] != 1 {
		t.Errorf("the ledger says %v", says)
	}
	if err := h.acc.Unmute(ctx, h.as(hiredPID), id); !fault.Is(err, fault.Denied) {
		t.Errorf("an agent unmutes itself: %v", err)
	}
	h.refused("still muted", other, fault.Denied)
	if err := h.acc.Unmute(ctx, h.who, id); err != nil {
		t.Error(err)
	}
	h.refused("unmuted", other, fault.Pending)
}

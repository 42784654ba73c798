//go:build unix

package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/grant"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/local"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/ref"
)

// The processes of a stage: a person's shell and a client below it; a job of
// cron, without a terminal; the same below a known agent.
const (
	initPID   = 1
	shellPID  = 10
	personPID = 11
	cronPID   = 20
	jobPID    = 21
	agentPID  = 30
	hiredPID  = 31
)

// stage is a Source of made-up processes.
type stage struct {
	mu    sync.Mutex
	next  int    // who connects
	on    func() // called once, before somebody is looked at
	procs map[int]identity.Process
}

type present struct{}

func (present) Alive() bool  { return true }
func (present) Close() error { return nil }

func newStage() *stage {
	ns := identity.Namespaces{Mnt: "m", PID: "p", User: "u", Net: "n"}
	uid := os.Getuid()
	s := &stage{next: personPID, procs: map[int]identity.Process{}}
	put := func(pid, parent, sid int, exe string, tty identity.Terminal, argv ...string) {
		s.procs[pid] = identity.Process{PID: pid, PPID: parent, Start: uint64(pid), UID: uid, GID: uid, SID: sid, PGID: pid, TTY: tty,
			NS: ns, Exe: identity.Exe{Path: exe, Inode: uint64(pid), Image: exe}, Argv: argv, Cwd: "/"}
	}
	tty := identity.Terminal{Nr: 136 << 8, Name: "/dev/pts/0", Foreground: personPID}
	put(initPID, 0, initPID, "/sbin/init", identity.Terminal{}, "init")
	put(shellPID, initPID, shellPID, "/bin/bash", tty, "-bash")
	put(personPID, shellPID, shellPID, "/opt/thumbturn", tty, "thumbturn", "grant", "create")
	put(cronPID, initPID, cronPID, "/bin/dash", identity.Terminal{}, "sh", "-c", "job")
	put(jobPID, cronPID, cronPID, "/opt/thumbturn", identity.Terminal{}, "thumbturn", "run")
	put(agentPID, initPID, agentPID, "/opt/claude", identity.Terminal{}, "claude")
	put(hiredPID, agentPID, agentPID, "/opt/thumbturn", identity.Terminal{}, "thumbturn", "run")
	return s
}

func (s *stage) Self() identity.Self {
	return identity.Self{UID: os.Getuid(), BootID: "boot", Namespaces: s.procs[initPID].NS}
}

func (s *stage) Peer(*local.Conn) (identity.Peer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return identity.Peer{PID: s.next, UID: s.procs[s.next].UID, Handle: present{}}, nil
}

func (s *stage) Process(pid int) (identity.Process, error) {
	s.mu.Lock()
	on := s.on
	s.on = nil
	s.mu.Unlock()
	if on != nil {
		on()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.procs[pid]
	if !ok {
		return p, errors.New("no such process")
	}
	return p, nil
}

func (s *stage) Pulse(pid int) (identity.Pulse, error) {
	p, err := s.Process(pid)
	return identity.Pulse{Start: p.Start, PPID: p.PPID, SID: p.SID, Image: p.Exe.Image}, err
}

func (s *stage) Digest(context.Context, int, identity.Exe) (string, error) { return "hash", nil }

// theatre is a home on a stage.
type theatre struct {
	*home
	s *stage
}

func newTheatre(t *testing.T, test bool) theatre {
	t.Helper()
	s := newStage()
	h := theatre{foundHome(t, s, test), s}
	if h.who = h.as(personPID); h.who.Kind() != identity.Person {
		t.Fatalf("the person is %s: %s", h.who.Kind(), h.who.Why())
	}
	for _, item := range []string{"DB", "Other"} {
		h.put(item, "password", canary+item)
	}
	return h
}

func (h theatre) put(item, field, value string) {
	h.t.Helper()
	_, err := h.broker.Put(context.Background(), h.who, vault.Put{Mode: vault.Set, Vault: "dev", Item: item, Changes: []vault.Change{{
		Field: vault.Field{Label: field, Type: "CONCEALED", Concealed: true}, Value: []byte(value)}}})
	if err != nil {
		h.t.Fatal(err)
	}
}

// as is the caller that a process on the stage is, with an argument list.
func (h theatre) as(pid int, argv ...string) identity.Caller {
	h.t.Helper()
	h.s.mu.Lock()
	h.s.next = pid
	if len(argv) > 0 {
		p := h.s.procs[pid]
		p.Argv = argv
		h.s.procs[pid] = p
	}
	h.s.mu.Unlock()
	_, server := h.pair()
	who, err := h.acc.Who().Caller(context.Background(), server)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(who.Close)
	return who
}

// job is a release as `thumbturn run` asks for it when nobody is there.
type job struct {
	pid    int
	refs   []string
	prog   api.Program
	argv   []string // of thumbturn itself, where it is not what it reports
	reveal bool
	agent  bool
}

var (
	sumA = strings.Repeat("a", 64)
	sumB = strings.Repeat("b", 64)
)

func backup() job {
	return job{pid: jobPID, refs: []string{"op://dev/DB/password"}, prog: api.Program{Path: "/usr/local/bin/backup.sh", Hash: sumA,
		Interpreter: "/bin/sh", IntHash: sumB, Argv: []string{"/usr/local/bin/backup.sh", "--full"}, Dir: "/srv"}}
}

// run returns the first value that came. An error without one is what the
// broker said; nobody is waited for.
func (h theatre) run(j job) (string, error) {
	h.t.Helper()
	if j.argv == nil {
		j.argv = append([]string{"thumbturn", "run", "--no-wait", "--"}, j.prog.Argv...)
	}
	who := h.as(j.pid, j.argv...)
	client, server := h.pair()
	want := broker.Want{Ask: broker.Ask{NoWait: true}, Agent: j.agent}
	for _, x := range j.refs {
		r, err := ref.Parse(x)
		if err != nil {
			h.t.Fatal(err)
		}
		want.Refs = append(want.Refs, r)
	}
	to := handoff.To(server, j.prog, broker.ShownArgs(j.prog.Argv), []string{"PASSWORD"})
	if j.reveal {
		to = reveal.To(server, j.prog, nil, false)
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
	_, err := h.broker.Release(context.Background(), who, want, to)
	_ = server.CloseWrite()
	var waits *fault.Error
	if errors.As(err, &waits) && waits.Kind == fault.Pending {
		_ = h.broker.Deny(context.Background(), who, waits.Ref)
		h.clock.move(10*time.Second, 10*time.Second) // past the rest after a denial
	}
	return <-done, err
}

func (h theatre) given(what string, j job) {
	h.t.Helper()
	if got, err := h.run(j); got != canary+"DB" || err != nil {
		h.t.Fatalf("%s: %q, %v", what, got, err)
	}
}

func (h theatre) refused(what string, j job, kind fault.Kind) {
	h.t.Helper()
	if got, err := h.run(j); got != "" || !fault.Is(err, kind) {
		h.t.Errorf("%s: %q, %v; want %s", what, got, err, kind)
	}
}

func order() grant.Order {
	return grant.Order{Name: "nightly", Program: backup().prog, Life: 30 * 24 * time.Hour}
}

// create makes a grant as somebody, with a person who answers.
func (h theatre) create(pid int, o grant.Order, answer func(string) error, refs ...string) (grant.Listed, error) {
	h.t.Helper()
	o.Refs = nil
	for _, x := range refs {
		r, err := ref.Parse(x)
		if err != nil {
			h.t.Fatal(err)
		}
		o.Refs = append(o.Refs, r)
	}
	o.Waiting = func(t approve.Ticket) (func(), error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := answer(t.ID); err != nil {
				h.t.Logf("answer: %v", err)
				_ = h.broker.Deny(context.Background(), h.who, t.ID)
			}
		}()
		return func() { <-done }, nil
	}
	return h.broker.CreateGrant(context.Background(), h.as(pid), o)
}

func (h theatre) approve(id string) error {
	source := "terminal"
	if h.acc.TestHome() {
		source = "file"
	}
	return h.broker.Approve(context.Background(), h.who, id, broker.Answer{Source: source, Secret: []byte(presencePass)})
}

func (h theatre) granted(o grant.Order) grant.Listed {
	h.t.Helper()
	g, err := h.create(personPID, o, h.approve, "op://dev/DB/password")
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// again locks and unlocks, as at the next login.
func (h theatre) again() {
	h.t.Helper()
	ctx := context.Background()
	source := "terminal"
	if h.acc.TestHome() {
		source = "file"
	}
	if err := errors.Join(h.acc.Lock(ctx, "test"), h.acc.Unlock(ctx, h.as(personPID), source, []byte(unlockPass))); err != nil {
		h.t.Fatal(err)
	}
	h.who = h.as(personPID)
}

// A job gets what its grant names, again and again, without a prompt, after a
// lock too; the intent of each use names the grant.
func TestGrantServesItsJob(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	h.refused("before", backup(), fault.Pending)
	from := h.events()
	g := h.granted(order())
	h.given("first", backup())
	h.given("second", backup())
	h.put("DB", "username", "u") // another revision of the item
	h.given("after an edit", backup())
	h.again()
	h.given("after a lock", backup())
	h.events() // outcomes come late
	var uses, writes int
	err := h.acc.Events(context.Background(), api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return err
		}
		if ev.Type == canon.EventIntent && ev.Grant == g.ID && ev.Kind == "agent" && slices.Contains(ev.Rules, "agent-hold-granted") {
			uses++
		}
		if ev.Type == canon.EventWrite && ev.Grant == g.ID && ev.Action == "grant" {
			writes++
		}
		return nil
	})
	if err != nil || uses != 4 || writes != 1 {
		t.Errorf("the ledger has %d uses and %d grants, %v", uses, writes, err)
	}
	if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
	if err := h.acc.Lock(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	h.refused("while locked", backup(), fault.Locked)
}

// A person needs no grant for what the policy allows them, and spends none.
func TestGrantIsNotSpentByPersons(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	o := order()
	o.Uses = 1
	h.granted(o)
	mine := backup()
	mine.pid = personPID
	h.given("by hand", mine)
	h.given("by hand again", mine)
	h.given("the job", backup())
	h.refused("the job again", backup(), fault.Denied)
	h.given("by hand, when it is used up", mine)
}

// A new revision of the value is what the job gets then.
func TestGrantFollowsRevisions(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	h.granted(order())
	h.given("old", backup())
	h.put("DB", "password", "rotated value")
	if got, err := h.run(backup()); got != "rotated value" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Whatever differs from the grant is asked about as if there were none.
func TestGrantCoversNothingElse(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	h.granted(order())
	for what, change := range map[string]func(*job){
		"another argument":     func(j *job) { j.prog.Argv = []string{j.prog.Path, "--all"} },
		"one argument more":    func(j *job) { j.prog.Argv = append(slices.Clone(j.prog.Argv), "x") },
		"another directory":    func(j *job) { j.prog.Dir = "/tmp" },
		"another program":      func(j *job) { j.prog.Path = "/tmp/backup.sh" },
		"a changed program":    func(j *job) { j.prog.Hash = sumB },
		"no hash":              func(j *job) { j.prog.Hash = "" },
		"another interpreter":  func(j *job) { j.prog.Interpreter = "/tmp/sh" },
		"changed interpreter":  func(j *job) { j.prog.IntHash = sumA },
		"no interpreter":       func(j *job) { j.prog.Interpreter, j.prog.IntHash = "", "" },
		"another reference":    func(j *job) { j.refs = []string{"op://dev/Other/password"} },
		"a reference besides":  func(j *job) { j.refs = append(j.refs, "op://dev/Other/password") },
		"an agent to hold it":  func(j *job) { j.agent = true },
		"a known agent asks":   func(j *job) { j.pid = hiredPID },
		"it runs another":      func(j *job) { j.argv = []string{"thumbturn", "run", "--", "env"} },
		"no word of it":        func(j *job) { j.argv = []string{"thumbturn", "run", "env"} },
		"another client":       func(j *job) { j.argv = append([]string{"python3", "run", "--"}, j.prog.Argv...) },
		"presence vault":       func(j *job) { j.refs = []string{"op://prod/Stripe/credential"} },
		"presence vault, both": func(j *job) { j.refs = append(j.refs, "op://prod/Stripe/credential") },
	} {
		j := backup()
		change(&j)
		h.refused(what, j, fault.Pending)
	}
	j := backup()
	j.reveal = true
	h.refused("reveal", j, fault.Denied)
	h.given("the job itself", backup())
}

// The daemon sees another executable than ours, or no arguments at all.
func TestGrantNeedsOurClient(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	h.granted(order())
	p := h.s.procs[jobPID]
	p.Exe.Path = "/usr/bin/python3.13"
	h.s.procs[jobPID] = p
	h.refused("another executable", backup(), fault.Pending)
	p.Exe.Path, p.Exe.State, p.Unreadable = "", "unreadable", []string{"exe", "cwd"}
	h.s.procs[jobPID] = p
	h.given("an executable that our client hides", backup())
}

func TestGrantEnds(t *testing.T) {
	t.Parallel()
	t.Run("revoked by an agent", func(t *testing.T) {
		h := newTheatre(t, false)
		h.granted(order())
		h.given("before", backup())
		if err := h.broker.RevokeGrant(context.Background(), h.as(hiredPID), "nightly"); err != nil {
			t.Fatal(err)
		}
		h.refused("revoked", backup(), fault.Pending)
		h.again()
		h.refused("revoked, after a lock", backup(), fault.Pending)
		if err := h.broker.RevokeGrant(context.Background(), h.who, "nightly"); !fault.Is(err, fault.NotFound) {
			t.Errorf("twice: %v", err)
		}
		h.granted(order()) // the name is free again
		h.given("another of that name", backup())
		if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
			t.Errorf("verify: %v, %v", v.Problems, err)
		}
	})
	const day = 24 * time.Hour
	h := newTheatre(t, false)
	for _, c := range []struct {
		name       string
		wall, boot time.Duration
	}{
		{"both clocks", 31 * day, 31 * day},
		{"wall clock alone", 31 * day, time.Minute},
		{"boot clock alone, the other set back", time.Hour, 31 * day},
		{"set back before it was made", -2 * time.Hour, 2 * day},
	} {
		h.granted(order())
		h.clock.move(day, day)
		h.given(c.name+": a day later", backup())
		h.clock.move(c.wall-day, c.boot-day)
		h.refused(c.name, backup(), fault.Pending)
		if err := h.broker.RevokeGrant(context.Background(), h.who, "nightly"); err != nil {
			t.Fatal(err)
		}
	}
}

// Uses are gone for ever: neither a lock nor another start gives one back.
func TestGrantUses(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	o := order()
	o.Uses = 3
	h.granted(o)
	h.given("1", backup())
	h.given("2", backup())
	h.reopen()
	h.given("3", backup())
	h.refused("4", backup(), fault.Denied)
	h.reopen()
	h.refused("4, after another start", backup(), fault.Denied)
	if l, err := h.broker.Grants(context.Background(), h.who, false); err != nil || len(l) != 1 || l[0].State != grant.UsedUp {
		t.Errorf("%+v, %v", l, err)
	}
}

// Of uses at the same time no more succeed than there are.
func TestGrantUsesTogether(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	o := order()
	o.Uses = 5
	h.granted(o)
	who := h.as(jobPID, append([]string{"thumbturn", "run", "--"}, backup().prog.Argv...)...)
	r, _ := ref.Parse("op://dev/DB/password")
	p := backup().prog
	var wg sync.WaitGroup
	errs := make(chan error, 12)
	for range 12 {
		_, server := h.pair()
		wg.Go(func() {
			_, err := h.broker.Release(context.Background(), who, broker.Want{Ask: broker.Ask{NoWait: true}, Refs: []ref.Ref{r}}, handoff.To(server, p, nil, nil))
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	given := 0
	for err := range errs {
		if err == nil {
			given++
		} else if !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
	}
	if given != 5 {
		t.Errorf("%d uses of 5", given)
	}
}

// No intent, no value: also under a grant.
func TestGrantNeedsIntent(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	o := order()
	o.Uses = 3
	h.granted(o)
	h.db.set(func(b store.Batch) error {
		if len(b.Consume) > 0 {
			return fault.New(fault.Unavailable, "commit", "", "disk full")
		}
		return nil
	}, nil)
	h.refused("disk full", backup(), fault.Unavailable)
	h.db.set(nil, nil)
	h.given("afterwards", backup())
}

func TestGrantIsForPersons(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	const db = "op://dev/DB/password"
	for _, pid := range []int{jobPID, hiredPID} {
		if _, err := h.create(pid, order(), h.approve, db); !fault.Is(err, fault.Denied) {
			t.Errorf("an agent makes a grant: %v", err)
		}
	}
	if _, err := h.create(personPID, order(), func(id string) error { return h.broker.Deny(context.Background(), h.who, id) }, db); !fault.Is(err, fault.Denied) {
		t.Errorf("denied: %v", err)
	}
	h.clock.move(10*time.Second, 10*time.Second)
	h.refused("a grant that nobody approved", backup(), fault.Pending)
	if _, err := h.create(personPID, order(), h.approve, "op://prod/Stripe/credential"); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "gesture each time") {
		t.Errorf("presence vault: %v", err)
	}
	h.granted(order())
	for _, c := range []struct {
		who    identity.Caller
		detail bool
	}{{h.as(hiredPID), false}, {h.as(personPID), true}} {
		l, err := h.broker.Grants(context.Background(), c.who, false)
		if err != nil || len(l) != 1 || l[0].Terms.Name != "nightly" || (l[0].Terms.Program != "") != c.detail || (len(l[0].Refs) > 0) != c.detail {
			t.Errorf("%s sees %+v, %v", c.who.Kind(), l, err)
		}
	}
}

func TestGrantOrders(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	const db = "op://dev/DB/password"
	for what, c := range map[string]struct {
		change func(*grant.Order)
		refs   []string
		kind   fault.Kind
	}{
		"no name":         {func(o *grant.Order) { o.Name = "" }, []string{db}, fault.Usage},
		"odd name":        {func(o *grant.Order) { o.Name = "a b" }, []string{db}, fault.Usage},
		"an id":           {func(o *grant.Order) { o.Name = "0123456789abcdefghjkmnpqr0" }, []string{db}, fault.Usage},
		"no reference":    {func(*grant.Order) {}, nil, fault.Usage},
		"no such field":   {func(*grant.Order) {}, []string{"op://dev/DB/nothing"}, fault.NotFound},
		"no end":          {func(o *grant.Order) { o.Life = 0 }, []string{db}, fault.Usage},
		"past":            {func(o *grant.Order) { o.Life, o.Until = 0, h.clock.Now().Add(-time.Minute) }, []string{db}, fault.Usage},
		"for ever":        {func(o *grant.Order) { o.Life = 10000 * 24 * time.Hour }, []string{db}, fault.Usage},
		"too many uses":   {func(o *grant.Order) { o.Uses = 10_001 }, []string{db}, fault.Usage},
		"negative uses":   {func(o *grant.Order) { o.Uses = -1 }, []string{db}, fault.Usage},
		"no hash":         {func(o *grant.Order) { o.Program.Hash = "" }, []string{db}, fault.Usage},
		"half a script":   {func(o *grant.Order) { o.Program.IntHash = "" }, []string{db}, fault.Usage},
		"relative path":   {func(o *grant.Order) { o.Program.Path = "backup.sh" }, []string{db}, fault.Usage},
		"no directory":    {func(o *grant.Order) { o.Program.Dir = "" }, []string{db}, fault.Usage},
		"no arguments":    {func(o *grant.Order) { o.Program.Argv = nil }, []string{db}, fault.Usage},
		"a known agent":   {func(o *grant.Order) { o.Agent = true }, []string{db}, fault.Usage},
		"presence beside": {func(*grant.Order) {}, []string{db, "op://prod/Stripe/credential"}, fault.Denied},
	} {
		o := order()
		c.change(&o)
		if _, err := h.create(personPID, o, func(string) error { t.Errorf("%s: a person was asked", what); return errors.New("no") }, c.refs...); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %s", what, err, c.kind)
		}
	}
	h.granted(order())
	if _, err := h.create(personPID, order(), h.approve, db); !fault.Is(err, fault.Exists) {
		t.Errorf("the same name: %v", err)
	}
}

// What a person reads and signs names all that is pinned.
func TestGrantIsShown(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	var raw []byte
	g, err := h.create(personPID, order(), func(id string) error {
		tk, err := h.broker.Request(id)
		raw = tk.Raw
		return errors.Join(err, h.approve(id))
	}, "op://dev/DB/password")
	if err != nil {
		t.Fatal(err)
	}
	var r canon.Request
	if err := canon.Decode(raw, &r); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(r.Place.Names, "\n")
	for _, part := range []string{"nightly", "op://dev/DB/password", g.Terms.Fields[0].Vault, g.Terms.Fields[0].Item, "current at each use",
		"30 days", "/usr/local/bin/backup.sh --full", sumA, "/bin/sh", sumB, canon.ArgvDigest(backup().prog.Argv).String(), "/srv", "uid"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not shown:\n%s", part, text)
		}
	}
	if g.Until != r.Issued+(30*24*time.Hour).Milliseconds() {
		t.Errorf("it ends at %d, the request was made at %d", g.Until, r.Issued)
	}
}

// Under a policy that knows no grants, nobody is misled by one.
func TestGrantUnderOldPolicy(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	text, _, err := h.broker.Policy(h.who)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "unless { (context.grant || context.lease) && resource.standard }", "")
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) { go func() { _ = h.approve(t.ID) }(); return func() {}, nil }}
	if err := h.broker.ApplyPolicy(context.Background(), h.who, ask, text); err != nil {
		t.Fatal(err)
	}
	if _, err := h.create(personPID, order(), h.approve, "op://dev/DB/password"); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "no job could use it") {
		t.Errorf("%v", err)
	}
}

// reopen ends the account and opens it anew, as another start of the daemon.
func (h *theatre) reopen() {
	h.t.Helper()
	ctx := context.Background()
	if err := h.acc.Close(ctx, "test"); err != nil {
		h.t.Fatal(err)
	}
	h.open()
	if err := h.acc.Unlock(ctx, h.as(personPID), "terminal", []byte(unlockPass)); err != nil {
		h.t.Fatal(err)
	}
	h.who = h.as(personPID)
}

func (h *theatre) open() {
	h.t.Helper()
	var err error
	h.acc, h.broker, err = account.Open(context.Background(), account.Options{Store: h.db, Device: h.dev, Clock: h.clock, Rand: rand.Reader, Free: func() {},
		Who: func(test bool) *identity.Registry { return identity.New(h.s, identity.Options{TestHome: test}) }})
	if err != nil {
		h.t.Fatal(err)
	}
}

// Whoever writes the database, with the device's key even, makes no grant,
// lengthens none and revives none.
func TestGrantForgery(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(first, end ledger.Signed) ledger.Signed{
		"a copy of the row": func(first, _ ledger.Signed) ledger.Signed { return first },
		"a copy as the next version": func(first, end ledger.Signed) ledger.Signed {
			first.Version, first.Parent = 3, canon.HashBody(end.Body())
			return first
		},
		"revived without a signature": func(first, end ledger.Signed) ledger.Signed {
			first.Version, first.Parent, first.Sig = 3, canon.HashBody(end.Body()), nil
			return first
		},
		"a copy under another id": func(first, _ ledger.Signed) ledger.Signed {
			first.Subject = "0123456789abcdefghjkmnpqr0"
			return first
		},
		"one of its own": func(first, _ ledger.Signed) ledger.Signed {
			var g canon.Grant
			_ = canon.Decode(first.Payload, &g)
			g.ID = "0123456789abcdefghjkmnpqr0"
			return ledger.Signed{Statement: canon.Statement{Type: canon.TypeGrant, Subject: g.ID, Version: 1, Payload: canon.Encode(g)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTheatre(t, false)
			ctx := context.Background()
			h.granted(order())
			if err := h.broker.RevokeGrant(ctx, h.who, "nightly"); err != nil {
				t.Fatal(err)
			}
			if err := h.acc.Close(ctx, "test"); err != nil {
				t.Fatal(err)
			}
			l, err := ledger.Open(ctx, ledger.Options{Store: h.db, Device: h.dev, Signer: h.dev.Public(), Rand: rand.Reader, Now: h.clock.Now})
			if err != nil {
				t.Fatal(err)
			}
			var grants []ledger.Signed
			err = l.Replay(ctx, func(_ int64, s ledger.Signed, _ []byte) error {
				if s.Type == canon.TypeGrant {
					grants = append(grants, s)
				}
				return nil
			})
			if err != nil || len(grants) != 2 {
				t.Fatalf("%d statements, %v", len(grants), err)
			}
			_, err = l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{forge(grants[0], grants[1])}})
			if cerr := l.Close(); cerr != nil {
				t.Fatal(cerr)
			}
			if fault.Is(err, fault.Conflict) { // refused already where it was written
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h.open()
			if err := h.acc.Unlock(ctx, h.as(personPID), "terminal", []byte(unlockPass)); !fault.Is(err, fault.Tampered) || h.acc.State() != api.StateHeld {
				t.Errorf("%v, state %s", err, h.acc.State())
			}
		})
	}
}

func TestGrantSecretsStay(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	h.granted(order())
	if err := h.acc.Close(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(h.dir, "data", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"nightly", "backup.sh", "/srv", "--full"} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s lies in clear in %s", word, filepath.Base(f))
			}
		}
	}
}

// Package lease keeps the leave that a gesture gave for more than one use: the
// ten minutes in which a person's terminal may read standard vaults, and an
// agent's task that may run again. A lease is an id, an end and a number. It
// holds no key and no value; it lives in memory, so that a lock ends it; every
// use passes Release, and is in the ledger before a value opens. Beside the leases
// it keeps the projects' files that were approved with them: what a person is shown
// of the next version of one is the difference.
package lease

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// block is how many uses one durable event reserves.
const block = 16

// Lease is leave for many uses of one kind within one session.
type Lease struct {
	id      string
	owner   string // key of the session root
	root    identity.Root
	request canon.Request // that a person approved
	task    canon.Hash    // see taskOf; zero for the reveal window
	items   []int64       // versions of the task's items: a value that changed and changed back is another one
	wall    time.Time
	boot    time.Duration
	left    int // uses; guarded by Keeper.mu

	using sync.Mutex // one use at a time: so that two do not reserve for one
	block *ledger.Block
}

// Keeper holds the leases of one account.
type Keeper struct {
	g  *gate.Gate
	mu sync.Mutex

	live  map[string]*Lease // by id
	files []approved        // the oldest first
}

// New returns a keeper without leases.
func New(g *gate.Gate) *Keeper { return &Keeper{g: g, live: map[string]*Lease{}} }

// Leasable reports whether a request is of the one kind that a task's lease is
// for: an agent's run of an exact program, not itself an agent, in standard
// vaults, of whose project's file nothing changed unseen.
func Leasable(who identity.Caller, r canon.Request) bool {
	p := r.Place
	return who.Kind() == identity.Agent && r.Action == "hold" && p.Sink == "handoff" && p.Grade == canon.GradeHold &&
		filepath.IsAbs(p.Program) && filepath.IsAbs(p.Dir) && p.Image.Exact() &&
		len(r.Subjects) > 0 && len(canon.PresenceVaults(r.Subjects)) == 0 && !r.Project.Hidden()
}

// lasts reports whether a lease lives: on both clocks, so that neither a clock
// set back nor a night in suspend lengthens it, and while its session's root
// does. It drops one that does not. Caller holds mu.
func (k *Keeper) lasts(l *Lease) bool {
	if k.live[l.id] != l {
		return false
	}
	if c := k.g.Clock; l.left > 0 && c.Now().Before(l.wall) && c.SinceBoot() < l.boot && k.g.Who.Alive(l.root) {
		return true
	}
	delete(k.live, l.id)
	return false
}

// find returns a live lease of a session for a task. Caller holds mu.
func (k *Keeper) find(owner string, task canon.Hash) *Lease {
	for _, l := range k.live {
		if k.lasts(l) && l.owner == owner && l.task == task {
			return l
		}
	}
	return nil
}

// open replaces the lease that a session has for the same.
func (k *Keeper) open(l *Lease) {
	defer k.g.Desk.Wake()
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.find(l.owner, l.task); old != nil {
		delete(k.live, old.id)
	}
	k.live[l.id] = l
}

// windowLife is how long standard vaults stay readable in a terminal after a
// gesture for a reveal.
const windowLife = 10 * time.Minute

// OpenWindow lets a person's terminal read standard vaults for a time after a
// gesture for one reading. Only a person whose shell itself started the command
// gets it.
func (k *Keeper) OpenWindow(who identity.Caller, req canon.Request) {
	if windowed(who) {
		k.open(&Lease{id: req.ID, owner: gate.Owner(who), root: who.Root(), request: req, left: math.MaxInt,
			wall: k.g.Clock.Now().Add(windowLife), boot: k.g.Clock.SinceBoot() + windowLife})
	}
}

func windowed(who identity.Caller) bool {
	return who.Kind() == identity.Person && who.ParentIsLeader()
}

// Window returns the lease by which a caller's terminal may read, nil without one.
func (k *Keeper) Window(who identity.Caller) *Lease {
	if !windowed(who) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(gate.Owner(who), canon.Hash{})
}

// OpenTask gives an agent's session the lease that came with the approval of a
// request, if it can have one still. Its id is the request's.
func (k *Keeper) OpenTask(ctx context.Context, who identity.Caller, req canon.Request, given approve.Lease) bool {
	items, ok := k.versions(ctx, req.Subjects)
	if ok = ok && Leasable(who, req); ok {
		l := &Lease{id: req.ID, owner: gate.Owner(who), root: who.Root(), request: req, task: taskOf(req), items: items, left: given.Uses}
		l.wall, l.boot = given.End()
		k.open(l)
	}
	return ok
}

// taskOf is what a lease's request and those under it have in common. Which file named
// the task is not part of it: the file can change, and the task be the same.
func taskOf(r canon.Request) canon.Hash {
	r.Project = nil
	return gate.Match(r)
}

// versions are those of the subjects' items, in their order.
func (k *Keeper) versions(ctx context.Context, subjects []canon.Subject) (out []int64, ok bool) {
	for _, s := range subjects {
		it, err := k.g.Book.Item(ctx, s.Item)
		if err != nil {
			return nil, false
		}
		out = append(out, it.Version)
	}
	return out, true
}

// Task returns the lease that covers a request, nil without one. One for values
// or bindings that are current no longer, or of another policy, ends here.
func (k *Keeper) Task(ctx context.Context, who identity.Caller, req canon.Request) *Lease {
	if req.Project = nil; !Leasable(who, req) {
		return nil
	}
	k.mu.Lock()
	l := k.find(gate.Owner(who), taskOf(req))
	k.mu.Unlock()
	if l != nil && !(same(l.request.Subjects, req.Subjects) && k.current(ctx, l)) {
		k.End(l.id)
		return nil
	}
	return l
}

// current reports whether nothing changed since a task's lease was given.
func (k *Keeper) current(ctx context.Context, l *Lease) bool {
	now, ok := k.versions(ctx, l.request.Subjects)
	return ok && slices.Equal(now, l.items) && k.g.Unchanged(l.request) == nil
}

// same reports whether subjects are the same sealed values in the same places.
func same(a, b []canon.Subject) bool {
	return slices.EqualFunc(a, b, func(x, y canon.Subject) bool {
		x.Writer, y.Writer = "", "" // of the item, whatever of it was changed
		return x == y
	})
}

// Use takes one use as the intent of an event, reserving a block of them with a
// durable event when the last is used up. An error means that there is none:
// the lease has ended since, or the event could not be written. It names the
// lease in the event.
func (k *Keeper) Use(ctx context.Context, l *Lease, ev *canon.Event) (ledger.Intent, error) {
	l.using.Lock()
	defer l.using.Unlock()
	ev.Lease = l.id
	for {
		in, left, ok := k.take(l, *ev.Digest)
		if ok {
			k.g.Desk.Wake()
			return in, nil
		}
		if left == 0 {
			return in, fault.New(fault.Denied, ev.Action, "", "the lease for this has just ended").
				WithHint("run it again: a person will be asked")
		}
		reserve := *ev
		reserve.Outcome, reserve.Uses, reserve.Raw, reserve.Digest = "reserved", min(block, left), nil, nil
		b, err := k.g.Book.Ledger.Reserve(ctx, reserve)
		if err != nil {
			return in, err
		}
		l.block = b
	}
}

// take takes one use out of the block, if there is one, and else tells how many
// may be reserved.
func (k *Keeper) take(l *Lease, digest canon.Hash) (in ledger.Intent, left int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.lasts(l) {
		return in, 0, false
	}
	if in, ok = l.block.Use(digest); ok {
		l.left--
	}
	return in, l.left, ok
}

// End ends a lease by id.
func (k *Keeper) End(id string) bool {
	defer k.g.Desk.Wake()
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.live[id]
	ended := l != nil && k.lasts(l)
	delete(k.live, id)
	return ended
}

// Stop ends a lease for whoever wants it ended, and records it by an event.
func (k *Keeper) Stop(ctx context.Context, id string, ev canon.Event) (ended bool, err error) {
	if !k.End(id) {
		return false, nil
	}
	ev.Request, ev.Lease = id, id
	_, err = k.g.Book.Ledger.Append(ctx, ledger.Entry{Events: []canon.Event{ev}})
	return true, err
}

// EndAll ends every lease, and forgets what was approved with it: at lock.
func (k *Keeper) EndAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.live)
	k.files = nil
}

// Listed is a live lease as it is shown.
type Listed struct {
	Request canon.Request // that was approved with it; its id is the lease's
	Until   time.Time
	Left    int // uses; 0 for the reveal window, which counts none
}

// List returns the live leases, the one that ends first before the others.
func (k *Keeper) List(ctx context.Context) []Listed {
	k.mu.Lock()
	var all []*Lease
	var out []Listed
	for _, l := range k.live {
		if k.lasts(l) {
			all = append(all, l)
		}
	}
	k.mu.Unlock()
	for _, l := range all {
		if l.task != (canon.Hash{}) && !k.current(ctx, l) {
			k.End(l.id)
			continue
		}
		x := Listed{Request: l.request, Until: l.wall}
		if l.task != (canon.Hash{}) {
			k.mu.Lock()
			x.Left = l.left
			k.mu.Unlock()
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Listed) int {
		if n := a.Until.Compare(b.Until); n != 0 {
			return n
		}
		return strings.Compare(a.Request.ID, b.Request.ID)
	})
	return out
}

// Package approve keeps the requests that wait for a person, and turns a
// checked gesture into a Proof over one request digest.
//
// It sees no key and no passphrase: whoever opened the gesture (the broker's
// keyring) says so through Answer. A request is answered once, a proof is used
// once and lives a minute. A time-out is a denial, a denial cools down, and
// nobody can park more than a few requests.
package approve

import (
	"context"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Tier is how strong a gesture is. The zero Tier proves nothing.
type Tier string

// The tiers, strongest first. The first two leave a signature that anybody can
// check; the others are the daemon's word.
const (
	TierPasskey  Tier = "passkey"             // a passkey whose output decrypts
	TierSigned   Tier = "passkey-signs"       // a passkey that only signs, and the presence passphrase or a PIN
	TierPIN      Tier = "pin"                 // the PIN of this device's TPM
	TierPresence Tier = "presence-passphrase" // typed at a terminal
)

// Known reports whether t is one of the tiers.
func (t Tier) Known() bool {
	return t == TierPasskey || t == TierSigned || t == TierPIN || t == TierPresence
}

// State of a request.
type State string

// The states of a request.
const (
	Pending  State = "pending"
	Approved State = "approved"
	Denied   State = "denied"
	Expired  State = "expired"
	Locked   State = "locked" // a lock ended it
	Opened   State = "opened" // asked while locked, and the vaults were opened otherwise
	Used     State = "used"
)

// Limits of the desk.
type Limits struct {
	PerCaller int           // pending at once from one session root
	Total     int           // pending at once in all
	Persons   int           // of them kept free for requests that a person makes
	Life      time.Duration // a pending request
	Proof     time.Duration // between gesture and intent
	CoolDown  time.Duration // after a denial, for the same caller
	History   int           // answered requests kept for show
}

// DefaultLimits are what the daemon runs with.
func DefaultLimits() Limits {
	return Limits{PerCaller: 8, Total: 32, Persons: 8, Life: 5 * time.Minute, Proof: time.Minute, CoolDown: 5 * time.Second, History: 64}
}

// Clock gives the earlier of two clocks' view: wall time, and time since boot,
// which goes on in suspend. Deadlines hold on both.
type Clock interface {
	Now() time.Time           // wall clock
	SinceBoot() time.Duration // does not stop in suspend, cannot be set
}

// Lease is leave for many uses of one kind, as a person gave it with an
// approval. The zero Lease gives none.
type Lease struct {
	Until int64 `json:"until"` // unix milliseconds
	Uses  int   `json:"uses"`
	boot  time.Duration
}

// End is when the lease ends, by both clocks. Only one out of a Proof has one.
func (l Lease) End() (wall time.Time, boot time.Duration) { return time.UnixMilli(l.Until), l.boot }

// MaxUses bounds the uses of a lease.
const MaxUses = 1000

// Gesture is a person's yes to a request, once its caller has checked it.
type Gesture struct {
	Tier    Tier // zero is TierPresence
	Signed  *canon.Assertion
	Source  string // page, terminal, or file in a test home
	Lease   Lease  // what the person gives beyond the request
	Opened  any    // travels to Take
	Release func() // called when the request ends without being taken
}

// Proof is one gesture over one digest. Only this package makes one; the zero
// Proof covers no digest.
type Proof struct {
	digest canon.Hash
	named  canon.Hash // what was approved, where that is digest by names alone; see Resolved
	tier   Tier
	signed *canon.Assertion
	source string
	lease  Lease
	at     int64
	until  deadline
	ok     bool
}

// Covers reports whether the proof is a gesture over a digest.
func (p Proof) Covers(d canon.Hash) bool { return p.ok && p.digest == d && p.tier.Known() }

// Resolved is the proof over a request that was approved by names, while locked, as one
// over the same request with the values that the names came to; the zero Proof where
// raw is anything else than that.
func (p Proof) Resolved(raw []byte) Proof {
	var r canon.Request
	if canon.Decode(raw, &r) != nil || !r.Unlock || !r.Resolved() || !p.Covers(canon.RequestDigest(canon.Encode(r.ByName()))) {
		return Proof{}
	}
	p.named, p.digest = p.digest, canon.RequestDigest(raw)
	return p
}

// Lease is the leave for more uses that came with the approval of a digest.
func (p Proof) Lease(d canon.Hash) (Lease, bool) { return p.lease, p.Covers(d) && p.lease.Uses > 0 }

// Evidence is what the ledger records of a proof.
type Evidence struct {
	Digest canon.Hash `json:"digest"`
	Tier   Tier       `json:"tier"`
	Source string     `json:"source"` // page, terminal, or file in a test home
	Time   int64      `json:"time"`
	Lease  *Lease     `json:"lease,omitempty"`

	Assertion *canon.Assertion `json:"assertion,omitempty"` // of a passkey
}

// Evidence returns the record of the gesture.
func (p Proof) Evidence() Evidence {
	e := Evidence{Digest: p.digest, Tier: p.tier, Source: p.source, Time: p.at, Assertion: p.signed}
	if p.named != (canon.Hash{}) {
		e.Digest = p.named
	}
	if p.lease.Uses > 0 {
		e.Lease = &p.lease
	}
	return e
}

// Ticket is a request on the desk, as shown.
type Ticket struct {
	ID     string
	Digest canon.Hash
	Raw    []byte // canonical bytes; never re-encoded
	Owner  string // key of the session root that asked
	Person bool   // a person asked
	Match  canon.Hash
	Rules  []string
	Why    string
	State  State
	Needs  []string // compartments the gesture must open
	Issued int64
	Lease  time.Duration // the longest lease that may come with its approval; 0 is none
	Signed *Signed       // by a passkey that only signs: the passphrase completes it
	Unlock bool          // asked while locked, by names: its answer opens the vaults
}

// Signed is what a passkey that gives no key has signed, with what is given beyond
// the request.
type Signed struct {
	Assertion canon.Assertion
	Lease     Lease
}

type entry struct {
	Ticket
	deadline deadline
	proof    Proof
	gesture  func() // releases what the gesture opened
	opened   any    // the opened gesture, handed to Take
	left     bool   // by who asked, unanswered; see Drop
	done     chan struct{}
}

type deadline struct {
	wall time.Time
	boot time.Duration
}

// Desk holds the requests. Its methods may be called from any goroutine.
type Desk struct {
	Clock  Clock
	Limits Limits

	mu      sync.Mutex
	entries map[string]*entry
	cool    map[string]deadline
	muted   map[string]*mute // by owner
	changed chan struct{}
}

// NewDesk returns an empty desk.
func NewDesk(c Clock, l Limits) *Desk {
	return &Desk{Clock: c, Limits: l, entries: map[string]*entry{}, cool: map[string]deadline{}, muted: map[string]*mute{}, changed: make(chan struct{})}
}

// Changed returns a channel that is closed at the next change of what the desk
// shows.
func (d *Desk) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Wake wakes whoever watches: what is shown beside the requests changed.
func (d *Desk) Wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.change()
}

// change wakes whoever watches. Caller holds mu.
func (d *Desk) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Desk) after(t time.Duration) deadline {
	return deadline{d.Clock.Now().Add(t), d.Clock.SinceBoot() + t}
}

// past is true when either clock has reached the deadline: a clock set back or
// a night in suspend does not keep anything alive.
func (d *Desk) past(x deadline) bool {
	return !d.Clock.Now().Before(x.wall) || d.Clock.SinceBoot() >= x.boot
}

// Park puts a request on the desk.
func (d *Desk) Park(t Ticket) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	if err := d.silenced(t); err != nil {
		return err
	}
	if c, ok := d.cool[t.Owner]; ok && !d.past(c) {
		return fault.New(fault.Denied, "ask", t.ID, "a person has just denied a request of this session").WithHint("wait a few seconds, and do not ask for the same again")
	}
	if !d.room(t) {
		return fault.New(fault.Denied, "ask", t.ID, "too many requests wait for a person").WithHint("see `thumbturn requests`")
	}
	t.State = Pending
	d.entries[t.ID] = &entry{Ticket: t, deadline: d.after(d.Limits.Life), done: make(chan struct{})}
	d.change()
	return nil
}

// room reports whether a request has a place. Agents get no more than leaves some for
// persons, whose own requests no flood keeps out; and no session of theirs gets more
// than are left for the others, so that a few sessions of one agent do not shut out
// the rest. Caller holds mu and has swept.
func (d *Desk) room(t Ticket) bool {
	left, agents, mine := d.Limits.Total, d.Limits.Total-d.Limits.Persons, 0
	for _, e := range d.entries {
		if e.State != Pending && !(e.left && !d.past(e.deadline)) {
			continue
		}
		left--
		if !e.Person {
			agents--
		}
		if e.Owner == t.Owner {
			mine++
		}
	}
	if left <= 0 || mine >= d.Limits.PerCaller {
		return false
	}
	return t.Person || mine < agents
}

// sweep expires what is past its time and drops old history. Caller holds mu.
func (d *Desk) sweep() {
	var old []*entry
	for _, e := range d.entries {
		if (e.State == Pending || e.State == Approved) && d.past(e.deadline) {
			d.finish(e, Expired)
		}
		if e.State != Pending && e.State != Approved {
			old = append(old, e)
		}
	}
	sort.Slice(old, func(i, j int) bool { return old[i].Issued > old[j].Issued })
	for i := d.Limits.History; i < len(old); i++ {
		delete(d.entries, old[i].ID)
	}
	for k, c := range d.cool {
		if d.past(c) {
			delete(d.cool, k)
		}
	}
	for k, m := range d.muted {
		if d.past(m.deadline) {
			delete(d.muted, k)
		}
	}
}

// finish moves an entry to a final state, or to Approved, and wakes waiters.
func (d *Desk) finish(e *entry, s State) {
	if e.State == Pending {
		close(e.done)
	}
	d.change()
	e.State = s
	if s != Approved {
		if e.gesture != nil {
			e.gesture()
		}
		e.gesture, e.opened, e.proof = nil, nil, Proof{}
	}
}

func gone(id string) error {
	return fault.New(fault.NotFound, "request", id, "no such request").WithHint("`thumbturn requests` lists them")
}

// Get returns one request.
func (d *Desk) Get(id string) (Ticket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	e, ok := d.entries[id]
	if !ok {
		return Ticket{}, gone(id)
	}
	return e.Ticket, nil
}

// List returns all requests, newest first.
func (d *Desk) List() []Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	out := make([]Ticket, 0, len(d.entries))
	for _, e := range d.entries {
		out = append(out, e.Ticket)
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Issued > out[j].Issued || out[i].Issued == out[j].Issued && out[i].ID < out[j].ID
	})
	return out
}

// MayGive refuses a lease that a request cannot have, or not so long.
func (d *Desk) MayGive(t Ticket, l Lease) error {
	left := time.UnixMilli(l.Until).Sub(d.Clock.Now())
	switch {
	case l == Lease{}:
		return nil
	case t.Lease <= 0:
		return fault.New(fault.Denied, "approve", t.ID, "this request can have no lease").
			WithHint("a policy may give one to an agent's `thumbturn run` in standard vaults: see docs/agents.md")
	case l.Uses < 1 || l.Uses > MaxUses:
		return fault.New(fault.Usage, "approve", t.ID, "a lease is for 1 to "+strconv.Itoa(MaxUses)+" uses")
	case left <= 0 || left > t.Lease:
		return fault.New(fault.Denied, "approve", t.ID, "the policy gives a lease of "+t.Lease.String()+" at most")
	}
	return nil
}

// Yes is a gesture for one request of an answer.
type Yes struct {
	ID     string
	Digest canon.Hash // that the gesture is over
	Gesture
}

// Answer approves pending requests with gestures that its caller has checked to be
// over their digests: all of them, or none where one is not to be had any more. record
// writes the proofs down first; where it fails, nothing is approved.
func (d *Desk) Answer(record func([]Proof) error, all ...Yes) ([]Proof, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	seen := map[string]bool{}
	for _, y := range all {
		e, ok := d.entries[y.ID]
		switch {
		case !ok:
			return nil, gone(y.ID)
		case e.State != Pending || e.Digest != y.Digest || seen[y.ID]:
			return nil, fault.New(fault.Conflict, "approve", y.ID, "the request is "+string(e.State))
		}
		if seen[y.ID] = true; !y.tier().Known() {
			return nil, fault.New(fault.Denied, "approve", y.ID, "no such gesture")
		}
		if err := d.MayGive(e.Ticket, y.Lease); err != nil {
			return nil, err
		}
	}
	var out []Proof
	for _, y := range all {
		out = append(out, d.proof(y))
	}
	if err := record(out); err != nil {
		return nil, err
	}
	for i, y := range all {
		e := d.entries[y.ID]
		e.deadline, e.proof = out[i].until, out[i]
		e.gesture, e.opened = y.Release, y.Opened
		d.finish(e, Approved)
	}
	return out, nil
}

// Sign keeps a passkey's signature over pending requests, for the passphrase to
// complete.
func (d *Desk) Sign(s Signed, digests map[string]canon.Hash) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	for id, digest := range digests {
		e, ok := d.entries[id]
		if !ok {
			return gone(id)
		}
		if e.State != Pending || e.Digest != digest {
			return fault.New(fault.Conflict, "approve", id, "the request is "+string(e.State))
		}
		if err := d.MayGive(e.Ticket, s.Lease); err != nil {
			return err
		}
	}
	for id := range digests {
		d.entries[id].Signed = &s
	}
	d.change()
	return nil
}

// tier is the gesture's, a typed passphrase where none is named.
func (g Gesture) tier() Tier {
	if g.Tier == "" && g.Signed == nil {
		return TierPresence
	}
	return g.Tier
}

// proof is what a yes comes to. Caller holds mu.
func (d *Desk) proof(y Yes) Proof {
	now := d.Clock.Now()
	y.Lease.boot = d.Clock.SinceBoot() + time.UnixMilli(y.Lease.Until).Sub(now)
	return Proof{digest: y.Digest, tier: y.tier(), signed: y.Signed, source: y.Source, lease: y.Lease, at: now.UnixMilli(), until: d.after(d.Limits.Proof), ok: true}
}

// Deny refuses a request that waits, and cools its caller down; or takes back an
// approval that nobody has used yet, which is no sign of a flood.
func (d *Desk) Deny(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	e, ok := d.entries[id]
	if !ok {
		return gone(id)
	}
	if e.State != Pending && e.State != Approved {
		return fault.New(fault.Conflict, "deny", id, "the request is "+string(e.State))
	}
	if e.State == Pending {
		d.cool[e.Owner] = d.after(d.Limits.CoolDown)
	}
	d.finish(e, Denied)
	return nil
}

// Wait blocks until the request is answered, its time is over, or ctx ends. The
// desk's own clock decides; the poll only bounds how late that is seen.
func (d *Desk) Wait(ctx context.Context, id string) (State, error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		d.sweep()
		e, ok := d.entries[id]
		if !ok {
			d.mu.Unlock()
			return Expired, nil
		}
		state, done := e.State, e.done
		d.mu.Unlock()
		if state != Pending {
			return state, nil
		}
		select {
		case <-done:
		case <-tick.C:
		case <-ctx.Done():
			select {
			case <-done: // an answer that is there already counts
			default:
				return Pending, ctx.Err()
			}
		}
	}
}

// Take hands out an approved request's proof and opened gesture, once. The
// taker owns the gesture from then on. owner and match must be those it was
// parked with: another session, or another place, gets nothing.
func (d *Desk) Take(id, owner string, match canon.Hash) (Ticket, Proof, any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	e, ok := d.entries[id]
	if !ok || e.Owner != owner || e.Match != match {
		return Ticket{}, Proof{}, nil, fault.New(fault.NotFound, "request", id, "no such request of this session for this command").
			WithHint("come back from the same session and directory, with the same command, arguments and references")
	}
	switch e.State {
	case Approved:
	case Locked:
		return e.Ticket, Proof{}, nil, errLocked(id)
	case Pending:
		return e.Ticket, Proof{}, nil, fault.New(fault.Pending, "request", id, "still waits for a person").WithHint("approve it with: thumbturn approve " + id)
	default:
		return e.Ticket, Proof{}, nil, fault.New(fault.Denied, "request", id, "the request is "+string(e.State))
	}
	t, p, o := e.Ticket, e.proof, e.opened
	e.gesture = nil
	d.finish(e, Used)
	return t, p, o, nil
}

// Fresh refuses a proof whose time is over: it was taken in time, and the
// machine may have slept since.
func (d *Desk) Fresh(p Proof) error {
	if p.ok && d.past(p.until) {
		return fault.New(fault.Denied, "approval", "", "the approval is older than a minute").WithHint("ask again")
	}
	return nil
}

// Drop forgets a request that nobody waits for any more, and what was opened for it. One
// that nobody answered keeps its place for as long as it would have waited: whoever asks
// and goes, again and again, would otherwise ask without a limit.
func (d *Desk) Drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.entries[id]; ok && (e.State == Pending || e.State == Approved) {
		e.left = e.State == Pending
		d.finish(e, Expired)
	}
}

// Open ends what waits for the vaults to be opened, all of it or these: they are, and it
// is asked again with all that is known now.
func (d *Desk) Open(ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		if e.State == Pending && e.Unlock && (len(ids) == 0 || slices.Contains(ids, e.ID)) {
			d.finish(e, Opened)
		}
	}
}

// errLocked is what a request comes to that a lock ended.
func errLocked(id string) error {
	return fault.New(fault.Locked, "request", id, "the vaults were locked meanwhile").WithHint("unlock, and ask again")
}

// Clear ends every request that waits, and every mute: at lock.
func (d *Desk) Clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.change()
	clear(d.muted)
	for _, e := range d.entries {
		if e.State == Pending || e.State == Approved {
			d.finish(e, Locked)
		}
	}
}

package approve

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

type hand struct {
	mu   sync.Mutex
	wall time.Time
	boot time.Duration
}

func (h *hand) Now() time.Time           { h.mu.Lock(); defer h.mu.Unlock(); return h.wall }
func (h *hand) SinceBoot() time.Duration { h.mu.Lock(); defer h.mu.Unlock(); return h.boot }
func (h *hand) move(wall, boot time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wall, h.boot = h.wall.Add(wall), h.boot+boot
}

func desk() (*Desk, *hand) {
	h := &hand{wall: time.Unix(1e9, 0), boot: time.Hour}
	return NewDesk(h, DefaultLimits()), h
}

func ticket(id, owner string) Ticket {
	return Ticket{ID: id, Owner: owner, Digest: canon.Digest("d\x00", []byte(id)), Match: canon.Digest("m\x00", []byte(id))}
}

func unrecorded([]Proof) error { return nil }

// one is the proof of a single answer.
func one(ps []Proof, err error) (Proof, error) {
	if err != nil {
		return Proof{}, err
	}
	return ps[0], nil
}

func TestZeroProofCoversNothing(t *testing.T) {
	if (Proof{}).Covers(canon.Hash{}) {
		t.Error("the zero proof covers the zero digest")
	}
}

func TestAnswerOnceTakeOnce(t *testing.T) {
	d, _ := desk()
	a := ticket("a", "me")
	if err := d.Park(a); err != nil {
		t.Fatal(err)
	}
	released := 0
	if _, err := d.Answer(unrecorded, Yes{"a", canon.Hash{}, Gesture{Source: "terminal", Release: func() { released++ }}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("an answer to another digest: %v", err)
	}
	p, err := one(d.Answer(unrecorded, Yes{"a", a.Digest, Gesture{Source: "terminal", Opened: "opened", Release: func() { released++ }}}))
	if err != nil || !p.Covers(a.Digest) || p.Covers(canon.Hash{}) {
		t.Fatalf("answer: %v", err)
	}
	if _, err := d.Answer(unrecorded, Yes{"a", a.Digest, Gesture{Source: "terminal"}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("answered twice: %v", err)
	}
	for name, c := range map[string]struct {
		owner string
		match canon.Hash
	}{"another session": {"you", a.Match}, "another place": {"me", canon.Hash{}}} {
		if _, _, _, err := d.Take("a", c.owner, c.match); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s took it: %v", name, err)
		}
	}
	_, got, opened, err := d.Take("a", "me", a.Match)
	if err != nil || !got.Covers(a.Digest) || opened != "opened" {
		t.Fatalf("take: %v", err)
	}
	if _, _, _, err := d.Take("a", "me", a.Match); !fault.Is(err, fault.Denied) {
		t.Errorf("taken twice: %v", err)
	}
	if released != 0 {
		t.Error("a gesture that was taken belongs to its taker")
	}
}

// An approval lives a minute on the earlier of two clocks, up to the intent; then
// its gesture is released.
func TestProofExpires(t *testing.T) {
	const s = time.Second
	moves := map[string]struct {
		wall, boot time.Duration
		lives      bool
	}{
		"59 s": {59 * s, 59 * s, true}, "60 s": {60 * s, 60 * s, false}, "61 s": {61 * s, 61 * s, false},
		"clock set back": {-time.Hour, 61 * s, false}, "clock set back, 59 s": {-time.Hour, 59 * s, true}, "clock set forward": {61 * s, 0, false},
		"suspended": {8 * time.Hour, 8 * time.Hour, false}, "suspended, and the boot clock stood still": {8 * time.Hour, s, false},
	}
	for name, move := range moves {
		d, h := desk()
		a := ticket("a", "me")
		_ = d.Park(a)
		if _, err := d.Answer(unrecorded, Yes{"a", a.Digest, Gesture{Source: "terminal", Release: func() {}}}); err != nil {
			t.Fatal(err)
		}
		_, p, _, err := d.Take("a", "me", a.Match)
		if err != nil || d.Fresh(p) != nil {
			t.Fatal(err, d.Fresh(p))
		}
		h.move(move.wall, move.boot)
		if err := d.Fresh(p); (err == nil) != move.lives || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s after it was taken: %v", name, err)
		}
	}
	for name, move := range moves {
		d, h := desk()
		a := ticket("a", "me")
		released := 0
		_ = d.Park(a)
		if _, err := d.Answer(unrecorded, Yes{"a", a.Digest, Gesture{Source: "terminal", Release: func() { released++ }}}); err != nil {
			t.Fatal(err)
		}
		h.move(move.wall, move.boot)
		if _, _, _, err := d.Take("a", "me", a.Match); (err == nil) != move.lives {
			t.Errorf("%s: taken: %v", name, err)
		}
		if released != 1 && !move.lives {
			t.Errorf("%s: the gesture was released %d times", name, released)
		}
	}
}

func TestFloodAndCoolDown(t *testing.T) {
	d, h := desk()
	l := DefaultLimits()
	for i := range l.PerCaller {
		if err := d.Park(ticket(fmt.Sprint("x", i), "me")); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Park(ticket("over", "me")); !fault.Is(err, fault.Denied) {
		t.Errorf("one too many: %v", err)
	}
	for i := range l.Total - l.Persons - l.PerCaller {
		if err := d.Park(ticket(fmt.Sprint("y", i), fmt.Sprint("other", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Park(ticket("all", "stranger")); !fault.Is(err, fault.Denied) {
		t.Errorf("over the total: %v", err)
	}
	for i := range l.PerCaller {
		if err := d.Deny(fmt.Sprint("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Park(ticket("again", "me")); !fault.Is(err, fault.Denied) {
		t.Errorf("right after a denial: %v", err)
	}
	h.move(l.CoolDown, l.CoolDown)
	if err := d.Park(ticket("again", "me")); err != nil {
		t.Errorf("after the cool-down: %v", err)
	}
	h.move(l.Life, l.Life)
	for _, e := range d.List() {
		if e.State == Pending {
			t.Fatalf("%s outlived its time", e.ID)
		}
	}
	if n := len(d.List()); n > l.History {
		t.Errorf("%d requests are kept", n)
	}
}

// However many sessions of agents ask for as much as they can get: each finds a place
// until many have, and a person always.
func TestRoomForAll(t *testing.T) {
	d, h := desk()
	l := DefaultLimits()
	park := func(owner string, person bool) (got int) {
		for range l.PerCaller + 4 {
			x := ticket(fmt.Sprint(owner, got), owner)
			if x.Person = person; d.Park(x) == nil {
				got++
			}
		}
		return got
	}
	var got []int
	for i := range 7 {
		got = append(got, park(fmt.Sprint("agent", i), false))
	}
	if diff := cmp.Diff([]int{8, 8, 4, 2, 1, 1, 0}, got); diff != "" {
		t.Error(diff)
	}
	if n := park("person", true); n != l.Persons {
		t.Errorf("a person has %d places", n)
	}
	if n := park("agent8", false) + park("second person", true); n != 0 {
		t.Errorf("%d above the total", n)
	}
	h.move(l.Life, l.Life)
	if n := park("person", true) + park("second person", true) + park("third person", true); n != 3*l.PerCaller {
		t.Errorf("persons have %d places where nobody else asks", n)
	}
	if n := park("agent9", false); n != l.PerCaller {
		t.Errorf("and an agent %d", n)
	}
}

func TestWait(t *testing.T) {
	d, h := desk()
	a := ticket("a", "me")
	_ = d.Park(a)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s, err := d.Wait(ctx, "a"); s != Pending || err == nil {
		t.Errorf("cancelled: %s, %v", s, err)
	}
	n := ticket("n", "me")
	_ = d.Park(n)
	d.Clear()
	if s, err := d.Wait(ctx, "n"); s != Locked || err != nil {
		t.Errorf("cancelled behind a lock: %s, %v", s, err)
	}
	if _, _, _, err := d.Take("n", "me", n.Match); !fault.Is(err, fault.Locked) {
		t.Errorf("taken behind a lock: %v", err)
	}
	a = ticket("c", "me")
	_ = d.Park(a)
	done := make(chan State)
	go func() { s, _ := d.Wait(context.Background(), "c"); done <- s }()
	h.move(time.Hour, time.Hour)
	if s := <-done; s != Expired {
		t.Errorf("a wait ended %s", s)
	}
	b := ticket("b", "me")
	_ = d.Park(b)
	go func() { s, _ := d.Wait(context.Background(), "b"); done <- s }()
	d.Clear()
	if s := <-done; s != Locked {
		t.Errorf("a lock left it %s", s)
	}
}

// A person who thinks better of an approval takes it back, until it is used.
func TestDenyApproved(t *testing.T) {
	d, h := desk()
	released := 0
	yes := Gesture{Source: "terminal", Lease: Lease{Until: h.Now().Add(time.Minute).UnixMilli(), Uses: 3}, Release: func() { released++ }}
	a := ticket("a", "me")
	a.Lease = time.Minute
	for _, taken := range []bool{false, true} {
		if err := d.Park(a); err != nil {
			t.Fatal(err)
		}
		p, err := one(d.Answer(unrecorded, Yes{"a", a.Digest, yes}))
		if l, ok := p.Lease(a.Digest); err != nil || !ok || l.Uses != 3 {
			t.Fatalf("%v, %+v", err, l)
		}
		if _, ok := p.Lease(ticket("b", "me").Digest); ok {
			t.Error("a lease for another digest")
		}
		if taken {
			if _, _, _, err := d.Take("a", "me", a.Match); err != nil {
				t.Fatal(err)
			}
			if err := d.Deny("a"); !fault.Is(err, fault.Conflict) {
				t.Errorf("denied after its use: %v", err)
			}
			continue
		}
		if err := d.Deny("a"); err != nil {
			t.Error(err)
		}
		if _, _, _, err := d.Take("a", "me", a.Match); !fault.Is(err, fault.Denied) || released != 1 {
			t.Errorf("taken after a denial: %v, released %d", err, released)
		}
	}
}

// A request that was approved by its names is that request with values, and no other.
func TestResolved(t *testing.T) {
	whole := canon.Request{V: 1, ID: "a", Action: "hold", Unlock: true, Subjects: []canon.Subject{{Ref: "op://v/i/f", Vault: "v", Item: "i", Field: "f", Record: canon.Hash{1}}}}
	d, _ := desk()
	named := ticket("a", "me")
	named.Raw = canon.Encode(whole.ByName())
	named.Digest, named.Unlock = canon.RequestDigest(named.Raw), true
	if err := d.Park(named); err != nil {
		t.Fatal(err)
	}
	p, err := one(d.Answer(unrecorded, Yes{"a", named.Digest, Gesture{Source: "page", Release: func() {}}}))
	if err != nil {
		t.Fatal(err)
	}
	raw := canon.Encode(whole)
	if got := p.Resolved(raw); !got.Covers(canon.RequestDigest(raw)) || got.Covers(named.Digest) || got.Evidence().Digest != named.Digest {
		t.Errorf("%+v", got.Evidence())
	}
	if p.Covers(canon.RequestDigest(raw)) || (Proof{}).Resolved(raw).Covers(canon.RequestDigest(raw)) {
		t.Error("covers what was not approved")
	}
	for name, change := range map[string]func(*canon.Request){
		"another reference": func(r *canon.Request) { r.Subjects[0].Ref = "op://v/i/g" },
		"one more":          func(r *canon.Request) { r.Subjects = append(r.Subjects, r.Subjects[0]) },
		"another action":    func(r *canon.Request) { r.Action = "reveal" },
		"no value":          func(r *canon.Request) { *r = r.ByName() },
		"not while locked":  func(r *canon.Request) { r.Unlock = false },
	} {
		other := whole
		other.Subjects = append([]canon.Subject{}, whole.Subjects...)
		change(&other)
		raw := canon.Encode(other)
		if got := p.Resolved(raw); got.Covers(canon.RequestDigest(raw)) || got.Covers(named.Digest) {
			t.Errorf("%s: covered", name)
		}
	}
}

// What waits for the vaults ends when they are open, and what nobody waits for any more
// releases what was opened for it.
func TestOpenAndDrop(t *testing.T) {
	d, _ := desk()
	a, b, c := ticket("a", "me"), ticket("b", "me"), ticket("c", "me")
	a.Unlock, c.Unlock = true, true
	for _, x := range []Ticket{a, b, c} {
		if err := d.Park(x); err != nil {
			t.Fatal(err)
		}
	}
	released := 0
	if _, err := d.Answer(unrecorded, Yes{"c", c.Digest, Gesture{Source: "page", Release: func() { released++ }}}); err != nil {
		t.Fatal(err)
	}
	d.Open()
	for id, want := range map[string]State{"a": Opened, "b": Pending, "c": Approved} {
		if x, err := d.Get(id); err != nil || x.State != want {
			t.Errorf("%s is %s, %v", id, x.State, err)
		}
	}
	if _, p, opened, err := d.Take("a", "me", a.Match); err == nil || p.Covers(a.Digest) || opened != nil {
		t.Error("what was opened otherwise was approved")
	}
	for _, id := range []string{"a", "b", "c", "nothing"} {
		d.Drop(id)
	}
	for id, want := range map[string]State{"a": Opened, "b": Expired, "c": Expired} {
		if x, _ := d.Get(id); x.State != want {
			t.Errorf("%s is %s", id, x.State)
		}
	}
	if released != 1 {
		t.Errorf("released %d times", released)
	}
}

// Who asks, goes, and asks again has no more places than who stays.
func TestDropKeepsItsPlace(t *testing.T) {
	d, clock := desk()
	for i := range d.Limits.PerCaller + 1 {
		x := ticket(fmt.Sprint("t", i), "me")
		x.Unlock = true
		if err := d.Park(x); (err == nil) != (i < d.Limits.PerCaller) {
			t.Errorf("%d: %v", i, err)
		}
		d.Drop(x.ID)
	}
	clock.move(d.Limits.Life, d.Limits.Life)
	if err := d.Park(ticket("later", "me")); err != nil {
		t.Error(err)
	}
}

//go:build unix

package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
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
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
	"github.com/thumbturn/thumbturn/ref"
)

// canary is the value that must be nowhere but in its place of delivery.
const canary = "sk_live_canary/4242+fox"

var unlockPass, presencePass = "the unlock passphrase here", "the presence passphrase here"

// fakeStore is the real database with a hand on it: commits can fail, and blobs
// can be replaced as they are read.
type fakeStore struct {
	store.Store
	mu     sync.Mutex
	commit func(store.Batch) error
	blob   func(store.Blob) store.Blob
	blind  bool // lists nothing
}

func (f *fakeStore) List(ctx context.Context, vault string, kind store.BlobKind, each func(store.Blob) error) error {
	if f.blind {
		return nil
	}
	return f.Store.List(ctx, vault, kind, each)
}

func (f *fakeStore) Commit(ctx context.Context, b store.Batch) error {
	f.mu.Lock()
	hook := f.commit
	f.mu.Unlock()
	if hook != nil {
		if err := hook(b); err != nil {
			return err
		}
	}
	return f.Store.Commit(ctx, b)
}

func (f *fakeStore) Blobs(ctx context.Context, hs []store.Hash, each func(store.Blob) error) error {
	f.mu.Lock()
	hook := f.blob
	f.mu.Unlock()
	return f.Store.Blobs(ctx, hs, func(b store.Blob) error {
		if hook != nil {
			b = hook(b)
		}
		return each(b)
	})
}

func (f *fakeStore) set(commit func(store.Batch) error, blob func(store.Blob) store.Blob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commit, f.blob = commit, blob
}

// hand is a clock that tests move.
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

type home struct {
	t      *testing.T
	dir    string
	dev    *device.Device
	db     *fakeStore
	clock  *hand
	acc    *account.Account
	broker *broker.Broker
	who    identity.Caller
}

func newHome(t *testing.T) *home {
	t.Helper()
	return foundHome(t, evidence(t), true)
}

// evidence is the kernel; or, where whoever leads this session is none of our
// parents (a detached job), the kernel as leading sees it, since then nobody here
// could be marked.
func evidence(t *testing.T) identity.Source {
	t.Helper()
	kernel, err := identity.Kernel()
	if err != nil {
		t.Skipf("SKIP: no evidence on this platform: %v", err)
	}
	_, server := (&home{t: t}).pair()
	who, err := identity.New(kernel, identity.Options{TestHome: true}).Caller(context.Background(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer who.Close()
	if identity.Markable(who, true) != nil {
		return leading{kernel}
	}
	return kernel
}

// leading is the kernel, for which this process leads a session of its own: so
// it can be marked as a person's, whatever started it.
type leading struct{ identity.Source }

func (l leading) Process(pid int) (identity.Process, error) {
	p, err := l.Source.Process(pid)
	if pid == os.Getpid() {
		p.SID, p.NoNewPrivs, p.Marks = pid, false, nil
	}
	return p, err
}

func (l leading) Pulse(pid int) (identity.Pulse, error) {
	p, err := l.Source.Pulse(pid)
	if pid == os.Getpid() {
		p.SID = pid
	}
	return p, err
}

// newPersonsHome is newHome with a caller who is a person.
func newPersonsHome(t *testing.T) *home {
	t.Helper()
	kernel, err := identity.Kernel()
	if err != nil {
		t.Skipf("SKIP: no evidence on this platform: %v", err)
	}
	h := foundHome(t, leading{kernel}, true)
	h.who.Close()
	_, server := h.pair()
	if h.who, err = h.acc.Who().Caller(context.Background(), server); err != nil || h.who.Kind() != identity.Person {
		t.Fatalf("not a person: %v, %s", err, h.who.Why())
	}
	return h
}

// foundHome is newHome among the processes of src.
func foundHome(t *testing.T, src identity.Source, test bool) *home {
	t.Helper()
	h := &home{t: t, dir: t.TempDir(), clock: &hand{wall: time.Now(), boot: time.Hour}}
	ctx := context.Background()
	data := filepath.Join(h.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.dev, err = device.Create(filepath.Join(h.dir, "device"), data, rand.Reader); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(filepath.Join(data, "t.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.db = &fakeStore{Store: db}
	h.acc, h.broker, err = account.Open(ctx, account.Options{Store: h.db, Device: h.dev, Clock: h.clock, Rand: rand.Reader, Free: func() {},
		Who: func(test bool) *identity.Registry { return identity.New(src, identity.Options{TestHome: test}) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.set(nil, nil); _ = h.acc.Close(ctx, "test ends"); _ = db.Close() })
	_, server := h.pair()
	if h.who, err = h.acc.Who().Caller(ctx, server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.who.Close)
	source := "terminal"
	if test {
		source = "file"
	}
	_, err = h.acc.Init(ctx, h.who, test, source, []byte(unlockPass), []byte(presencePass))
	if err != nil && !fault.Is(err, fault.Denied) { // a session without a leader here cannot be marked: everybody stays an agent
		t.Fatal(err)
	}
	for _, v := range []string{"dev", "prod"} {
		_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Create, Vault: v, Item: "Stripe", Changes: []vault.Change{{
			Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: []byte(canary)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// pair connects two ends of a Unix socket; the peer of each is this process.
func (h *home) pair() (client, server *net.UnixConn) {
	h.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(h.t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := l.AcceptUnix()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	return c, s
}

// release asks for one value as `run` does, with a person who answers by the
// given function, and returns what reached the other end.
func (h *home) release(name string, answer func(id string) error) (got string, err error) {
	h.t.Helper()
	r, err := ref.Parse(name)
	if err != nil {
		h.t.Fatal(err)
	}
	client, server := h.pair()
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		if answer == nil {
			return func() {}, fmt.Errorf("nobody there")
		}
		go func() {
			if err := answer(t.ID); err != nil {
				h.t.Logf("answer: %v", err)
				_ = h.broker.Deny(context.Background(), h.who, t.ID)
			}
		}()
		return func() {}, nil
	}}
	p := api.Program{Path: "/usr/bin/true", Argv: []string{"true", "--token", canary}}
	to := handoff.To(server, p, broker.ShownArgs(p.Argv), []string{"KEY"})
	done := make(chan string, 1)
	go func() {
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		if hd, err := api.ReadHeader(client); err == nil && hd.Values == 1 {
			b, _ := api.ReadValue(client)
			done <- string(b)
			return
		}
		done <- ""
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = h.broker.Release(ctx, h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, to)
	_ = server.CloseWrite()
	return <-done, err
}

func (h *home) yes(id string) error {
	return h.broker.Approve(context.Background(), h.who, id, broker.Answer{Source: "file", Secret: []byte(presencePass)})
}

// ledgerSays counts events by type and outcome since a place.
func (h *home) ledgerSays(from int64) map[string]int {
	h.t.Helper()
	h.events() // outcomes come late
	out := map[string]int{}
	err := h.acc.Events(context.Background(), api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return err
		}
		if ev.Outcome != "" && !slices.Contains(canon.Outcomes(), ev.Outcome) || !slices.Contains(canon.EventTypes(), ev.Type) {
			h.t.Errorf("%s/%s is not in the lists", ev.Type, ev.Outcome)
		}
		out[string(ev.Type)+"/"+ev.Outcome]++
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// events counts them once no more come: what others do meanwhile, such as those who
// deny, may bring some after what it was for.
func (h *home) events() int64 {
	var s api.Status
	for before := int64(-1); ; before = s.Events {
		time.Sleep(50 * time.Millisecond)
		_ = h.acc.Ledger.Flush(context.Background()) // where it fails nothing comes
		if h.acc.Describe(&s); s.Events == before {
			return before
		}
	}
}

func TestReleaseDelivers(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, v := range []string{"dev", "prod"} {
		from := h.events()
		got, err := h.release("op://"+v+"/Stripe/credential", h.yes)
		if err != nil || got != canary {
			t.Fatalf("%s: %q, %v", v, got, err)
		}
		says := h.ledgerSays(from)
		if says["intent/allowed"] != 1 || says["outcome/delivered"] != 1 {
			t.Errorf("%s: the ledger says %v", v, says)
		}
	}
	if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
}

// A fault at each step of Release: nothing is delivered, and the ledger tells
// the truth: no intent before step 4, an intent with a failed outcome after it.
func TestFaultAtEachStep(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	if h.who.Kind() == identity.Person {
		t.Log("running as a person")
	}
	full := fault.New(fault.Unavailable, "commit", "", "disk full")
	intentFails := func(b store.Batch) error {
		if len(b.Consume) > 0 {
			return full
		}
		return nil
	}
	flip := func(b store.Blob) store.Blob {
		if b.Kind == store.Record {
			b.Bytes = bytes.Clone(b.Bytes)
			b.Bytes[len(b.Bytes)-1] ^= 1
		}
		return b
	}
	// What was read at step 1 is changed in memory as the intent is written.
	var read []byte
	keep := func(b store.Blob) store.Blob {
		if b.Kind == store.Record {
			read = b.Bytes
		}
		return b
	}
	spoilt := func(b store.Batch) error {
		if len(b.Consume) > 0 {
			read[len(read)-1] ^= 1
		}
		return nil
	}
	for _, c := range []struct {
		step   string
		ref    string
		answer func(string) error
		commit func(store.Batch) error
		blob   func(store.Blob) store.Blob
		want   fault.Kind
		intent bool
	}{
		{"1 record is not the one named", "op://prod/Stripe/credential", h.yes, nil, flip, fault.Tampered, false},
		{"1 no such field", "op://prod/Stripe/nothing", h.yes, nil, nil, fault.NotFound, false},
		{"3 nobody answers", "op://prod/Stripe/credential", nil, nil, nil, fault.Pending, false},
		{"3 a person denies", "op://prod/Stripe/credential", func(id string) error { return h.broker.Deny(context.Background(), h.who, id) }, nil, nil, fault.Denied, false},
		{"3 wrong passphrase", "op://prod/Stripe/credential", func(id string) error {
			err := h.broker.Approve(context.Background(), h.who, id, broker.Answer{Source: "file", Secret: []byte(unlockPass)})
			if !fault.Is(err, fault.Passphrase) {
				t.Errorf("a wrong passphrase: %v", err)
			}
			return err
		}, nil, nil, fault.Denied, false},
		{"4 intent cannot be written", "op://prod/Stripe/credential", h.yes, intentFails, nil, fault.Unavailable, false},
		{"6 the record changes after the intent", "op://prod/Stripe/credential", h.yes, spoilt, keep, fault.Tampered, true},
	} {
		h.clock.move(10*time.Second, 10*time.Second) // past a denial's cool-down
		from := h.events()
		h.db.set(c.commit, c.blob)
		got, err := h.release(c.ref, c.answer)
		h.db.set(nil, nil)
		if got != "" || !fault.Is(err, c.want) {
			t.Errorf("%s: delivered %q, %v; want %s", c.step, got, err, c.want)
		}
		says := h.ledgerSays(from)
		if (says["intent/allowed"] > 0) != c.intent || c.intent != (says["outcome/failed"] > 0) || says["outcome/delivered"] > 0 {
			t.Errorf("%s: the ledger says %v", c.step, says)
		}
	}
}

// Step 2: what the policy forbids ends before anybody is asked.
func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	t.Run("whoever", func(t *testing.T) { policyRefuses(t, newHome(t)) })
	t.Run("person", func(t *testing.T) { policyRefuses(t, newPersonsHome(t)) })
}

func policyRefuses(t *testing.T, h *home) {
	ctx := context.Background()
	r, _ := ref.Parse("op://dev/Stripe/credential")
	asked := 0
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		asked++
		go func() { _ = h.yes(t.ID) }()
		return func() {}, nil
	}}
	var err error
	_, server := h.pair()
	from := h.events()
	if h.who.Kind() == identity.Agent {
		_, err = h.broker.Release(ctx, h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, reveal.To(server, api.Program{}, nil, false))
	} else {
		text, _, e := h.broker.Policy(h.who)
		if e == nil {
			e = h.broker.ApplyPolicy(ctx, h.who, ask, text+"\n@id(\"no-hold\")\nforbid (principal, action == Action::\"hold\", resource);\n")
		}
		if e != nil {
			t.Fatal(e)
		}
		asked, from = 0, h.events()
		_, err = h.broker.Release(ctx, h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, handoff.To(server, api.Program{}, nil, nil))
	}
	if !fault.Is(err, fault.Denied) || asked > 0 {
		t.Errorf("%v, and %d were asked", err, asked)
	}
	if says := h.ledgerSays(from); says["denial/denied"] != 1 || says["intent/allowed"] != 0 {
		t.Errorf("the ledger says %v", says)
	}
}

// Step 8: an outcome that cannot be written takes nothing back, and the intent
// stands without it.
func TestOutcomeFails(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	from := h.events()
	intended := false
	h.db.set(func(b store.Batch) error {
		if len(b.Consume) > 0 {
			intended = true
			return nil
		}
		if intended {
			return fault.New(fault.Unavailable, "commit", "", "disk full")
		}
		return nil
	}, nil)
	got, err := h.release("op://prod/Stripe/credential", h.yes)
	time.Sleep(400 * time.Millisecond) // the outcome comes late
	h.db.set(nil, nil)
	if got != canary || err != nil {
		t.Fatalf("delivered %q, %v", got, err)
	}
	if says := h.ledgerSays(from); says["intent/allowed"] != 1 || says["outcome/delivered"] != 0 || says["outcome/failed"] != 0 {
		t.Errorf("the ledger says %v", says)
	}
}

// A place of delivery that never reads is given up after a time, and the outcome
// says that it failed.
func TestSinkNeverReads(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	big := bytes.Repeat([]byte(canary), (8<<20)/len(canary))
	_, err := h.broker.Put(context.Background(), h.who, vault.Put{Mode: vault.Create, Vault: "prod", Item: "Big", Changes: []vault.Change{{
		Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: big}}})
	if err != nil {
		t.Fatal(err)
	}
	from := h.events()
	r, _ := ref.Parse("op://prod/Big/credential")
	_, server := h.pair()
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		go func() { _ = h.yes(t.ID) }()
		return func() {}, nil
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if _, err := h.broker.Release(ctx, h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, handoff.To(server, api.Program{}, nil, nil)); err == nil {
		t.Fatal("delivered to one who does not read")
	}
	if says := h.ledgerSays(from); says["intent/allowed"] != 1 || says["outcome/failed"] != 1 || says["outcome/delivered"] != 0 {
		t.Errorf("the ledger says %v", says)
	}
}

// The place of delivery fails after the intent: the outcome says so.
func TestSinkFails(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	from := h.events()
	r, _ := ref.Parse("op://prod/Stripe/credential")
	client, server := h.pair()
	_ = client.Close()
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		go func() { _ = h.yes(t.ID) }()
		return func() {}, nil
	}}
	_, err := h.broker.Release(context.Background(), h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, handoff.To(server, api.Program{}, nil, nil))
	if err == nil {
		t.Fatal("delivered to nobody")
	}
	if says := h.ledgerSays(from); says["intent/allowed"] != 1 || says["outcome/failed"] != 1 || says["outcome/delivered"] != 0 {
		t.Errorf("the ledger says %v", says)
	}
}

// An approval is used once, by whom it was given to, and for a minute.
func TestApprovalLifeAndUse(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	r, _ := ref.Parse("op://prod/Stripe/credential")
	park := func() string {
		_, server := h.pair()
		_, err := h.broker.Release(ctx, h.who, broker.Want{Ask: broker.Ask{NoWait: true}, Refs: []ref.Ref{r}}, handoff.To(server, api.Program{Argv: []string{"a"}}, nil, nil))
		if !fault.Is(err, fault.Pending) {
			t.Fatalf("parked: %v", err)
		}
		e, _ := errors.AsType[*fault.Error](err)
		return e.Ref
	}
	back := func(id string, argv ...string) error {
		_, server := h.pair()
		_, err := h.broker.Release(ctx, h.who, broker.Want{Ask: broker.Ask{NoWait: true, Request: id}, Refs: []ref.Ref{r}}, handoff.To(server, api.Program{Argv: argv}, nil, nil))
		return err
	}
	id := park()
	if err := back(id, "a"); !fault.Is(err, fault.Pending) {
		t.Errorf("before the answer: %v", err)
	}
	if err := h.yes(id); err != nil {
		t.Fatal(err)
	}
	if err := back(id, "another", "command"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another command took it: %v", err)
	}
	if err := back(id, "a"); err != nil {
		t.Errorf("the same command: %v", err)
	}
	if err := back(id, "a"); err == nil {
		t.Error("one approval, two uses")
	}
	for name, d := range map[string]struct{ wall, boot time.Duration }{
		"minute over": {61 * time.Second, 61 * time.Second}, "clock set back, suspend": {-time.Hour, 61 * time.Second}, "wall clock jumps": {time.Hour, 0},
	} {
		id = park()
		if err := h.yes(id); err != nil {
			t.Fatal(name, err)
		}
		h.clock.move(d.wall, d.boot)
		if err := back(id, "a"); err == nil {
			t.Errorf("%s: an old approval was used", name)
		}
		h.clock.move(-d.wall, 0)
	}
	// A value that changed while it waited is not what was approved.
	id = park()
	if err := h.yes(id); err != nil {
		t.Fatal(err)
	}
	_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Set, Vault: "prod", Item: "Stripe", Changes: []vault.Change{{
		Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: []byte("another")}}})
	if err != nil {
		t.Fatal(err)
	}
	if h.who.Kind() == identity.Person { // an agent's value is only a proposal: nothing changed
		if err := back(id, "a"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a changed value: %v", err)
		}
	}
}

func TestNobodyAndNowhere(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	r, _ := ref.Parse("op://dev/Stripe/credential")
	_, server := h.pair()
	for name, err := range map[string]error{
		"nobody":      errOf(h.broker.Release(context.Background(), identity.Caller{}, broker.Want{Refs: []ref.Ref{r}}, handoff.To(server, api.Program{}, nil, nil))),
		"no place":    errOf(h.broker.Release(context.Background(), h.who, broker.Want{Refs: []ref.Ref{r}}, broker.Sink{})),
		"zero broker": errOf((&broker.Broker{}).Release(context.Background(), h.who, broker.Want{Refs: []ref.Ref{r}}, handoff.To(server, api.Program{}, nil, nil))),
	} {
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.who.Kind() == identity.Agent {
		_, err := h.broker.Release(context.Background(), h.who, broker.Want{Refs: []ref.Ref{r}}, reveal.To(server, api.Program{}, nil, false))
		if !fault.Is(err, fault.Denied) {
			t.Errorf("an agent read: %v", err)
		}
	}
}

func errOf(_ broker.Receipt, err error) error { return err }

// A held or locked account releases nothing, and a lock ends what waits.
func TestLockEndsEverything(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	waiting := make(chan error, 1)
	parked := make(chan struct{})
	r, _ := ref.Parse("op://prod/Stripe/credential")
	go func() {
		_, server := h.pair()
		_, err := h.broker.Release(ctx, h.who, broker.Want{Refs: []ref.Ref{r}, Ask: broker.Ask{Waiting: func(approve.Ticket) (func(), error) {
			close(parked)
			return func() {}, nil
		}}}, handoff.To(server, api.Program{}, nil, nil))
		waiting <- err
	}()
	<-parked
	if err := h.acc.Lock(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-waiting:
		if err == nil {
			t.Error("a waiting release survived the lock")
		}
	case <-time.After(5 * time.Second):
		t.Error("a waiting release hangs over the lock")
	}
	if got, err := h.release("op://dev/Stripe/credential", h.yes); got != "" || !fault.Is(err, fault.Locked) {
		t.Errorf("while locked: %q, %v", got, err)
	}
}

// The canary is nowhere on the disk and nowhere in an export, in seven
// encodings, although it stood in the argument list.
func TestCanaryIsNowhere(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for range 2 {
		if _, err := h.release("op://prod/Stripe/credential", h.yes); err != nil {
			t.Fatal(err)
		}
	}
	var all bytes.Buffer
	if err := h.acc.Export(context.Background(), func(b []byte) error {
		all.Write(b)
		for _, f := range strings.FieldsFunc(string(b), func(r rune) bool { return r == '"' }) {
			if d, err := base64.StdEncoding.DecodeString(f); err == nil {
				all.Write(d)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(h.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rev := []byte(canary)
	for i, j := 0, len(rev)-1; i < j; i, j = i+1, j-1 {
		rev[i], rev[j] = rev[j], rev[i]
	}
	for name, enc := range map[string]string{"raw": canary, "base64": base64.RawStdEncoding.EncodeToString([]byte(canary)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)), "hex": hex.EncodeToString([]byte(canary)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(canary))), "url": url.QueryEscape(canary), "reversed": string(rev)} {
		if bytes.Contains(all.Bytes(), []byte(enc)) {
			t.Errorf("the canary lies about as %s", name)
		}
	}
	if !bytes.Contains(all.Bytes(), []byte("[concealed]")) {
		t.Error("nothing was concealed: the test looks at the wrong place")
	}
}

// What was approved is one form of a value: leave for a one-time code is no
// leave for the seed that it is made from.
func TestApprovalOfACodeGivesNoSeed(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	const seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Create, Vault: "prod", Item: "mail", Changes: []vault.Change{{
		Field: vault.Field{Label: "seed", Type: "OTP", Concealed: true}, Value: []byte(seed)}}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name, request string) (string, error) {
		r, err := ref.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		client, server := h.pair()
		got := make(chan string, 1)
		go func() {
			_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
			if hd, err := api.ReadHeader(client); err == nil && hd.Values == 1 {
				b, _ := api.ReadValue(client)
				got <- string(b)
				return
			}
			got <- ""
		}()
		_, err = h.broker.Release(ctx, h.who, broker.Want{Ask: broker.Ask{NoWait: true, Request: request}, Refs: []ref.Ref{r}},
			handoff.To(server, api.Program{Argv: []string{"a"}}, nil, nil))
		_ = server.CloseWrite()
		return <-got, err
	}
	_, err = ask("op://prod/mail/seed?attribute=otp", "")
	e, _ := errors.AsType[*fault.Error](err)
	if !fault.Is(err, fault.Pending) {
		t.Fatalf("parked: %v", err)
	}
	if err := h.yes(e.Ref); err != nil {
		t.Fatal(err)
	}
	if got, err := ask("op://prod/mail/seed", e.Ref); got != "" || err == nil {
		t.Fatalf("an approved code gave %q, %v", got, err)
	}
	if got, err := ask("op://prod/mail/seed?attribute=otp", e.Ref); len(got) != 6 || err != nil {
		t.Errorf("the code: %q, %v", got, err)
	}
}

// A move passes the waist: nothing is written when nobody approves it, when the
// intent cannot be written, or when the record is not the one named.
func TestMove(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	move := func(answer func(string) error) error {
		ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
			go func() {
				if err := answer(t.ID); err != nil {
					_ = h.broker.Deny(ctx, h.who, t.ID)
				}
			}()
			return func() {}, nil
		}}
		_, err := h.broker.Move(ctx, h.who, ask, "dev", "Stripe", "team")
		return err
	}
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) { go func() { _ = h.yes(t.ID) }(); return func() {}, nil }}
	if _, err := h.broker.CreateVault(ctx, h.who, ask, "team", canon.TierPresence, ""); err != nil {
		t.Fatal(err)
	}
	// What was approved for one vault is not good for another.
	if _, err := h.broker.CreateVault(ctx, h.who, ask, "other", canon.TierStandard, ""); err != nil {
		t.Fatal(err)
	}
	_, err := h.broker.Move(ctx, h.who, broker.Ask{NoWait: true}, "dev", "Stripe", "team")
	parked, ok := errors.AsType[*fault.Error](err)
	if !ok || parked.Kind != fault.Pending {
		t.Fatalf("parked: %v", err)
	}
	if err := h.yes(parked.Ref); err != nil {
		t.Fatal(err)
	}
	if _, err := h.broker.Move(ctx, h.who, broker.Ask{NoWait: true, Request: parked.Ref}, "dev", "Stripe", "other"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another destination: %v", err)
	}
	h.clock.move(10*time.Second, 10*time.Second)
	full := fault.New(fault.Unavailable, "commit", "", "disk full")
	for name, c := range map[string]struct {
		answer func(string) error
		commit func(store.Batch) error
		want   fault.Kind
	}{
		"denied":       {func(string) error { return full }, nil, fault.Denied},
		"no intent":    {h.yes, func(b store.Batch) error { return when(len(b.Consume) > 0, full) }, fault.Unavailable},
		"no statement": {h.yes, func(b store.Batch) error { return when(len(b.Statements) > 0, full) }, fault.Unavailable},
	} {
		h.clock.move(10*time.Second, 10*time.Second)
		h.db.set(c.commit, nil)
		err := move(c.answer)
		h.db.set(nil, nil)
		if !fault.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := h.release("op://dev/Stripe/credential", h.yes); got != canary || err != nil {
			t.Fatalf("%s: afterwards %q, %v", name, got, err)
		}
	}
	h.clock.move(10*time.Second, 10*time.Second)
	if err := move(h.yes); err != nil {
		t.Fatal(err)
	}
	if got, err := h.release("op://team/Stripe/credential", h.yes); got != canary || err != nil {
		t.Errorf("moved: %q, %v", got, err)
	}
	if _, err := h.release("op://dev/Stripe/credential", h.yes); !fault.Is(err, fault.NotFound) {
		t.Errorf("still where it was: %v", err)
	}
	if v, err := h.acc.Verify(ctx); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
}

func when(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

// TestWrittenWhileItWaited: what was written while a person was asked is not
// overwritten by what was read before.
func TestWrittenWhileItWaited(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	const rotated = "sk-rotated-meanwhile"
	ask := broker.Ask{Waiting: func(x approve.Ticket) (func(), error) {
		go func() {
			if _, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Set, Vault: "dev", Item: "Stripe",
				Changes: []vault.Change{{Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: []byte(rotated)}}}); err != nil {
				t.Errorf("set: %v", err)
			}
			if err := h.yes(x.ID); err != nil {
				t.Errorf("yes: %v", err)
			}
		}()
		return func() {}, nil
	}}
	if err := h.broker.Archive(ctx, h.who, ask, "dev", "Stripe"); !fault.Is(err, fault.Conflict) {
		t.Errorf("archive: %v", err)
	}
	h.clock.move(10*time.Second, 10*time.Second)
	if got, err := h.release("op://dev/Stripe/credential", h.yes); got != rotated || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// TestVerifyBesideWrites: checking the ledger changes nothing of what the next
// statement is checked against.
func TestVerifyBesideWrites(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx, stop := context.WithCancel(context.Background())
	var checking sync.WaitGroup
	checking.Go(func() {
		for ctx.Err() == nil {
			if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
				t.Errorf("verify: %v, %v", v.Problems, err)
				return
			}
		}
	})
	for i := range 50 {
		if _, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Set, Vault: "dev", Item: "Stripe",
			Changes: []vault.Change{{Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: fmt.Append(nil, i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	checking.Wait()
	if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
}

package ledger_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// desk is a device in memory: what a test wants to break, it reaches.
type desk struct {
	id   string
	mu   sync.Mutex
	key  ed25519.PrivateKey
	pin  device.Pin
	fail error
}

func newDesk() *desk {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	return &desk{id: "0123456789abcdefghjkmnpqr0", key: key}
}

func (d *desk) ID() string             { return d.id }
func (d *desk) Sign(msg []byte) []byte { return ed25519.Sign(d.key, msg) }
func (d *desk) Pin() (device.Pin, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pin, d.fail
}
func (d *desk) SetPin(p device.Pin, _ bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		d.pin = p
	}
	return d.fail
}
func (d *desk) RestorePin(p device.Pin) error { return d.SetPin(p, true) }

// failing is a store whose commits can be made to fail.
type failing struct {
	store.Store
	mu   sync.Mutex
	fail error
}

func (f *failing) Commit(ctx context.Context, b store.Batch) error {
	f.mu.Lock()
	err := f.fail
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Store.Commit(ctx, b)
}

func (f *failing) set(err error) { f.mu.Lock(); f.fail = err; f.mu.Unlock() }

type rig struct {
	dev  *desk
	db   *failing
	path string
}

func newRig(t testing.TB) *rig {
	path := filepath.Join(t.TempDir(), "l.db")
	return &rig{dev: newDesk(), db: &failing{Store: openDB(t, path)}, path: path}
}

func openDB(t testing.TB, path string) store.Store {
	t.Helper()
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (r *rig) open(t testing.TB) *ledger.Ledger {
	t.Helper()
	return r.openFrom(t, nil)
}

func (r *rig) openFrom(t testing.TB, from *ledger.Key) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(context.Background(), ledger.Options{Store: r.db, Device: r.dev, From: from,
		Signer: r.dev.key.Public().(ed25519.PublicKey), Rand: rand.Reader, Now: time.Now, Late: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func begin(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	key, err := sealed.KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	_, pub := l.Key()
	g := canon.Genesis{V: 1, Account: "a", Device: l.Device(), DeviceKey: pub, LedgerKEM: key.PublicKey().Bytes()}
	must(t, l.Begin(g))
	if l.Empty() {
		first := canon.Statement{Type: canon.TypeGenesis, Subject: g.Account, Version: 1, Payload: canon.Encode(g)}
		must(t, errOf(l.Append(context.Background(), ledger.Entry{Statements: []ledger.Signed{{Statement: first}}})))
	}
}

func setting(l *ledger.Ledger, name, value string) ledger.Signed {
	s := canon.Statement{Type: canon.TypeSetting, Subject: name, Payload: canon.Encode(canon.Setting{V: 1, Name: name, Value: value})}
	v, h := l.Version(s.Key())
	s.Version, s.Parent = v+1, h
	return ledger.Signed{Statement: s, Sig: []byte("sig")}
}

func event(i int) canon.Event {
	return canon.Event{Type: canon.EventWrite, Outcome: fmt.Sprint(i)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppendReopenReplay(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	if !l.Empty() {
		t.Fatal("a new ledger is not empty")
	}
	begin(t, l)
	for i := range 40 {
		_, err := l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", fmt.Sprint(i))}, Events: []canon.Event{event(i), event(i)}})
		must(t, err)
	}
	must(t, l.Leaves(ctx))
	h, note := l.Head()
	must(t, l.Close())

	l = r.open(t)
	if got, again := l.Head(); got != h || string(again) != string(note) || l.Held() != "" {
		t.Fatalf("head %+v (held %q), want %+v", got, l.Held(), h)
	}
	n := 0
	must(t, l.Replay(ctx, func(int64, ledger.Signed, []byte) error { n++; return nil }))
	if n != 41 || h.Events != 80 {
		t.Fatalf("%d statements, %d events", n, h.Events)
	}
	must(t, l.Leaves(ctx))
	begin(t, l)
	_, err := l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "more")}, Events: []canon.Event{event(1)}})
	must(t, err)
	must(t, l.Leaves(ctx))
}

func TestParentsAndConsumedRequests(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	first := setting(l, "x", "1")
	_, err := l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{first}, Consume: []string{"r1"}})
	must(t, err)
	if _, err := l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{first}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same version twice: %v", err)
	}
	if _, err := l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "2")}, Consume: []string{"r1"}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a consumed request again: %v", err)
	}
	if v, _ := l.Version("setting/x"); v != 1 {
		t.Errorf("version %d after refused entries", v)
	}
	d := canon.Digest("d\x00")
	if _, err := l.Intend(ctx, canon.Event{Digest: &d}, "r1"); !fault.Is(err, fault.Conflict) {
		t.Errorf("one approval, two uses: %v", err)
	}
	in, err := l.Intend(ctx, canon.Event{Digest: &d}, "r2")
	must(t, err)
	if !in.Covers(d) || in.Covers(canon.Hash{}) || (ledger.Intent{}).Covers(d) || (ledger.Intent{}).Covers(canon.Hash{}) {
		t.Error("an intent covers its own digest and no other")
	}
}

func TestManyWritersAtOnce(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "0")}})))
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for c := range 64 {
		wg.Go(func() {
			for i := range 10 {
				_, err := l.Append(ctx, ledger.Entry{Events: []canon.Event{event(c*10 + i)}, Consume: []string{fmt.Sprint(c, "/", i)}})
				if err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if h, _ := l.Head(); h.Events != 640 {
		t.Errorf("%d events", h.Events)
	}
	must(t, l.Leaves(ctx))
}

func errOf(_ ledger.Receipt, err error) error { return err }

func TestUnwritableRefuses(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "0")}, Events: []canon.Event{event(0)}})))
	before, _ := l.Head()
	r.db.set(fault.New(fault.Unavailable, "commit", "", "disk full"))
	d := canon.Digest("d\x00")
	if _, err := l.Intend(ctx, canon.Event{Digest: &d}, "r"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("an intent that could not be written: %v", err)
	}
	if after, _ := l.Head(); after != before {
		t.Error("a failed commit moved the head")
	}
	r.db.set(nil)
	if _, err := l.Intend(ctx, canon.Event{Digest: &d}, "r"); err != nil {
		t.Errorf("after the disk is back: %v", err)
	}
	r.dev.mu.Lock()
	r.dev.fail = errors.New("no pin")
	r.dev.mu.Unlock()
	if _, err := l.Append(ctx, ledger.Entry{Events: []canon.Event{event(1)}, Statements: []ledger.Signed{setting(l, "x", "1")}}); err == nil {
		t.Error("a head that cannot be pinned was accepted")
	}
	if _, err := l.Intend(ctx, canon.Event{Digest: &d}, "r2"); err == nil {
		t.Error("the ledger went on without its pin")
	}
}

func TestRollbackIsHeldAndRestored(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "0")}, Events: []canon.Event{event(0)}})))
	old := filepath.Join(t.TempDir(), "old.db")
	must(t, r.db.Store.(*sqlite.DB).Backup(ctx, old))
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "1")}, Events: []canon.Event{event(1)}})))
	must(t, l.Close())

	r.db = &failing{Store: openDB(t, old)}
	l = r.open(t)
	if l.Held() == "" {
		t.Fatal("a rolled-back database was accepted")
	}
	begin(t, l)
	if _, err := l.Append(ctx, ledger.Entry{Events: []canon.Event{event(2)}}); !fault.Is(err, fault.Held) {
		t.Errorf("a held ledger wrote: %v", err)
	}
	must(t, l.Restore())
	must(t, l.Replay(ctx, func(int64, ledger.Signed, []byte) error { return nil }))
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "restored")}})))
	must(t, l.Close())
	if l = r.open(t); l.Held() != "" {
		t.Errorf("after restore: %s", l.Held())
	}
}

func TestAheadOfThePinIsAccepted(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "0")}, Events: []canon.Event{event(0), event(1), event(2)}})))
	pin, _ := r.dev.Pin()
	for i := range 5 {
		must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "n")}, Events: []canon.Event{event(i)}})))
	}
	must(t, l.Close())
	r.dev.pin = pin // power failed before the pin was written
	if l = r.open(t); l.Held() != "" {
		t.Errorf("held: %s", l.Held())
	}
	r.dev.pin.Root = canon.Digest("another\x00")
	if l = r.open(t); l.Held() == "" {
		t.Error("a fork of the events was accepted")
	}
	r.dev.pin = pin
	r.dev.pin.Link = canon.Digest("another\x00")
	if l = r.open(t); l.Held() == "" {
		t.Error("a fork of the statements was accepted")
	}
	_, r.dev.key, _ = ed25519.GenerateKey(rand.Reader)
	r.dev.pin = pin
	if l = r.open(t); l.Held() == "" {
		t.Error("another device's head was accepted")
	}
}

func TestBlocks(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	b, err := l.Reserve(ctx, canon.Event{Uses: 2})
	must(t, err)
	d := canon.Digest("d\x00")
	for i := range 3 {
		in, ok := b.Use(d)
		if ok != (i < 2) || ok && !in.Covers(d) {
			t.Errorf("use %d: %v", i, ok)
		}
	}
	if _, ok := (*ledger.Block)(nil).Use(d); ok {
		t.Error("a lease without a block was used")
	}
}

// BenchmarkIntend measures durable intents, one client at a time.
func BenchmarkIntend(b *testing.B) {
	r := newRig(b)
	l := r.open(b)
	begin(b, l)
	d := canon.Digest("d\x00")
	i := 0
	for b.Loop() {
		i++
		if _, err := l.Intend(context.Background(), canon.Event{Digest: &d}, fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// Flush waits for the events that may come late, and writes nothing itself.
func TestFlush(t *testing.T) {
	r := newRig(t)
	l := r.open(t)
	begin(t, l)
	before, _ := l.Head()
	for i := range 7 {
		l.Later(event(i))
	}
	must(t, l.Flush(t.Context()))
	now, note := l.Head()
	if now.Events != before.Events+7 {
		t.Errorf("%d events after %d", now.Events, before.Events)
	}
	must(t, l.Flush(t.Context()))
	if again, same := l.Head(); again != now || string(same) != string(note) {
		t.Error("a flush wrote a head")
	}
	l.Hold("for the test")
	if err := l.Flush(t.Context()); !fault.Is(err, fault.Held) {
		t.Errorf("held: %v", err)
	}
	must(t, l.Close())
	if err := l.Flush(t.Context()); err == nil {
		t.Error("closed, and flushed")
	}
}

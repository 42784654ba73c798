// Package ledger is the device's log: statements, which decide who may do what
// and what is current, as a hash chain; and events, which record what happened,
// as leaves of a Merkle tree. The device key signs the head of both after every
// commit, also while locked, and the head is pinned outside the database.
//
// One goroutine writes. It checks every statement against the subject's
// statement before it, assigns places in chain and tree, and commits whatever
// waits in one transaction: many callers share one sync of the disk. Whoever
// gets a Receipt has it durable; whoever gets an error has nothing written.
package ledger

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
)

// Signed is a statement with the root key's signature; item manifests that
// change neither title, binding nor state of an item with a value have none.
type Signed struct {
	canon.Statement
	Sig []byte
}

// Entry is what is written together or not at all.
type Entry struct {
	Statements []Signed
	Events     []canon.Event
	Blobs      []store.Blob
	Consume    []string // request ids; one that was consumed before refuses the entry
	Erase      []store.Hash
}

// Receipt is the place of an entry: indexes of its first statement and event.
type Receipt struct {
	Statement int64
	Event     int64
}

// Intent is the proof that the intent to release was written durably. Only this
// package makes one; the zero Intent is for no digest.
type Intent struct {
	index  int64
	digest canon.Hash
	ok     bool
}

// Covers reports whether the intent is for a digest.
func (i Intent) Covers(d canon.Hash) bool { return i.ok && i.digest == d }

// Index is the place of the intent among the events.
func (i Intent) Index() int64 { return i.index }

// Device is what the ledger needs of the device.
type Device interface {
	ID() string
	Sign(msg []byte) []byte
	Pin() (device.Pin, error)
	SetPin(p device.Pin, sync bool) error
	RestorePin(p device.Pin) error
}

// Options are the ledger's surroundings.
type Options struct {
	Store  store.Store
	Device Device
	Signer []byte // the device's Ed25519 public key
	From   *Key   // whose ledger the device takes over: a stored head of its is accepted too
	Rand   io.Reader
	Now    func() time.Time
	Late   time.Duration // how long an outcome may wait for company; 0 means 200 ms
}

// Ledger is the log of one device. Make one with Open; Close it.
type Ledger struct {
	o    Options
	key  signer
	jobs chan *job
	quit chan struct{}
	done chan struct{}
	once sync.Once

	mu sync.RWMutex
	state
}

// state is what the ledger knows, under its mutex.
type state struct {
	head     Head
	note     []byte
	signed   Key   // who signed the stored head
	eras     []era // known once the statements were read
	subjects map[string]subject
	testHome bool
	held     string
	sealer   *sealed.EventSealer
	edge     map[int64]tlog.Hash // of the tree as it stands; the writer's own
	roster   uint64              // pinned minimum
	pinned   time.Time           // when the pin was last synced
	failed   error               // after which nothing is written any more
}

type subject struct {
	version int64
	hash    canon.Hash
}

type job struct {
	entry  Entry
	bodies [][]byte // encoded events
	reply  chan result
}

type result struct {
	r   Receipt
	err error
}

// Open checks the stored head against the device's key and the pinned head, and
// starts the writer. A database behind or forked gives a ledger that is held:
// Held says what was found, and only Restore helps.
func Open(ctx context.Context, o Options) (*Ledger, error) {
	if o.Late == 0 {
		o.Late = 200 * time.Millisecond
	}
	l := &Ledger{
		o: o, key: signer{Origin(o.Device.ID()), o.Signer, o.Device.Sign},
		jobs: make(chan *job), quit: make(chan struct{}), done: make(chan struct{}),
		state: state{subjects: map[string]subject{}, edge: map[int64]tlog.Hash{},
			head: Head{Device: o.Device.ID(), Root: emptyRoot()}},
	}
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// Close flushes what waits, pins the head and ends the writer.
func (l *Ledger) Close() error {
	l.once.Do(func() { close(l.quit) })
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pin(true)
}

// Empty reports whether nothing was ever written.
func (l *Ledger) Empty() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head.Statements == 0 && l.held == ""
}

// Held says why the ledger is held; it is empty when it is not.
func (l *Ledger) Held() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.held
}

// Hold puts the ledger into the held state: a check elsewhere, at unlock, found
// what only a restore mends.
func (l *Ledger) Hold(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = why
}

// Head returns the current head and its note.
func (l *Ledger) Head() (Head, []byte) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head, l.note
}

// Key returns the device's key that signs heads: name and public key.
func (l *Ledger) Key() (name string, public []byte) { return l.key.name, l.key.pub }

// Device returns the id of the device whose ledger it is.
func (l *Ledger) Device() string { return l.o.Device.ID() }

// Version returns the version and body hash of a subject's latest statement;
// zero values when there is none. It knows statements after Replay only.
func (l *Ledger) Version(key string) (int64, canon.Hash) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.subjects[key]
	return s.version, s.hash
}

// Begin sets what events need: the ledger's public key and the account. The
// sealed event key is committed with the first event.
func (l *Ledger) Begin(g canon.Genesis) error {
	s, err := sealed.NewEventSealer(l.o.Rand, g.LedgerKEM, g.Account, l.o.Device.ID())
	if err != nil {
		return fault.Wrap(fault.Internal, "ledger", "event key", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sealer, l.testHome = s, g.TestHome
	return nil
}

// Append writes an entry durably.
func (l *Ledger) Append(ctx context.Context, e Entry) (Receipt, error) {
	return l.append(ctx, e)
}

// Intend writes the intent to release under a digest, consuming the request id
// in the same transaction.
func (l *Ledger) Intend(ctx context.Context, ev canon.Event, consume ...string) (Intent, error) {
	if ev.Digest == nil {
		return Intent{}, fault.New(fault.Internal, "intent", "", "an intent needs a digest")
	}
	ev.Type = canon.EventIntent
	r, err := l.append(ctx, Entry{Events: []canon.Event{ev}, Consume: consume})
	if err != nil {
		return Intent{}, err
	}
	return Intent{index: r.Event, digest: *ev.Digest, ok: true}, nil
}

// Block is a number of uses that one durable event reserved for a lease.
type Block struct {
	mu    sync.Mutex
	index int64
	left  int
}

// Reserve writes the event that reserves ev.Uses uses of a lease.
func (l *Ledger) Reserve(ctx context.Context, ev canon.Event) (*Block, error) {
	ev.Type = canon.EventBlock
	r, err := l.append(ctx, Entry{Events: []canon.Event{ev}})
	if err != nil {
		return nil, err
	}
	return &Block{index: r.Event, left: ev.Uses}, nil
}

// Use takes one use out of the block as the intent for a digest. The event that
// names the digest follows, late. ok is false when the block is used up.
func (b *Block) Use(digest canon.Hash) (in Intent, ok bool) {
	if b == nil {
		return Intent{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left <= 0 {
		return Intent{}, false
	}
	b.left--
	return Intent{index: b.index, digest: digest, ok: true}, true
}

// Later writes an event with the next commit, at the latest after Options.Late.
// It is for outcomes, which may be lost by a crash; intents may not.
func (l *Ledger) Later(ev canon.Event) {
	j, err := l.job(Entry{Events: []canon.Event{ev}})
	if err != nil {
		return
	}
	j.reply = nil
	select {
	case l.jobs <- j:
	case <-l.done:
	}
}

// Flush waits until what Later was given before is written: whoever reads then reads
// that too.
func (l *Ledger) Flush(ctx context.Context) error {
	_, err := l.append(ctx, Entry{})
	return err
}

func (l *Ledger) job(e Entry) (*job, error) {
	j := &job{entry: e, reply: make(chan result, 1)}
	l.mu.RLock()
	test := l.testHome
	l.mu.RUnlock()
	for _, ev := range e.Events {
		ev.V, ev.TestHome = 1, test
		if ev.Time == 0 {
			ev.Time = l.o.Now().UnixMilli()
		}
		if ev.Type == "" {
			return nil, fault.New(fault.Internal, "ledger", "", "an event without a type")
		}
		j.bodies = append(j.bodies, ev.Encode())
	}
	return j, nil
}

func (l *Ledger) append(ctx context.Context, e Entry) (Receipt, error) {
	j, err := l.job(e)
	if err != nil {
		return Receipt{}, err
	}
	select {
	case l.jobs <- j:
	case <-ctx.Done():
		return Receipt{}, fault.Wrap(fault.Unavailable, "ledger", "", ctx.Err())
	case <-l.done:
		return Receipt{}, fault.New(fault.Unavailable, "ledger", "", "the ledger is closed")
	}
	r := <-j.reply // once accepted it is written or refused, never abandoned
	return r.r, r.err
}

// hashOf is the content address of a blob.
func hashOf(b []byte) canon.Hash { return sha256.Sum256(b) }

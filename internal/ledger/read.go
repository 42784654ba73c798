package ledger

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
)

// load reads the stored head and holds it against the pin.
func (l *Ledger) load(ctx context.Context) error {
	pin, err := l.o.Device.Pin()
	if err != nil {
		return err
	}
	h, err := l.o.Store.Head(ctx)
	if err != nil {
		return err
	}
	l.roster = pin.Roster
	if h.Statements == 0 && h.Events == 0 && len(h.Note) == 0 {
		if pin.Statements != 0 {
			l.held = fmt.Sprintf("the database is empty, but this device has seen %d statements", pin.Statements)
		}
		return nil
	}
	l.signed = l.self()
	head, err := openHead(h.Note, l.key)
	if err != nil && l.o.From != nil {
		l.signed = *l.o.From
		head, err = openHead(h.Note, l.signed.verifier())
		head.Device = l.o.Device.ID() // who signs the next one
	}
	if err != nil {
		l.held = "the database's head is not signed by this device"
		return nil
	}
	if head.Statements != h.Statements || head.Events != h.Events {
		l.held = "the database's head and its counts disagree"
		return nil
	}
	l.head, l.note = head, h.Note
	if err := l.against(ctx, pin); err != nil {
		if !fault.Is(err, fault.Tampered) {
			return err
		}
		l.held = err.Error()
	}
	return nil
}

// against checks that what is stored continues what was pinned. A database that
// is ahead with a valid signature and proof is accepted (power failed between
// commit and pin); one behind or forked is fault.Tampered.
func (l *Ledger) against(ctx context.Context, pin device.Pin) error {
	h := l.head
	if uint64(h.Statements) < pin.Statements || uint64(h.Events) < pin.Events {
		return fault.New(fault.Tampered, "ledger", "", fmt.Sprintf(
			"the database was rolled back: it has %d statements and %d events, this device has seen %d and %d",
			h.Statements, h.Events, pin.Statements, pin.Events))
	}
	link := canon.Hash(pin.Link)
	err := l.o.Store.Statements(ctx, int64(pin.Statements), func(s store.Statement) error {
		link = canon.Link(link, s.N, s.Body, s.Sig)
		return nil
	})
	if err != nil {
		return err
	}
	if link != h.Link {
		return fault.New(fault.Tampered, "ledger", "", "the statements do not continue what this device has seen")
	}
	r := storeReader{l.o.Store}
	root, err := treeRoot(h.Events, r)
	if err != nil || root != h.Root {
		return fault.New(fault.Tampered, "ledger", "", "the events do not give the signed root")
	}
	if pin.Events == 0 || pin.Events == uint64(h.Events) {
		if pin.Events != 0 && canon.Hash(pin.Root) != h.Root {
			return fault.New(fault.Tampered, "ledger", "", "the events were forked")
		}
		return nil
	}
	p, err := tlog.ProveTree(h.Events, int64(pin.Events), r)
	if err == nil {
		err = tlog.CheckTree(p, h.Events, tlog.Hash(h.Root), int64(pin.Events), tlog.Hash(pin.Root))
	}
	if err != nil {
		return fault.New(fault.Tampered, "ledger", "", "the events do not continue what this device has seen")
	}
	return nil
}

// Replay reads every statement in order, recomputes the chain, and compares its
// end with the signed head. each sees them as they come; what it built must be
// thrown away when Replay fails. It also fills in what Append checks against, so
// nobody may write meanwhile.
func (l *Ledger) Replay(ctx context.Context, each func(n int64, s Signed, body []byte) error) error {
	subjects, eras, err := l.statements(ctx, each)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subjects, l.eras = subjects, eras
	return nil
}

// Statements hands out the statements under the present head, in order, and
// checks what Replay checks: what each built is thrown away when it fails. It
// may run while others write.
func (l *Ledger) Statements(ctx context.Context, each func(n int64, s Signed, body []byte) error) error {
	_, _, err := l.statements(ctx, each)
	return err
}

func (l *Ledger) statements(ctx context.Context, each func(n int64, s Signed, body []byte) error) (map[string]subject, []era, error) {
	head, _ := l.Head()
	var link canon.Hash
	var n int64
	var eras []era
	subjects := make(map[string]subject, head.Statements)
	err := l.o.Store.Statements(ctx, 0, func(row store.Statement) error {
		if row.N >= head.Statements {
			return errStop // written meanwhile
		}
		s, err := canon.ParseStatement(row.Body)
		if err != nil || row.N != n {
			return fault.New(fault.Tampered, "replay", fmt.Sprint(n), "statement is not what was written")
		}
		if eras, err = follow(eras, s, n, link); err != nil {
			return err
		}
		link = canon.Link(link, n, row.Body, row.Sig)
		cur := subjects[s.Key()]
		if s.Version != cur.version+1 || s.Parent != cur.hash {
			return fault.New(fault.Tampered, "replay", s.Subject, "statement does not follow its parent")
		}
		subjects[s.Key()] = subject{s.Version, canon.HashBody(row.Body)}
		n++
		return each(row.N, Signed{s, row.Sig}, row.Body)
	})
	if err != nil && err != errStop {
		return nil, nil, err
	}
	if n != head.Statements || link != head.Link {
		return nil, nil, fault.New(fault.Tampered, "replay", "", "the statements are not those of the signed head")
	}
	if n > 0 && !eras[len(eras)-1].key.equal(l.signer()) {
		return nil, nil, fault.New(fault.Tampered, "replay", "", "the statements name another device than the one that signed the head")
	}
	return subjects, eras, nil
}

// First returns the first statement: the genesis, which is readable while
// locked.
func (l *Ledger) First(ctx context.Context) (Signed, []byte, error) {
	var out Signed
	var body []byte
	err := l.o.Store.Statements(ctx, 0, func(row store.Statement) error {
		s, err := canon.ParseStatement(row.Body)
		if err != nil {
			return fault.New(fault.Tampered, "replay", "0", "statement is not what was written")
		}
		out, body = Signed{s, row.Sig}, row.Body
		return errStop
	})
	if err != nil && err != errStop {
		return out, nil, err
	}
	return out, body, nil
}

var errStop = fault.New(fault.Internal, "ledger", "", "stop")

// Stop is returned by callbacks to end an iteration early without an error.
var Stop = error(errStop)

// SetRoster raises the pinned minimum version of the roster.
func (l *Ledger) SetRoster(version int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if uint64(version) < l.roster {
		return fault.New(fault.Tampered, "ledger", "roster", "the roster was rolled back")
	}
	l.roster = uint64(version)
	return l.pin(true)
}

// Opener opens one event: index, leaf, ciphertext to salt || body.
type Opener func(index int64, leaf canon.Hash, sealed []byte) ([]byte, error)

// Event is an opened event with what its proof needs.
type Event struct {
	N    int64
	Leaf canon.Hash
	Salt []byte
	Body []byte
}

// Events opens the events from (inclusive) to (exclusive; <= 0 means all) and
// hands them out in order. opener makes the Opener of a daemon run from its
// sealed key and the id of the device it ran on. An event that does not open is
// fault.Tampered. It knows the devices after Replay only.
func (l *Ledger) Events(ctx context.Context, from, to int64, opener func(device string, blob []byte) (Opener, error), each func(Event) error) error {
	head, _ := l.Head()
	if to <= 0 || to > head.Events {
		to = head.Events
	}
	keys := map[store.Hash]Opener{}
	next := from
	err := l.o.Store.Events(ctx, from, to, func(row store.Event) error {
		if row.N != next {
			return fault.New(fault.Tampered, "events", fmt.Sprint(next), "event is missing")
		}
		next++
		open, ok := keys[row.Key]
		if !ok {
			var blob []byte
			if err := l.o.Store.Blobs(ctx, []store.Hash{row.Key}, func(b store.Blob) error { blob = b.Bytes; return nil }); err != nil {
				return err
			}
			if canon.Hash(row.Key) != hashOf(blob) {
				return fault.New(fault.Tampered, "events", fmt.Sprint(row.N), "event key is not what was written")
			}
			var err error
			if open, err = opener(l.deviceAt(row.N), blob); err != nil {
				return err
			}
			keys[row.Key] = open
		}
		text, err := open(row.N, canon.Hash(row.Leaf), row.Sealed)
		if err != nil {
			return fault.New(fault.Tampered, "events", fmt.Sprint(row.N), "event is not what was written")
		}
		return each(Event{row.N, canon.Hash(row.Leaf), text[:32], text[32:]})
	})
	if err == errStop {
		return nil
	}
	if err == nil && next < to {
		return fault.New(fault.Tampered, "events", fmt.Sprint(next), "event is missing")
	}
	return err
}

// Leaves recomputes the tree from the stored leaves and compares it with the
// signed head. It opens nothing, so it works while locked.
func (l *Ledger) Leaves(ctx context.Context) error {
	head, _ := l.Head()
	eras, err := l.allEras(ctx)
	if err != nil {
		return err
	}
	tree := map[int64]tlog.Hash{}
	reader := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = tree[x]
		}
		return out, nil
	})
	next := int64(0)
	err = l.o.Store.Events(ctx, 0, head.Events, func(row store.Event) error {
		if row.N != next {
			return fault.New(fault.Tampered, "verify", fmt.Sprint(next), "event is missing")
		}
		hs, err := tlog.StoredHashesForRecordHash(next, tlog.RecordHash(row.Leaf[:]), reader)
		if err != nil {
			return err
		}
		for i, h := range hs {
			tree[tlog.StoredHashIndex(0, next)+int64(i)] = h
		}
		next++
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range eras[min(1, len(eras)):] {
		if root, err := treeRoot(e.from, reader); err != nil || root != e.root {
			return fault.New(fault.Tampered, "verify", "events", "the events are not those that "+e.key.Device+" took over")
		}
	}
	root, err := treeRoot(head.Events, reader)
	if err != nil || next != head.Events || root != head.Root {
		return fault.New(fault.Tampered, "verify", "events", "the events are not those of the signed head")
	}
	return nil
}

// Prove returns the inclusion proof of an event under the current head.
func (l *Ledger) Prove(n int64) (Head, []byte, []canon.Hash, error) {
	head, text := l.Head()
	if n < 0 || n >= head.Events {
		return head, nil, nil, fault.New(fault.NotFound, "proof", fmt.Sprint(n), "no such event")
	}
	p, err := tlog.ProveRecord(head.Events, n, storeReader{l.o.Store})
	if err != nil {
		return head, nil, nil, fault.Wrap(fault.Tampered, "proof", fmt.Sprint(n), err)
	}
	out := make([]canon.Hash, len(p))
	for i, h := range p {
		out[i] = canon.Hash(h)
	}
	return head, text, out, nil
}

// Restore accepts the database as it is after a rollback: the pin is set back to
// it, and the ledger goes on. Whoever calls it has checked a gesture, and writes
// the statement and the event that say so.
func (l *Ledger) Restore() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == "" {
		return fault.New(fault.Usage, "restore", "", "nothing is held")
	}
	if l.head.Statements == 0 {
		return fault.New(fault.Unavailable, "restore", "", "the database has no signed head to restore to")
	}
	p := device.Pin{Statements: uint64(l.head.Statements), Link: l.head.Link, Events: uint64(l.head.Events), Root: l.head.Root, Roster: l.roster}
	if err := l.o.Device.RestorePin(p); err != nil {
		return err
	}
	l.held = ""
	return nil
}

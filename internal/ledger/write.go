package ledger

import (
	"context"
	"runtime"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
)

// maxGroup bounds how many entries share a transaction.
const maxGroup = 256

// pinEvery is how often the pinned head is synced when only events were written.
const pinEvery = time.Second

// write is the single writer. It owns head, edge and subjects between commits.
func (l *Ledger) write() {
	defer close(l.done)
	var late []*job
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case j := <-l.jobs:
			if j.reply == nil {
				if late = append(late, j); len(late) == 1 {
					timer.Reset(l.o.Late)
				}
				if len(late) < maxGroup {
					continue
				}
				l.commit(late)
				late = nil
				continue
			}
			group := l.gather(append(late, j))
			late = nil
			l.commit(group)
		case <-timer.C:
			if len(late) > 0 {
				l.commit(late)
				late = nil
			}
			l.mu.Lock()
			_ = l.pin(true)
			l.mu.Unlock()
		case <-l.quit:
			l.commit(late)
			return
		}
	}
}

// gather adds whatever else waits, and whoever is about to ask: it lets others
// run as long as that brings more. A caller who is alone waits for nobody.
func (l *Ledger) gather(group []*job) []*job {
	for began := 0; began < len(group); {
		began = len(group)
		runtime.Gosched()
		for more := true; more && len(group) < maxGroup; {
			select {
			case j := <-l.jobs:
				group = append(group, j)
			default:
				more = false
			}
		}
	}
	return group
}

// draft is a group being laid out: rows, and the state they would lead to.
type draft struct {
	l        *Ledger
	batch    store.Batch
	head     Head
	subjects map[string]subject
	nodes    map[int64]tlog.Hash
	consumed map[string]bool
	keyed    bool
}

// commit lays a group out, commits it and answers. When the group as a whole is
// refused, its entries are tried one by one, so that nobody fails for another's
// fault.
func (l *Ledger) commit(group []*job) {
	if len(group) == 0 {
		return
	}
	d := l.newDraft()
	var in []*job
	var got []Receipt
	for _, j := range group {
		r, err := d.add(j)
		if err != nil {
			answer(j, Receipt{}, err)
			continue
		}
		in, got = append(in, j), append(got, r)
	}
	if len(in) == 0 {
		return
	}
	var err error
	if slices.ContainsFunc(in, (*job).writes) { // and is not here to wait for others alone
		err = l.store(d)
	}
	if err != nil && len(in) > 1 && fault.Is(err, fault.Conflict) {
		for _, j := range in {
			l.commit([]*job{j})
		}
		return
	}
	for i, j := range in {
		answer(j, got[i], err)
	}
}

// writes reports whether there is anything to write for a job.
func (j *job) writes() bool {
	e := j.entry
	return len(e.Events)+len(e.Statements)+len(e.Blobs)+len(e.Consume)+len(e.Erase) > 0
}

func answer(j *job, r Receipt, err error) {
	if j.reply != nil {
		j.reply <- result{r, err}
	}
}

func (l *Ledger) newDraft() *draft {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return &draft{l: l, head: l.head, subjects: map[string]subject{}, nodes: map[int64]tlog.Hash{}, consumed: map[string]bool{}}
}

// ReadHashes implements tlog.HashReader: nodes of this draft, the edge, the
// store.
func (d *draft) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var missing []int64
	var at []int
	for i, x := range indexes {
		if h, ok := d.nodes[x]; ok {
			out[i] = h
		} else if h, ok := d.l.edge[x]; ok {
			out[i] = h
		} else {
			missing, at = append(missing, x), append(at, i)
		}
	}
	if len(missing) > 0 {
		hs, err := storeReader{d.l.o.Store}.ReadHashes(missing)
		if err != nil {
			return nil, err
		}
		for i, h := range hs {
			out[at[i]] = h
		}
	}
	return out, nil
}

// storeReader reads tree nodes from the store.
type storeReader struct{ s store.Store }

// ReadHashes implements tlog.HashReader.
func (r storeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hs, err := r.s.Hashes(context.Background(), indexes)
	if err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, len(hs))
	for i, h := range hs {
		out[i] = tlog.Hash(h)
	}
	return out, nil
}

// add lays one entry out behind the others. On an error the draft is as before.
func (d *draft) add(j *job) (Receipt, error) {
	e, l := j.entry, d.l
	l.mu.RLock()
	held, failed, sealer := l.held, l.failed, l.sealer
	l.mu.RUnlock()
	switch {
	case failed != nil:
		return Receipt{}, failed
	case held != "":
		return Receipt{}, fault.New(fault.Held, "ledger", "", held).WithHint("see `thumbturn restore --help`")
	case len(e.Events) > 0 && sealer == nil:
		return Receipt{}, fault.New(fault.Empty, "ledger", "", "there is no account yet")
	}
	if err := d.check(e); err != nil {
		return Receipt{}, err
	}
	r := Receipt{Statement: d.head.Statements, Event: d.head.Events}
	if len(e.Events) > 0 && !d.keyed {
		d.batch.Blobs = append(d.batch.Blobs, store.Blob{Hash: store.Hash(sealer.Key), Kind: store.EventKey, Bytes: sealer.Blob})
		d.keyed = true
	}
	for _, body := range j.bodies {
		n := d.head.Events
		leaf, ct, err := sealer.Seal(n, body)
		if err != nil {
			return Receipt{}, err
		}
		rec := tlog.RecordHash(leaf[:])
		hashes, err := tlog.StoredHashesForRecordHash(n, rec, d)
		if err != nil {
			return Receipt{}, fault.Wrap(fault.Tampered, "ledger", "tree", err)
		}
		first := tlog.StoredHashIndex(0, n)
		for i, h := range hashes {
			d.nodes[first+int64(i)] = h
			d.batch.Hashes = append(d.batch.Hashes, store.NodeHash{Index: first + int64(i), Hash: store.Hash(h)})
		}
		d.batch.Events = append(d.batch.Events, store.Event{N: n, Leaf: store.Hash(leaf), Key: store.Hash(sealer.Key), Sealed: ct})
		d.head.Events++
	}
	for _, s := range e.Statements {
		body := s.Body()
		d.head.Link = canon.Link(d.head.Link, d.head.Statements, body, s.Sig)
		d.batch.Statements = append(d.batch.Statements, store.Statement{N: d.head.Statements, Link: store.Hash(d.head.Link), Body: body, Sig: s.Sig})
		d.subjects[s.Key()] = subject{s.Version, canon.HashBody(body)}
		d.head.Statements++
	}
	d.batch.Blobs = append(d.batch.Blobs, e.Blobs...)
	d.batch.Erase = append(d.batch.Erase, e.Erase...)
	for _, id := range e.Consume {
		d.consumed[id] = true
		d.batch.Consume = append(d.batch.Consume, id)
	}
	return r, nil
}

// check refuses an entry whose statements do not follow what is current, or
// whose request id this group has consumed already.
func (d *draft) check(e Entry) error {
	next := map[string]subject{}
	for _, s := range e.Statements {
		cur, ok := next[s.Key()]
		if !ok {
			if cur, ok = d.subjects[s.Key()]; !ok {
				d.l.mu.RLock()
				cur = d.l.subjects[s.Key()]
				d.l.mu.RUnlock()
			}
		}
		if s.Version != cur.version+1 || s.Parent != cur.hash {
			return fault.New(fault.Conflict, "ledger", s.Subject, "it was changed meanwhile").WithHint("try again")
		}
		body := s.Body()
		if _, err := canon.ParseStatement(body); err != nil {
			return fault.Wrap(fault.Internal, "ledger", s.Subject, err)
		}
		next[s.Key()] = subject{s.Version, canon.HashBody(body)}
	}
	for _, id := range e.Consume {
		if d.consumed[id] {
			return fault.New(fault.Conflict, "ledger", id, "the request was used already")
		}
	}
	return nil
}

// store signs the head the draft leads to, commits, and only then makes it
// current and pins it. After a failed commit the state is read back, since a
// disk may fail after the data was safe.
func (l *Ledger) store(d *draft) error {
	reader := &edgeReader{HashReader: d, seen: map[int64]tlog.Hash{}}
	root, err := treeRoot(d.head.Events, reader)
	if err != nil {
		return fault.Wrap(fault.Tampered, "ledger", "tree", err)
	}
	d.head.Root = root
	text, err := signHead(d.head, l.key)
	if err != nil {
		return fault.Wrap(fault.Internal, "ledger", "head", err)
	}
	d.batch.Prev = store.Head{Statements: l.head.Statements, Events: l.head.Events}
	d.batch.Head = store.Head{Statements: d.head.Statements, Events: d.head.Events, Note: text}
	if err := l.o.Store.Commit(context.Background(), d.batch); err != nil {
		l.reread(err)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head, l.note, l.edge = d.head, text, reader.seen
	for k, s := range d.subjects {
		l.subjects[k] = s
	}
	return l.afterCommit(len(d.batch.Statements) > 0)
}

// afterCommit pins the head; statements and the passing of a second sync it.
func (l *Ledger) afterCommit(statements bool) error {
	since := l.o.Now().Sub(l.pinned)
	sync := statements || since >= pinEvery || since < 0 // a clock set back holds nothing up
	if err := l.pin(sync); err != nil {
		l.failed = fault.Wrap(fault.Unavailable, "ledger", "pinned head", err)
		return l.failed
	}
	return nil
}

// pin writes the head outside the database. Caller holds mu.
func (l *Ledger) pin(sync bool) error {
	if l.held != "" || l.head.Statements == 0 {
		return nil
	}
	if sync {
		l.pinned = l.o.Now()
	}
	return l.o.Device.SetPin(device.Pin{
		Statements: uint64(l.head.Statements), Link: l.head.Link,
		Events: uint64(l.head.Events), Root: l.head.Root, Roster: l.roster,
	}, sync)
}

// reread decides after a failed commit whether the state in memory still holds.
func (l *Ledger) reread(cause error) {
	h, err := l.o.Store.Head(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || h.Statements != l.head.Statements || h.Events != l.head.Events {
		l.failed = fault.Wrap(fault.Unavailable, "ledger", "", cause).WithHint("restart the daemon: `thumbturn daemon stop`")
	}
}

// edgeReader remembers what the tree's root was made of: the next record needs
// just those nodes.
type edgeReader struct {
	tlog.HashReader
	seen map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (r *edgeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hs, err := r.HashReader.ReadHashes(indexes)
	for i, h := range hs {
		r.seen[indexes[i]] = h
	}
	return hs, err
}

// Package storetest checks that a home for Thumbturn's data keeps the promises
// of package store. Every home runs it in its own tests.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
)

// Run runs the suite. open returns a new, empty store each time and closes it
// in a cleanup of t.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"empty", empty},
		{"round trip", roundTrip},
		{"batch equals many", pages},
		{"head alone", headAlone},
		{"conflict", conflict},
		{"consume twice", consumeTwice},
		{"malformed", malformed},
		{"rows taken", rowsTaken},
		{"callback stops", callbackStops},
		{"callback commits", callbackCommits},
		{"blobs", blobs},
		{"erase", erase},
		{"list", list},
		{"hashes", hashes},
		{"large blob", largeBlob},
		{"racing writers", racingWriters},
		{"readers while writing", readersWhileWriting},
		{"cancelled", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Next returns a batch of so many statements and events that follows prev, with
// one tree hash per event. Its bytes depend on the numbers alone, so that Verify can
// check them later, in another process if need be.
func Next(prev store.Head, statements, events int) store.Batch {
	b := store.Batch{Prev: prev, Head: store.Head{
		Statements: prev.Statements + int64(statements),
		Events:     prev.Events + int64(events),
	}}
	for n := prev.Statements; n < b.Head.Statements; n++ {
		b.Statements = append(b.Statements, statement(n))
	}
	for n := prev.Events; n < b.Head.Events; n++ {
		b.Events = append(b.Events, event(n))
		b.Hashes = append(b.Hashes, store.NodeHash{Index: n, Hash: event(n).Leaf})
	}
	b.Head.Note = note(b.Head)
	return b
}

// Verify checks that s holds, up to its head, exactly what batches of Next
// wrote, and returns the head.
func Verify(t *testing.T, s store.Store) store.Head {
	t.Helper()
	ctx := t.Context()
	h := mustHead(t, s)
	if h.Statements+h.Events > 0 && !bytes.Equal(h.Note, note(h)) {
		t.Errorf("the note %q is not that of the counts %d, %d", h.Note, h.Statements, h.Events)
	}
	n := int64(0)
	err := s.Statements(ctx, 0, func(got store.Statement) error {
		if d := cmp.Diff(statement(n), got, cmpopts.EquateEmpty()); d != "" {
			return errors.New(d)
		}
		n++
		return nil
	})
	if err != nil || n < h.Statements { // more, if others write
		t.Errorf("%d of %d statements: %v", n, h.Statements, err)
	}
	n = 0
	var index []int64
	err = s.Events(ctx, 0, h.Events, func(got store.Event) error {
		if d := cmp.Diff(event(n), got, cmpopts.EquateEmpty()); d != "" {
			return errors.New(d)
		}
		index = append(index, n)
		n++
		return nil
	})
	if err != nil || n != h.Events {
		t.Errorf("%d of %d events: %v", n, h.Events, err)
	}
	tree, err := s.Hashes(ctx, index)
	if err != nil {
		t.Error(err)
	}
	for i, got := range tree {
		if got != event(int64(i)).Leaf {
			t.Errorf("tree hash %d is not what was written", i)
		}
	}
	return h
}

func statement(n int64) store.Statement {
	body := fmt.Appendf(nil, "statement %d", n)
	s := store.Statement{N: n, Link: store.Sum(body), Body: body}
	if n%2 == 0 {
		s.Sig = []byte("signature")
	}
	return s
}

func event(n int64) store.Event {
	sealed := fmt.Appendf(nil, "event %d", n)
	return store.Event{N: n, Leaf: store.Sum(sealed), Key: store.Sum([]byte("key")), Sealed: sealed}
}

func note(h store.Head) []byte { return fmt.Appendf(nil, "head %d %d", h.Statements, h.Events) }

// Blob returns a blob of content under its digest.
func Blob(kind store.BlobKind, vault, item string, content []byte) store.Blob {
	return store.Blob{Hash: store.Sum(content), Kind: kind, Vault: vault, Item: item, Bytes: content}
}

func commit(t *testing.T, s store.Store, b store.Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func mustHead(t *testing.T, s store.Store) store.Head {
	t.Helper()
	h, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// refused checks that b fails with kind and leaves no trace.
func refused(t *testing.T, s store.Store, b store.Batch, kind fault.Kind) {
	t.Helper()
	before := mustHead(t, s)
	err := s.Commit(t.Context(), b)
	if !fault.Is(err, kind) {
		t.Errorf("kind %q, want %q: %v", fault.KindOf(err), kind, err)
	}
	if d := cmp.Diff(before, mustHead(t, s), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("a refused batch changed the head: %s", d)
	}
	for _, v := range b.Blobs {
		err := s.Blobs(t.Context(), []store.Hash{v.Hash}, func(store.Blob) error { return nil })
		if !fault.Is(err, fault.Tampered) {
			t.Errorf("a refused batch left a blob: %v", err)
		}
	}
}

func collect(t *testing.T, s store.Store, hashes ...store.Hash) []store.Blob {
	t.Helper()
	var got []store.Blob
	err := s.Blobs(t.Context(), hashes, func(b store.Blob) error {
		got = append(got, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func listed(t *testing.T, s store.Store, vault string, kind store.BlobKind) []store.Blob {
	t.Helper()
	var got []store.Blob
	err := s.List(t.Context(), vault, kind, func(b store.Blob) error {
		got = append(got, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func empty(t *testing.T, s store.Store) {
	diff(t, store.Head{}, Verify(t, s))
	diff(t, []store.Blob(nil), listed(t, s, "", store.Meta))
	if got, err := s.Hashes(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func roundTrip(t *testing.T, s store.Store) {
	b := Next(store.Head{}, 3, 2)
	b.Consume = []string{"request-1"}
	b.Blobs = []store.Blob{
		Blob(store.Meta, "vault", "item", []byte("meta")),
		Blob(store.Record, "vault", "item", []byte{0, 1, 0xff}),
		Blob(store.EventKey, "", "", nil),
	}
	commit(t, s, b)
	diff(t, b.Head, Verify(t, s))
	diff(t, b.Blobs, collect(t, s, b.Blobs[0].Hash, b.Blobs[1].Hash, b.Blobs[2].Hash))
	b = Next(b.Head, 0, 1)
	commit(t, s, b)
	b = Next(b.Head, 1, 0)
	commit(t, s, b)
	diff(t, b.Head, Verify(t, s))
}

// pages writes more rows than any home is likely to read at once.
func pages(t *testing.T, s store.Store) {
	commit(t, s, Next(store.Head{}, 1500, 700))
	h := Verify(t, s)
	for _, c := range []struct{ from, to, want int64 }{
		{0, 1, 1}, {255, 257, 2}, {699, 700, 1}, {700, 800, 0}, {10, 5, 0}, {-3, 2, 2}, {650, 1 << 40, 50},
	} {
		n := int64(0)
		err := s.Events(t.Context(), c.from, c.to, func(e store.Event) error {
			if want := max(c.from, 0) + n; e.N != want {
				return fmt.Errorf("event %d, want %d", e.N, want)
			}
			n++
			return nil
		})
		if err != nil || n != c.want {
			t.Errorf("events %d to %d: %d, want %d: %v", c.from, c.to, n, c.want, err)
		}
	}
	n := int64(0)
	err := s.Statements(t.Context(), 1400, func(store.Statement) error { n++; return nil })
	if err != nil || n != h.Statements-1400 {
		t.Errorf("%d statements from 1400: %v", n, err)
	}
}

// headAlone signs the same counts again.
func headAlone(t *testing.T, s store.Store) {
	b := Next(store.Head{}, 1, 1)
	commit(t, s, b)
	h := b.Head
	h.Note = []byte("signed again")
	commit(t, s, store.Batch{Prev: b.Head, Head: h})
	diff(t, h, mustHead(t, s))
}

func conflict(t *testing.T, s store.Store) {
	first := Next(store.Head{}, 1, 1)
	commit(t, s, first)
	refused(t, s, first, fault.Conflict)
	for _, prev := range []store.Head{{}, {Statements: 1}, {Events: 1}, {Statements: 2, Events: 1}, {Statements: 1, Events: 2}} {
		b := Next(prev, 1, 1)
		b.Blobs = []store.Blob{Blob(store.Record, "v", "i", []byte("lost race"))}
		refused(t, s, b, fault.Conflict)
	}
	Verify(t, s)
}

func consumeTwice(t *testing.T, s store.Store) {
	b := Next(store.Head{}, 0, 1)
	b.Consume = []string{"a", "b"}
	commit(t, s, b)
	for _, ids := range [][]string{{"a"}, {"c", "b"}, {"d", "d"}} {
		again := Next(b.Head, 1, 1)
		again.Consume = ids
		again.Blobs = []store.Blob{Blob(store.Record, "v", "i", []byte("replayed"))}
		refused(t, s, again, fault.Conflict)
	}
	// What failed consumed nothing, and ids are compared byte by byte.
	b = Next(b.Head, 0, 1)
	b.Consume = []string{"c", "d", "A", "a "}
	commit(t, s, b)
	Verify(t, s)
}

func malformed(t *testing.T, s store.Store) {
	commit(t, s, Next(store.Head{}, 1, 1))
	head := mustHead(t, s)
	for _, c := range []struct {
		name  string
		spoil func(*store.Batch)
	}{
		{"statement gap", func(b *store.Batch) { b.Statements[1].N++ }},
		{"statements late", func(b *store.Batch) { b.Statements[0].N, b.Statements[1].N = 2, 3 }},
		{"statements swapped", func(b *store.Batch) { b.Statements[0], b.Statements[1] = b.Statements[1], b.Statements[0] }},
		{"event gap", func(b *store.Batch) { b.Events[1].N++ }},
		{"event early", func(b *store.Batch) { b.Events[0].N-- }},
		{"hashes descend", func(b *store.Batch) { b.Hashes[0], b.Hashes[1] = b.Hashes[1], b.Hashes[0] }},
		{"hash twice", func(b *store.Batch) { b.Hashes[1] = b.Hashes[0] }},
		{"hash below zero", func(b *store.Batch) { b.Hashes[0].Index = -1 }},
		{"head counts more", func(b *store.Batch) { b.Head.Events++ }},
		{"head counts less", func(b *store.Batch) { b.Head.Statements-- }},
		{"negative head", func(b *store.Batch) { *b = store.Batch{Prev: store.Head{Events: -1}, Head: store.Head{Events: -1}} }},
		{"wrong blob hash", func(b *store.Batch) { b.Blobs[0].Hash[0] ^= 1 }},
		{"no blob kind", func(b *store.Batch) { b.Blobs[0].Kind = 0 }},
		{"unknown blob kind", func(b *store.Batch) { b.Blobs[0].Kind = store.Mark + 1 }},
		{"vault not text", func(b *store.Batch) { b.Blobs[0].Vault = "\xff" }},
		{"item with NUL", func(b *store.Batch) { b.Blobs[0].Item = "a\x00b" }},
		{"empty request id", func(b *store.Batch) { b.Consume = []string{""} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := Next(head, 2, 2)
			b.Blobs = []store.Blob{Blob(store.Meta, "v", "i", []byte(c.name))}
			c.spoil(&b)
			refused(t, s, b, fault.Internal)
		})
	}
	Verify(t, s)
}

// rowsTaken writes a tree hash over one that is there: with the counts right,
// that can only be damage, and nothing may be overwritten.
func rowsTaken(t *testing.T, s store.Store) {
	commit(t, s, Next(store.Head{}, 0, 2))
	b := Next(mustHead(t, s), 0, 1)
	b.Hashes = []store.NodeHash{{Index: 1, Hash: store.Sum([]byte("other"))}}
	refused(t, s, b, fault.Tampered)
	Verify(t, s)
}

func callbackStops(t *testing.T, s store.Store) {
	b := Next(store.Head{}, 3, 3)
	b.Blobs = []store.Blob{Blob(store.Meta, "v", "1", []byte("1")), Blob(store.Meta, "v", "2", []byte("2"))}
	commit(t, s, b)
	stop := errors.New("stop")
	n := 0
	once := func() error { n++; return stop }
	for name, err := range map[string]error{
		"statements": s.Statements(t.Context(), 0, func(store.Statement) error { return once() }),
		"events":     s.Events(t.Context(), 0, 3, func(store.Event) error { return once() }),
		"list":       s.List(t.Context(), "v", store.Meta, func(store.Blob) error { return once() }),
		"blobs": s.Blobs(t.Context(), []store.Hash{b.Blobs[0].Hash, b.Blobs[1].Hash},
			func(store.Blob) error { return once() }),
	} {
		if !errors.Is(err, stop) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n != 4 {
		t.Errorf("%d calls, want one each", n)
	}
}

// callbackCommits writes from within an iteration, deeper than any pool has
// connections. The iteration ends where the log ended when it began.
func callbackCommits(t *testing.T, s store.Store) {
	commit(t, s, Next(store.Head{}, 2, 2))
	var deep func(int) error
	deep = func(n int) error {
		if n == 0 {
			return s.Commit(t.Context(), Next(mustHead(t, s), 1, 1))
		}
		return s.Events(t.Context(), 0, 1, func(store.Event) error { return deep(n - 1) })
	}
	n := 0
	err := s.Statements(t.Context(), 0, func(store.Statement) error { n++; return deep(20) })
	if err != nil || n != 2 {
		t.Errorf("%d statements: %v", n, err)
	}
	diff(t, int64(4), Verify(t, s).Events)
}

func blobs(t *testing.T, s store.Store) {
	one, two := Blob(store.Record, "v", "i", []byte("one")), Blob(store.Record, "w", "j", []byte("two"))
	commit(t, s, store.Batch{Blobs: []store.Blob{one, two, one}})
	diff(t, []store.Blob{two, one, two}, collect(t, s, two.Hash, one.Hash, two.Hash))

	// The same bytes again, said to be elsewhere, change nothing.
	moved := Blob(store.Meta, "thief", "k", []byte("one"))
	commit(t, s, store.Batch{Blobs: []store.Blob{moved}})
	diff(t, []store.Blob{one}, collect(t, s, one.Hash))
	diff(t, []store.Blob(nil), listed(t, s, "thief", store.Meta))

	none := store.Sum([]byte("never written"))
	var got []store.Blob
	err := s.Blobs(t.Context(), []store.Hash{one.Hash, none, two.Hash}, func(b store.Blob) error {
		got = append(got, b)
		return nil
	})
	diff(t, []store.Blob{one}, got)
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Tampered || f.Ref != none.String() {
		t.Errorf("%v", err)
	}
}

// erase: what is erased is gone, with the batch or not at all, and nothing else is.
func erase(t *testing.T, s store.Store) {
	one, two := Blob(store.Record, "v", "i", []byte("one")), Blob(store.Record, "v", "i", []byte("two"))
	commit(t, s, store.Batch{Blobs: []store.Blob{one, two}})
	b := Next(mustHead(t, s), 1, 1)
	b.Erase = []store.Hash{one.Hash, store.Sum([]byte("never written"))}
	late := b
	late.Prev.Events++
	late.Events, late.Hashes = nil, nil
	late.Head.Events = late.Prev.Events
	refused(t, s, late, fault.Conflict)
	diff(t, []store.Blob{one, two}, listed(t, s, "v", store.Record))
	commit(t, s, b)
	diff(t, []store.Blob{two}, listed(t, s, "v", store.Record))
	err := s.Blobs(t.Context(), []store.Hash{one.Hash}, func(store.Blob) error { return nil })
	if !fault.Is(err, fault.Tampered) {
		t.Errorf("an erased blob: %v", err)
	}
	Verify(t, s)
}

func list(t *testing.T, s store.Store) {
	var meta, all []store.Blob
	for i := range 600 {
		b := Blob(store.Meta, "v", fmt.Sprint(i), fmt.Append(nil, "meta ", i))
		meta = append(meta, b)
		all = append(all, b,
			Blob(store.Record, "v", fmt.Sprint(i), fmt.Append(nil, "record ", i)),
			Blob(store.Meta, "w", fmt.Sprint(i), fmt.Append(nil, "other ", i)))
	}
	commit(t, s, store.Batch{Blobs: all})
	diff(t, meta, listed(t, s, "v", store.Meta))
	diff(t, 600, len(listed(t, s, "v", store.Record)))
	diff(t, 600, len(listed(t, s, "w", store.Meta)))
	diff(t, 0, len(listed(t, s, "V", store.Meta)))
	mark, piece := Blob(store.Mark, "", "i", []byte("mark")), Blob(store.Piece, "v", "i", []byte("piece"))
	commit(t, s, store.Batch{Blobs: []store.Blob{mark, piece}})
	diff(t, []store.Blob{mark}, listed(t, s, "", store.Mark))
	diff(t, []store.Blob{piece}, listed(t, s, "v", store.Piece))
	diff(t, 0, len(listed(t, s, "w", store.Record)))
	n := 0
	err := s.List(t.Context(), "v", store.Meta, func(store.Blob) error {
		n++
		return s.Commit(t.Context(), store.Batch{Blobs: []store.Blob{Blob(store.Meta, "v", "new", fmt.Append(nil, "new ", n))}})
	})
	if err != nil || n != 600 {
		t.Errorf("%d listed while adding: %v", n, err)
	}
}

func hashes(t *testing.T, s store.Store) {
	b := store.Batch{}
	for i := range int64(5) {
		b.Hashes = append(b.Hashes, store.NodeHash{Index: i, Hash: store.Sum([]byte{byte(i)})})
	}
	commit(t, s, b)
	got, err := s.Hashes(t.Context(), []int64{4, 0, 4, 2})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, []store.Hash{b.Hashes[4].Hash, b.Hashes[0].Hash, b.Hashes[4].Hash, b.Hashes[2].Hash}, got)
	for _, missing := range []int64{5, -1, 1 << 40} {
		if got, err := s.Hashes(t.Context(), []int64{0, missing}); !fault.Is(err, fault.Tampered) || got != nil {
			t.Errorf("hash %d: %v, %v", missing, got, err)
		}
	}
}

func largeBlob(t *testing.T, s store.Store) {
	content := make([]byte, 10<<20)
	rand.Read(content)
	b := Next(store.Head{}, 1, 1)
	b.Blobs = []store.Blob{Blob(store.Record, "v", "i", content)}
	commit(t, s, b)
	got := collect(t, s, b.Blobs[0].Hash)
	if len(got) != 1 || !bytes.Equal(got[0].Bytes, content) {
		t.Error("the large blob is not what was written")
	}
	Verify(t, s)
}

// racingWriters lets many goroutines commit, each retrying after a conflict.
// None may be lost and none may overwrite another.
func racingWriters(t *testing.T, s store.Store) {
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				h, err := s.Head(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				switch err := s.Commit(t.Context(), Next(h, 1, 1)); {
				case err == nil:
					done++
				case !fault.Is(err, fault.Conflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	diff(t, int64(writers*each), Verify(t, s).Events)
}

// readersWhileWriting checks that a reader sees every row its head counts, and
// never a part of a batch.
func readersWhileWriting(t *testing.T, s store.Store) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if h := Verify(t, s); h.Events != 3*h.Statements {
					t.Errorf("half a batch: %d statements, %d events", h.Statements, h.Events)
					return
				}
			}
		})
	}
	h := store.Head{}
	for range 100 {
		b := Next(h, 1, 3)
		if err := s.Commit(t.Context(), b); err != nil {
			t.Error(err)
			break
		}
		h = b.Head
	}
	close(stop)
	wg.Wait()
	diff(t, int64(300), Verify(t, s).Events)
}

func cancelled(t *testing.T, s store.Store) {
	commit(t, s, Next(store.Head{}, 1, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := mustHead(t, s)
	for name, err := range map[string]error{
		"commit":     s.Commit(ctx, Next(h, 1, 1)),
		"statements": s.Statements(ctx, 0, func(store.Statement) error { return nil }),
		"events":     s.Events(ctx, 0, 1, func(store.Event) error { return nil }),
		"list":       s.List(ctx, "v", store.Meta, func(store.Blob) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	diff(t, h, Verify(t, s))

	// Cancelled at any moment, a batch is there if and only if Commit said so.
	for range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(cancel)
		b := Next(h, 1, 1)
		if err := s.Commit(ctx, b); err == nil {
			h = b.Head
		} else if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		wg.Wait()
		diff(t, h, mustHead(t, s))
	}
	Verify(t, s)
}

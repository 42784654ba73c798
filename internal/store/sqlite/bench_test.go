package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/storetest"
)

// payload is about the size of one sealed event.
func payload() []byte { return bytes.Repeat([]byte{7}, 700) }

// BenchmarkFloor appends one event's bytes to a file and syncs: no store that
// keeps its promise by appending can be faster on this disk.
func BenchmarkFloor(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := payload()
	for b.Loop() {
		if _, err := f.Write(p); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommit writes one event, two tree hashes and a head.
func BenchmarkCommit(b *testing.B) {
	d, err := Open(filepath.Join(b.TempDir(), "db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	p, note := payload(), bytes.Repeat([]byte{8}, 250)
	h := store.Head{}
	for b.Loop() {
		batch := storetest.Next(h, 0, 1)
		batch.Events[0].Sealed, batch.Head.Note = p, note
		n := 2 * h.Events
		batch.Hashes = []store.NodeHash{{Index: n}, {Index: n + 1}}
		if err := d.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		h = batch.Head
	}
}

func filled(b *testing.B) (*DB, []store.Hash) {
	d, err := Open(filepath.Join(b.TempDir(), "db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	batch := storetest.Next(store.Head{}, 10_000, 0)
	var hashes []store.Hash
	for i := range batch.Statements {
		v := storetest.Blob(store.Record, "v", "i", bytes.Repeat(batch.Statements[i].Body, 100))
		hashes = append(hashes, v.Hash)
		batch.Blobs = append(batch.Blobs, v)
	}
	if err := d.Commit(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	return d, hashes
}

func BenchmarkBlob(b *testing.B) {
	d, hashes := filled(b)
	for i := 0; b.Loop(); i++ {
		k := i % len(hashes)
		if err := d.Blobs(b.Context(), hashes[k:k+1], func(store.Blob) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplay10000(b *testing.B) {
	d, _ := filled(b)
	for b.Loop() {
		if err := d.Statements(b.Context(), 0, func(store.Statement) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

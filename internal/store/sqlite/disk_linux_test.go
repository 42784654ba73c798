package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/storetest"
)

// mount gives a small file system of its own; only root may.
func mount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		t.Skipf("SKIPPED: cannot mount a tmpfs (%v); a really full or read-only disk is not tested here", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := mount(t)
	path := filepath.Join(dir, "db")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, ok := errors.AsType[*fault.Error](fill(t, d))
	if !ok || f.Kind != fault.Unavailable || !strings.Contains(f.Msg, "full") || f.Hint == "" {
		t.Errorf("%v", f)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	commit(t, d, storetest.Next(storetest.Verify(t, d), 1, 1))
	integrity(t, d.readers)
	h := storetest.Verify(t, d)
	closeDB(t, d)
	d, err = Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := storetest.Verify(t, d); !cmp.Equal(h, got) {
		t.Error(cmp.Diff(h, got))
	}
	closeDB(t, d)
}

func TestReadOnlyDisk(t *testing.T) {
	dir := mount(t)
	path := filepath.Join(dir, "db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := commit(t, d, storetest.Next(store.Head{}, 3, 3))
	closeDB(t, d)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("SKIPPED: cannot remount read-only: %v", err)
	}
	for _, p := range []string{path, filepath.Join(dir, "new")} {
		_, err := Open(p, Options{})
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Unavailable || f.Hint == "" {
			t.Errorf("%v", err)
		}
	}
	r, err := OpenReadOnly(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := storetest.Verify(t, r); !cmp.Equal(h, got) {
		t.Error(cmp.Diff(h, got))
	}
	closeDB(t, r)
}

// Pieces of long values leave room for everything else.
func TestReserve(t *testing.T) {
	d, err := Open(filepath.Join(mount(t), "db"), Options{}) // far smaller than the reserve
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, d)
	h := storetest.Verify(t, d)
	piece := storetest.Blob(store.Piece, "i", "i", []byte("piece"))
	f, ok := errors.AsType[*fault.Error](d.Commit(t.Context(), store.Batch{Prev: h, Head: h, Blobs: []store.Blob{piece}}))
	if !ok || f.Kind != fault.Unavailable || !strings.Contains(f.Msg, "nearly full") || f.Hint == "" {
		t.Errorf("%v", f)
	}
	b := storetest.Next(h, 1, 1)
	b.Erase = []store.Hash{piece.Hash}
	commit(t, d, b)
}

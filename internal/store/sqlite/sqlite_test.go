package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/storetest"
)

func open(t *testing.T, path string, o Options) *DB {
	t.Helper()
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func commit(t *testing.T, s store.Store, b store.Batch) store.Head {
	t.Helper()
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b.Head
}

func closeDB(t *testing.T, d *DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, filepath.Join(t.TempDir(), "db"), Options{})
	})
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41&mode=ro", "data.db")
	if runtime.GOOS == "windows" {
		path = filepath.Join(t.TempDir(), "a b#d%41&mode=ro", "data.db")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	d := open(t, path, Options{})
	b := storetest.Next(store.Head{}, 2, 2)
	b.Consume = []string{"r"}
	h := commit(t, d, b)
	modes(t, path, "", "-wal", "-shm")
	closeDB(t, d)
	closeDB(t, d)
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "*", "*")); len(names) != 1 {
		t.Errorf("after Close there should be one file: %v", names)
	}
	if err := d.Commit(t.Context(), storetest.Next(h, 0, 1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("commit after close: %v", err)
	}
	if _, err := d.Head(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("head after close: %v", err)
	}

	d = open(t, path, Options{})
	if got := storetest.Verify(t, d); !cmp.Equal(h, got) {
		t.Error(cmp.Diff(h, got))
	}
	again := storetest.Next(h, 0, 1)
	again.Consume = b.Consume
	if err := d.Commit(t.Context(), again); !fault.Is(err, fault.Conflict) {
		t.Errorf("a request was used again after a restart: %v", err)
	}
}

// modes checks that nobody else may read the file or its companions.
func modes(t *testing.T, path string, suffixes ...string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	for _, s := range suffixes {
		fi, err := os.Stat(path + s)
		if err != nil {
			t.Error(err)
		} else if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", s, fi.Mode())
		}
	}
}

func TestTwoProcesses(t *testing.T) {
	// Two handles stand for two processes: the counts keep them apart.
	path := filepath.Join(t.TempDir(), "db")
	a, b := open(t, path, Options{}), open(t, path, Options{})
	h := commit(t, a, storetest.Next(store.Head{}, 1, 0))
	if err := b.Commit(t.Context(), storetest.Next(store.Head{}, 1, 0)); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
	commit(t, b, storetest.Next(h, 0, 1))
	storetest.Verify(t, a)
}

func TestRefusesLinks(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	closeDB(t, open(t, target, Options{}))
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		path := filepath.Join(dir, "db"+suffix[min(1, len(suffix)):])
		if err := os.Symlink(target, path+suffix); err != nil {
			t.Skip(err)
		}
		if _, err := Open(path, Options{}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%q: %v", suffix, err)
		}
		if _, err := OpenReadOnly(path, Options{}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%q: %v", suffix, err)
		}
	}
	if _, err := Open(dir, Options{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none", "db"), Options{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no folder: %v", err)
	}
}

// raw runs SQL behind the store's back.
func raw(t *testing.T, path string, queries ...string) {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, q := range queries {
		if _, err := pool.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func TestSchemaChecks(t *testing.T) {
	for _, c := range []struct {
		name, query string
		want        fault.Kind
	}{
		{"newer", "PRAGMA user_version = 99", fault.Protocol},
		{"other program", "PRAGMA application_id = 7", fault.Tampered},
		{"no version", "PRAGMA user_version = 0", fault.Tampered},
		{"trigger", "CREATE TRIGGER x AFTER INSERT ON event BEGIN DELETE FROM consumed; END", fault.Tampered},
		{"view", "CREATE VIEW x AS SELECT 1", fault.Tampered},
		{"table gone", "DROP TABLE consumed", fault.Tampered},
		{"column gone", "ALTER TABLE event DROP COLUMN key", fault.Tampered},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			closeDB(t, open(t, path, Options{}))
			raw(t, path, c.query)
			if _, err := Open(path, Options{}); !fault.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			if c.name == "table gone" {
				return // a reader does not need it
			}
			if _, err := OpenReadOnly(path, Options{}); !fault.Is(err, c.want) {
				t.Errorf("read-only: %v", err)
			}
		})
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	raw(t, path, "CREATE TABLE theirs (x)")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !fault.Is(err, fault.Tampered) {
		t.Errorf("%v", err)
	}
	if after, _ := os.ReadFile(path); !cmp.Equal(before, after) {
		t.Error("the file of another program was changed")
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !fault.Is(err, fault.Tampered) {
		t.Errorf("%v", err)
	}
}

func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name, query string
	}{
		{"statement gone", "DELETE FROM statement WHERE n = 1"},
		{"last event gone", "DELETE FROM event WHERE n = 2"},
		{"short digest", "UPDATE event SET leaf = x'00' WHERE n = 0"},
		{"node gone", "DELETE FROM node WHERE idx = 1"},
		{"head gone", "DELETE FROM head"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			d := open(t, path, Options{})
			commit(t, d, storetest.Next(store.Head{}, 3, 3))
			closeDB(t, d)
			raw(t, path, c.query)
			d = open(t, path, Options{})
			_, hashErr := d.Hashes(t.Context(), []int64{0, 1, 2})
			_, headErr := d.Head(t.Context())
			err := errors.Join(headErr, hashErr,
				d.Statements(t.Context(), 0, func(store.Statement) error { return nil }),
				d.Events(t.Context(), 0, 3, func(store.Event) error { return nil }))
			if !fault.Is(err, fault.Tampered) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestScrambled overwrites pages of the file with noise. Whatever SQLite makes
// of it, it must be told apart from a machine fault, and never panic.
func TestScrambled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d := open(t, path, Options{})
	commit(t, d, storetest.Next(store.Head{}, 300, 300))
	closeDB(t, d)
	clean, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at := 4096; at+4096 <= len(clean); at += 4096 {
		dirty := append([]byte(nil), clean...)
		for i := range 4096 {
			dirty[at+i] = byte(i*7 + at)
		}
		if err := os.WriteFile(path, dirty, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := OpenReadOnly(path, Options{})
		if err == nil {
			_, err = d.Head(t.Context())
			err = errors.Join(err,
				d.Statements(t.Context(), 0, func(store.Statement) error { return nil }),
				d.Events(t.Context(), 0, 300, func(store.Event) error { return nil }))
			closeDB(t, d)
		}
		if err != nil {
			found++
			if !fault.Is(err, fault.Tampered) {
				t.Errorf("page at %d: %v", at, err)
			}
		}
	}
	if found == 0 {
		t.Error("no damage was noticed")
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := OpenReadOnly(path, Options{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("OpenReadOnly made a file")
	}
	d := open(t, path, Options{})
	h := commit(t, d, storetest.Next(store.Head{}, 3, 3))
	// A copy with a log that nobody moved into the file, as after a crash.
	copied := filepath.Join(t.TempDir(), "db")
	for _, s := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + s)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+s, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.ReadFile(copied)
	for _, p := range []string{path, copied} {
		r, err := OpenReadOnly(p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := storetest.Verify(t, r); !cmp.Equal(h, got) {
			t.Error(cmp.Diff(h, got))
		}
		if err := r.Commit(t.Context(), storetest.Next(h, 0, 1)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("commit: %v", err)
		}
		closeDB(t, r)
	}
	if after, _ := os.ReadFile(copied); !cmp.Equal(before, after) {
		t.Error("a read-only opening changed the file")
	}
	r, err := OpenReadOnly(copied, Options{})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Verify(t, r)
	closeDB(t, r)
}

func TestBackup(t *testing.T) {
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "db"), Options{})
	b := storetest.Next(store.Head{}, 50, 50)
	b.Blobs = []store.Blob{storetest.Blob(store.Record, "v", "i", []byte("ciphertext"))}
	h := commit(t, d, b)
	to := filepath.Join(dir, "copy")
	if err := d.Backup(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	modes(t, to, "")
	if err := d.Backup(t.Context(), to); !fault.Is(err, fault.Exists) {
		t.Errorf("over a file: %v", err)
	}
	commit(t, d, storetest.Next(h, 1, 1))
	r, err := OpenReadOnly(to, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := storetest.Verify(t, r); !cmp.Equal(h, got) {
		t.Error(cmp.Diff(h, got))
	}
	closeDB(t, r)
	commit(t, open(t, to, Options{}), storetest.Next(h, 0, 1))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := filepath.Join(dir, "gone")
	if err := d.Backup(ctx, gone); !fault.Is(err, fault.Unavailable) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := os.Lstat(gone); err == nil {
		t.Error("a failed backup was left behind")
	}
}

// fill commits until it fails, then checks that nothing of the failed batch is
// there and returns its error.
func fill(t *testing.T, d *DB) error {
	t.Helper()
	h := storetest.Verify(t, d)
	for i := range 10_000 {
		b := storetest.Next(h, 1, 1)
		content := []byte(strings.Repeat("x", 60_000) + string(rune('a'+i%26)) + b.Statements[0].Link.String())
		b.Blobs = []store.Blob{storetest.Blob(store.Record, "v", "i", content)}
		err := d.Commit(t.Context(), b)
		if err == nil {
			h = b.Head
			continue
		}
		if got := storetest.Verify(t, d); !cmp.Equal(h, got) {
			t.Error(cmp.Diff(h, got))
		}
		if err := d.Blobs(t.Context(), []store.Hash{b.Blobs[0].Hash}, func(store.Blob) error { return nil }); !fault.Is(err, fault.Tampered) {
			t.Errorf("a blob of the failed batch: %v", err)
		}
		return err
	}
	t.Fatal("the disk never got full")
	return nil
}

func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d := open(t, path, Options{maxPages: 400})
	err := fill(t, d)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Unavailable || !strings.Contains(f.Msg, "full") || f.Hint == "" {
		t.Errorf("%v", err)
	}
	closeDB(t, d)
	d = open(t, path, Options{})
	commit(t, d, storetest.Next(storetest.Verify(t, d), 1, 1))
}

// TestWaitCancelled checks that waiting for another commit can be given up.
func TestWaitCancelled(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "db"), Options{})
	<-d.writer.turn // some commit is running
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Commit(ctx, storetest.Next(store.Head{}, 1, 1)) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	d.writer.turn <- struct{}{}
	commit(t, d, storetest.Next(store.Head{}, 1, 1))
}

// TestSyncFailed checks that a store whose disk once lied takes no more commits.
func TestSyncFailed(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "db"), Options{})
	<-d.writer.turn
	d.writer.failed = fault.New(fault.Unavailable, opCommit, "", "the disk did not confirm a write")
	d.writer.turn <- struct{}{}
	if err := d.Commit(t.Context(), storetest.Next(store.Head{}, 1, 1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	storetest.Verify(t, d)
}

func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	a, b := open(t, path, Options{}), open(t, path, Options{BusyTimeout: 1e6})
	if _, err := a.writer.stmt.begin.Exec(); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(t.Context(), storetest.Next(store.Head{}, 1, 1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if err := a.writer.undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, b, storetest.Next(store.Head{}, 1, 1))
}

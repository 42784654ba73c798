// Package sqlite keeps a store in one SQLite file.
//
// The file is in WAL mode with synchronous=FULL: each Commit is one transaction
// on one writer connection and returns after one sync of the write-ahead log. A
// small pool of read-only connections serves everything else and never waits
// for the writer. Results are read in pages and the connection is given back
// before a callback runs, so a callback may call the store, and a slow one
// neither holds a connection nor keeps the log from being checkpointed.
//
// On Linux and some BSDs a commit syncs with fdatasync(2), as every
// distribution's SQLite does; the switch is one for the whole process. On macOS
// it uses F_FULLFSYNC, since fsync(2) there leaves data in the disk's cache.
//
// The file and its companions (-wal, -shm) are made with mode 0600. A name that
// is a symbolic link is refused; the folder is assumed to be writable by its
// owner alone, for else the check could be raced. Do not open a live file with
// another program's SQLite: use Backup.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	driver "modernc.org/sqlite"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
)

const (
	opOpen  = "open store"
	opClose = "close store"

	defaultBusy    = 5 * time.Second
	defaultReaders = 4
)

// Options changes how a database is opened. The zero value is right for the
// daemon.
type Options struct {
	// BusyTimeout is how long to wait for a lock held by another process;
	// 0 means 5 s.
	BusyTimeout time.Duration
	// Readers is the greatest number of reading connections; 0 means 4.
	Readers int

	maxPages int // for tests of a full disk; 0 means no limit
}

// DB is an open database. It is a store.Store.
type DB struct {
	path    string
	readers *sql.DB
	read    readStmts
	writer  *writer // nil if opened read-only
	closed  atomic.Bool
}

var _ store.Store = (*DB)(nil)

// Open opens the database at path for reading and writing, makes it if it is
// not there, and brings its tables up to date. Kinds of error: Unavailable
// (missing or read-only folder, symbolic link, locked), Tampered (damaged, or
// not ours), Protocol (made by a newer version).
func Open(path string, o Options) (*DB, error) {
	path, err := vet(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	// ErrFdatasyncUnavailable only says that this platform syncs another way.
	if _, err := driver.Fdatasync(true); err != nil && !errors.Is(err, driver.ErrFdatasyncUnavailable) {
		return nil, classify(opOpen, err)
	}
	d := &DB{path: path}
	if d.writer, err = openWriter(path, o); err != nil {
		return nil, classify(opOpen, err)
	}
	if err := d.openReaders("ro", false, o); err != nil {
		return nil, errors.Join(classify(opOpen, err), d.writer.close())
	}
	return d, nil
}

// strays are rows beyond the head. No commit leaves any: somebody put them
// there. They count for nothing, and would stand in the way of the next commit.
var strays = []string{
	"DELETE FROM statement WHERE n >= (SELECT statements FROM head)",
	"DELETE FROM event WHERE n >= (SELECT events FROM head)",
	// A tree of n leaves has 2n-popcount(n) nodes; node 2n lies past them all.
	"DELETE FROM node WHERE idx >= (SELECT 2 * events FROM head)",
}

// OpenReadOnly opens an existing database for verification and writes nothing
// to it; Commit on it is Unavailable. It needs the file in the schema of this
// version. A copy in a folder that cannot be written can be read if it was
// closed or made by Backup.
func OpenReadOnly(path string, o Options) (*DB, error) {
	path, err := vet(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err != nil {
		return nil, fault.Wrap(fault.Unavailable, opOpen, "", err)
	}
	d := &DB{path: path}
	err = d.openReaders("ro", false, o)
	if fault.Is(err, fault.Unavailable) && !hasLog(path) {
		// Without a -shm file and the right to make one, SQLite reads a WAL
		// database only if told that nobody writes it.
		err = d.openReaders("ro", true, o)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openReaders opens the reading pool and checks what is behind it.
func (d *DB) openReaders(mode string, immutable bool, o Options) error {
	n := o.Readers
	if n <= 0 {
		n = defaultReaders
	}
	pool, err := openPool(dsn(d.path, mode, immutable, o), n)
	if err != nil {
		return classify(opOpen, err)
	}
	ctx := context.Background()
	if err := checkCurrent(ctx, pool); err != nil {
		return errors.Join(classify(opOpen, err), pool.Close())
	}
	if d.read, err = prepareReads(ctx, pool); err != nil {
		return errors.Join(err, pool.Close())
	}
	d.readers = pool
	return nil
}

// Close waits for a running commit, moves the write-ahead log into the file and
// closes it. Reads under way end with an error. A second Close does nothing.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	err := d.readers.Close()
	if d.writer != nil {
		err = errors.Join(err, d.writer.close())
	}
	return classify(opClose, err)
}

// usable refuses work on a closed database.
func (d *DB) usable(op string) error {
	if d.closed.Load() {
		return fault.New(fault.Unavailable, op, "", "the store is closed")
	}
	return nil
}

// fail classifies err, which after Close has a plainer reason than its own.
func (d *DB) fail(op string, err error) error {
	if c := d.usable(op); c != nil && code(err) == 0 {
		return c
	}
	return classify(op, err)
}

func openPool(name string, n int) (*sql.DB, error) {
	c, err := driver.NewConnector(name)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	return pool, nil
}

// dsn names path as a URI, in which no character of a path means anything.
// trusted_schema=0 and defensive mode: a schema somebody else wrote into the
// file shall not run functions or bend it further.
func dsn(path, mode string, immutable bool, o Options) string {
	busy := o.BusyTimeout
	if busy <= 0 {
		busy = defaultBusy
	}
	q := url.Values{}
	q.Set("mode", mode)
	if immutable {
		q.Set("immutable", "1")
	}
	q.Set("_busy_timeout", strconv.FormatInt(busy.Milliseconds(), 10))
	q.Set("_synchronous", "FULL")
	q.Set("_defensive", "1")
	q.Set("_dqs", "0")
	q.Set("_error_rc", "1")
	for _, p := range []string{
		"trusted_schema(0)", "cell_size_check(1)", "temp_store(2)",
		"fullfsync(1)", "checkpoint_fullfsync(1)",
	} {
		q.Add("_pragma", p)
	}
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a Windows drive letter
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: p, RawQuery: q.Encode()}
	return u.String()
}

// vet makes path absolute and refuses what is no plain file of ours to be.
func vet(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, opOpen, "", err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		fi, err := os.Lstat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", fault.Wrap(fault.Unavailable, opOpen, "", err)
		case !fi.Mode().IsRegular():
			return "", fault.New(fault.Unavailable, opOpen, "",
				"the database or a companion of it is a symbolic link or no plain file").
				WithHint("look who put it there; the data folder should hold plain files only")
		}
	}
	return path, nil
}

// create makes an empty file with mode 0600 if there is none, and makes its
// name durable. SQLite gives -wal and -shm the same mode. An existing file is
// not opened here: closing it would drop the locks of this whole process on it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, opOpen, "", err).
			WithHint("check owner and permissions of the data folder, and that its file system is mounted for writing")
	}
	if err := errors.Join(f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return fault.Wrap(fault.Unavailable, opOpen, "", err)
	}
	return nil
}

// syncDir makes the names in dir durable. Windows has no such call and its
// file systems journal names.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// hasLog reports whether a write-ahead log with content lies beside path.
func hasLog(path string) bool {
	fi, err := os.Lstat(path + "-wal")
	return err == nil && fi.Size() > 0
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
)

const (
	opHead       = "read head"
	opStatements = "read statements"
	opEvents     = "read events"
	opHashes     = "read tree"
	opBlobs      = "read blobs"
	opList       = "list blobs"
	opBackup     = "backup"

	// A page ends at the row that reaches either bound.
	pageRows  = 256
	pageBytes = 1 << 20
)

type readStmts struct {
	head, statements, events, node, blob, list, last *sql.Stmt
}

func prepareReads(ctx context.Context, pool *sql.DB) (readStmts, error) {
	var r readStmts
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&r.head, "SELECT statements, events, note FROM head WHERE id = 1"},
		{&r.statements, "SELECT n, link, body, sig FROM statement WHERE n >= ?1 AND n < ?2 ORDER BY n LIMIT ?3"},
		{&r.events, "SELECT n, leaf, key, sealed FROM event WHERE n >= ?1 AND n < ?2 ORDER BY n LIMIT ?3"},
		{&r.node, "SELECT hash FROM node WHERE idx = ?1"},
		{&r.blob, "SELECT kind, vault, item, bytes FROM blob WHERE hash = ?1"},
		{&r.list, "SELECT id, hash, item, bytes FROM blob WHERE vault = ?1 AND kind = ?2 AND id > ?3 AND id <= ?4 ORDER BY id LIMIT ?5"},
		{&r.last, "SELECT coalesce(max(id), 0) FROM blob"},
	} {
		s, err := pool.PrepareContext(ctx, p.text)
		if err != nil {
			return readStmts{}, unprepared(err)
		}
		*p.to = s
	}
	return r, nil
}

// Head implements store.Store.
func (d *DB) Head(ctx context.Context) (store.Head, error) { return d.head(ctx, opHead) }

func (d *DB) head(ctx context.Context, op string) (store.Head, error) {
	if err := d.usable(op); err != nil {
		return store.Head{}, err
	}
	var h store.Head
	err := d.read.head.QueryRowContext(ctx).Scan(&h.Statements, &h.Events, &h.Note)
	if err != nil {
		return store.Head{}, d.unread(op, "head", err)
	}
	return h, nil
}

// Statements implements store.Store.
func (d *DB) Statements(ctx context.Context, from int64, each func(store.Statement) error) error {
	h, err := d.head(ctx, opStatements)
	if err != nil {
		return err
	}
	scan := func(rows *sql.Rows) (store.Statement, int, error) {
		var s store.Statement
		err := rows.Scan(&s.N, digest{&s.Link}, &s.Body, &s.Sig)
		return s, len(s.Body) + len(s.Sig), err
	}
	place := func(s store.Statement) int64 { return s.N }
	return walk(ctx, d, opStatements, d.read.statements, max(from, 0), h.Statements, scan, place, each)
}

// Events implements store.Store.
func (d *DB) Events(ctx context.Context, from, to int64, each func(store.Event) error) error {
	h, err := d.head(ctx, opEvents)
	if err != nil {
		return err
	}
	scan := func(rows *sql.Rows) (store.Event, int, error) {
		var e store.Event
		err := rows.Scan(&e.N, digest{&e.Leaf}, digest{&e.Key}, &e.Sealed)
		return e, len(e.Sealed), err
	}
	place := func(e store.Event) int64 { return e.N }
	return walk(ctx, d, opEvents, d.read.events, max(from, 0), min(to, h.Events), scan, place, each)
}

// walk calls each for the rows numbered next <= n < end, of which the head says
// that all are there.
func walk[T any](ctx context.Context, d *DB, op string, s *sql.Stmt, next, end int64,
	scan func(*sql.Rows) (T, int, error), place func(T) int64, each func(T) error) error {
	for next < end {
		page, err := readPage(ctx, d, op, s, scan, next, end, pageRows)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return missing(op, strconv.FormatInt(next, 10))
		}
		for _, row := range page {
			if place(row) != next {
				return missing(op, strconv.FormatInt(next, 10))
			}
			if err := each(row); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}

// Hashes implements store.Store.
func (d *DB) Hashes(ctx context.Context, index []int64) ([]store.Hash, error) {
	if err := d.usable(opHashes); err != nil {
		return nil, err
	}
	hashes := make([]store.Hash, len(index))
	for i, n := range index {
		if err := d.read.node.QueryRowContext(ctx, n).Scan(digest{&hashes[i]}); err != nil {
			return nil, d.unread(opHashes, "hash "+strconv.FormatInt(n, 10), err)
		}
	}
	return hashes, nil
}

// Blobs implements store.Store.
func (d *DB) Blobs(ctx context.Context, hashes []store.Hash, each func(store.Blob) error) error {
	if err := d.usable(opBlobs); err != nil {
		return err
	}
	for _, h := range hashes {
		b := store.Blob{Hash: h}
		err := d.read.blob.QueryRowContext(ctx, h[:]).Scan(&b.Kind, &b.Vault, &b.Item, &b.Bytes)
		if err != nil {
			return d.unread(opBlobs, h.String(), err)
		}
		if err := each(b); err != nil {
			return err
		}
	}
	return nil
}

// List implements store.Store.
func (d *DB) List(ctx context.Context, vault string, kind store.BlobKind, each func(store.Blob) error) error {
	if err := d.usable(opList); err != nil {
		return err
	}
	var last int64
	if err := d.read.last.QueryRowContext(ctx).Scan(&last); err != nil {
		return d.unread(opList, "", err)
	}
	for id := int64(0); ; {
		page, err := readPage(ctx, d, opList, d.read.list, func(rows *sql.Rows) (store.Blob, int, error) {
			b := store.Blob{Kind: kind, Vault: vault}
			err := rows.Scan(&id, digest{&b.Hash}, &b.Item, &b.Bytes)
			return b, len(b.Bytes), err
		}, vault, int64(kind), id, last, pageRows)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, b := range page {
			if err := each(b); err != nil {
				return err
			}
		}
	}
}

// readPage runs a query and reads rows up to a page's bounds, then gives the
// connection back. scan returns a row and its size in bytes.
func readPage[T any](ctx context.Context, d *DB, op string, s *sql.Stmt,
	scan func(*sql.Rows) (T, int, error), args ...any) (page []T, err error) {
	if err := d.usable(op); err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return nil, d.fail(op, err)
	}
	defer func() {
		if cerr := rows.Close(); cerr != nil && err == nil {
			page, err = nil, d.fail(op, cerr)
		}
	}()
	for size := 0; size < pageBytes && rows.Next(); {
		row, n, err := scan(rows)
		if err != nil {
			return nil, d.unread(op, "", err)
		}
		page = append(page, row)
		size += n
	}
	if err := rows.Err(); err != nil {
		return nil, d.fail(op, err)
	}
	return page, nil
}

// unread classifies an error of one row. A column of the wrong type or length
// is damage; database/sql would print its content, so that cause is dropped.
func (d *DB) unread(op, ref string, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return missing(op, ref)
	case code(err) != 0, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), d.closed.Load():
		return d.fail(op, err)
	}
	return fault.New(fault.Tampered, op, ref, "a row is not in the form it was written")
}

func missing(op, ref string) error {
	return fault.New(fault.Tampered, op, ref, "it is not in the database but must be")
}

// digest scans a 32-byte column.
type digest struct{ to *store.Hash }

// Scan implements sql.Scanner.
func (d digest) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(d.to) {
		return errors.New("not a digest")
	}
	copy(d.to[:], b)
	return nil
}

// Backup writes a compact, consistent copy of the database to a new file with
// mode 0600, while commits go on. A file that is there already is Exists. What
// it has begun it removes when it fails.
func (d *DB) Backup(ctx context.Context, path string) error {
	if err := d.usable(opBackup); err != nil {
		return err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fault.Wrap(fault.Unavailable, opBackup, "", err)
	}
	// VACUUM INTO takes an empty file: made here, it has the right mode and
	// cannot be a symbolic link.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fault.Wrap(fault.Exists, opBackup, "", err)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, opBackup, "", err)
	}
	_, err = d.readers.ExecContext(ctx, "VACUUM INTO ?1", path)
	if err != nil {
		err = d.fail(opBackup, err)
	} else if serr := errors.Join(f.Sync(), syncDir(filepath.Dir(path))); serr != nil {
		err = fault.Wrap(fault.Unavailable, opBackup, "", serr)
	}
	if cerr := f.Close(); cerr != nil && err == nil {
		err = fault.Wrap(fault.Unavailable, opBackup, "", cerr)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

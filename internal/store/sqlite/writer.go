package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"

	lib "modernc.org/sqlite/lib"
)

const opCommit = "commit"

// logLimit is the size in bytes to which the write-ahead log is cut back after
// a checkpoint. It is above the size it has in daily use, so that commits
// overwrite blocks the file system has already given out, which syncs faster.
const logLimit = 16 << 20

// logSize is what the log grows to before SQLite moves it into the database
// and starts it again: logPages pages of 4 KiB with their headers, and a little
// more.
const (
	logSize  = 13 << 20
	logPages = 3000
)

// layOut fills the log with zeros up to logSize: a commit that overwrites syncs
// in half the time of one that lengthens the file. Frames of zeros end the log
// for SQLite, which reads no further than the last frame whose checksum is right.
// It is only for speed; a disk that is too full for it gets the space back.
func layOut(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // SQLite holds no lock on this file
	if err != nil {
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() >= logSize {
		return
	}
	if _, err = f.WriteAt(make([]byte, logSize-fi.Size()), fi.Size()); err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Truncate(fi.Size()) // as it was
	}
}

// writer is the one connection that writes.
type writer struct {
	pool *sql.DB
	conn *sql.Conn
	stmt writeStmts
	open []*sql.Stmt // those of stmt; a connection with open statements does not really close
	// turn holds one token; whoever has it owns conn, stmt and failed. It is
	// a channel and not a mutex so that waiting for it can be cancelled.
	turn   chan struct{}
	failed error // set for good once a sync has failed
}

type writeStmts struct {
	begin, commit, rollback, head, blob, statement, event, node, consume, erase *sql.Stmt
}

func openWriter(path string, o Options) (_ *writer, err error) {
	pool, err := openPool(dsn(path, "rw", false, o), 1)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(classify(opOpen, err), pool.Close())
		}
	}()
	ctx := context.Background()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := setUp(ctx, conn, o); err != nil {
		return nil, errors.Join(classify(opOpen, err), conn.Close())
	}
	for _, sweep := range strays {
		if _, err := conn.ExecContext(ctx, sweep); err != nil {
			return nil, errors.Join(classify(opOpen, err), conn.Close())
		}
	}
	if o.maxPages == 0 {
		layOut(path + "-wal")
	}
	w := &writer{pool: pool, conn: conn, turn: make(chan struct{}, 1)}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, w.release())
	}
	w.turn <- struct{}{}
	return w, nil
}

// setUp looks at the file before it changes anything in it: a database of some
// other program is left as it is.
func setUp(ctx context.Context, c *sql.Conn, o Options) error {
	all, err := steps()
	if err != nil {
		return err
	}
	if _, err := identify(ctx, c, len(all)); err != nil {
		return err
	}
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode); err != nil {
		return err
	}
	var sync int
	if err := c.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil {
		return err
	}
	if mode != "wal" || sync != 2 {
		return fault.New(fault.Unavailable, opOpen, "", "this file system cannot hold a write-ahead log").
			WithHint("keep the data folder on a local disk, not on a network share")
	}
	if _, err := c.ExecContext(ctx, fmt.Sprintf("PRAGMA secure_delete = ON; PRAGMA journal_size_limit = %d; PRAGMA wal_autocheckpoint = %d", logLimit, logPages)); err != nil {
		return err
	}
	if err := migrate(ctx, c); err != nil {
		return err
	}
	if o.maxPages > 0 {
		_, err = c.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", o.maxPages))
	}
	return err
}

func (w *writer) prepare(ctx context.Context) error {
	for _, p := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&w.stmt.begin, "BEGIN IMMEDIATE"},
		{&w.stmt.commit, "COMMIT"},
		{&w.stmt.rollback, "ROLLBACK"},
		{&w.stmt.head, "UPDATE head SET statements = ?1, events = ?2, note = ?3 WHERE id = 1 AND statements = ?4 AND events = ?5"},
		{&w.stmt.blob, "INSERT INTO blob (hash, kind, vault, item, bytes) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (hash) DO NOTHING"},
		{&w.stmt.statement, "INSERT INTO statement (n, link, body, sig) VALUES (?1, ?2, ?3, ?4)"},
		{&w.stmt.event, "INSERT INTO event (n, leaf, key, sealed) VALUES (?1, ?2, ?3, ?4)"},
		{&w.stmt.node, "INSERT INTO node (idx, hash) VALUES (?1, ?2)"},
		{&w.stmt.consume, "INSERT INTO consumed (id) VALUES (?1)"},
		{&w.stmt.erase, "DELETE FROM blob WHERE hash = ?1"},
	} {
		s, err := w.conn.PrepareContext(ctx, p.text)
		if err != nil {
			return unprepared(err)
		}
		*p.to = s
		w.open = append(w.open, s)
	}
	return nil
}

// unprepared classifies a statement of ours that does not compile: a table or
// column of the schema is missing.
func unprepared(err error) error {
	if code(err)&0xff == lib.SQLITE_ERROR {
		return &fault.Error{Kind: fault.Tampered, Op: opOpen, Msg: "the database lacks a table or column of its schema", Err: err}
	}
	return classify(opOpen, err)
}

// Commit implements store.Store.
func (d *DB) Commit(ctx context.Context, b store.Batch) error {
	if err := d.usable(opCommit); err != nil {
		return err
	}
	if d.writer == nil {
		return fault.New(fault.Unavailable, opCommit, "", "the store was opened for reading only")
	}
	if err := b.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return classify(opCommit, err)
	}
	w := d.writer
	select {
	case <-ctx.Done():
		return classify(opCommit, ctx.Err())
	case <-w.turn:
	}
	defer func() { w.turn <- struct{}{} }()
	if err := d.usable(opCommit); err != nil {
		return err
	}
	if w.failed != nil {
		return w.failed
	}
	if err := d.roomFor(ctx, b); err != nil {
		return err
	}
	// From here on the caller's patience does not count: a transaction broken
	// off in its COMMIT would leave the caller not knowing whether it is there.
	return w.commit(context.WithoutCancel(ctx), &b)
}

// reserve is what pieces of long values leave free of the disk, in bytes: room to
// move the log into the database, to erase them again, and to go on working.
const reserve = 32 << 20

// roomFor refuses pieces that would fill the disk. All else may use it up.
func (d *DB) roomFor(ctx context.Context, b store.Batch) error {
	if !slices.ContainsFunc(b.Blobs, func(v store.Blob) bool { return v.Kind == store.Piece }) {
		return nil
	}
	free, known := freeSpace(filepath.Dir(d.path))
	if !known || free >= reserve {
		return nil
	}
	var pages, size int64 // what was erased is room too
	if err := d.writer.conn.QueryRowContext(ctx, "SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size").Scan(&pages, &size); err != nil {
		return classify(opCommit, err)
	}
	if free+pages*size < reserve {
		return fault.New(fault.Unavailable, opCommit, "", "the disk is nearly full, nothing was written").
			WithHint("free some space on the disk of the data folder")
	}
	return nil
}

func (w *writer) commit(ctx context.Context, b *store.Batch) error {
	if _, err := w.stmt.begin.ExecContext(ctx); err != nil {
		return classify(opCommit, err)
	}
	err := w.fill(ctx, b)
	if err == nil {
		_, err = w.stmt.commit.ExecContext(ctx)
	}
	if err == nil {
		if len(b.Erase) > 0 {
			w.wash(ctx)
		}
		return nil
	}
	err = classify(opCommit, err)
	if fsyncFailed(err) {
		// Linux reports a lost page once: a later sync that succeeds would
		// say nothing about this one. Only recovery from the file is sure.
		w.failed = err
	}
	return errors.Join(err, w.undo(ctx))
}

// wash empties the log, in which the erased may still stand. It is a best effort:
// a reader in the way postpones it to the next checkpoint.
func (w *writer) wash(ctx context.Context) {
	var busy, logged, moved int
	_ = w.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved)
}

// undo ends the transaction, unless SQLite has done so on its own, as it does
// when the disk is full.
func (w *writer) undo(ctx context.Context) error {
	_, err := w.stmt.rollback.ExecContext(ctx)
	return ignoreNoTransaction(err)
}

func rollback(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "ROLLBACK")
	return ignoreNoTransaction(err)
}

func ignoreNoTransaction(err error) error {
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		return nil
	}
	return err
}

// fill writes the rows of b into the open transaction, the head first: it is
// the optimistic lock.
func (w *writer) fill(ctx context.Context, b *store.Batch) error {
	res, err := w.stmt.head.ExecContext(ctx, b.Head.Statements, b.Head.Events, some(b.Head.Note),
		b.Prev.Statements, b.Prev.Events)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n != 1 {
		return fault.New(fault.Conflict, opCommit, "", "the store has moved on since the batch was made").
			WithHint("read the head again and retry")
	}
	for _, id := range b.Consume {
		if _, err := w.stmt.consume.ExecContext(ctx, id); err != nil {
			if code(err)&0xff == lib.SQLITE_CONSTRAINT {
				return fault.New(fault.Conflict, opCommit, id, "the request was used before")
			}
			return err
		}
	}
	for i := range b.Blobs {
		v := &b.Blobs[i]
		if _, err := w.stmt.blob.ExecContext(ctx, v.Hash[:], int64(v.Kind), v.Vault, v.Item, some(v.Bytes)); err != nil {
			return err
		}
	}
	for i := range b.Erase {
		if _, err := w.stmt.erase.ExecContext(ctx, b.Erase[i][:]); err != nil {
			return err
		}
	}
	for i := range b.Statements {
		s := &b.Statements[i]
		if _, err := w.stmt.statement.ExecContext(ctx, s.N, s.Link[:], some(s.Body), some(s.Sig)); err != nil {
			return err
		}
	}
	for i := range b.Events {
		e := &b.Events[i]
		if _, err := w.stmt.event.ExecContext(ctx, e.N, e.Leaf[:], e.Key[:], some(e.Sealed)); err != nil {
			return err
		}
	}
	for i := range b.Hashes {
		h := &b.Hashes[i]
		if _, err := w.stmt.node.ExecContext(ctx, h.Index, h.Hash[:]); err != nil {
			return err
		}
	}
	return nil
}

// some makes nil an empty blob; the driver would store NULL.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// close waits for its turn and keeps it, so that no commit follows.
func (w *writer) close() error {
	<-w.turn
	var busy, logged, moved int
	err := w.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved)
	if w.failed != nil || code(err)&0xff == lib.SQLITE_FULL {
		err = nil // everything committed is in the log, and the next start reads it there
	}
	return errors.Join(err, w.release(), w.pool.Close())
}

// release gives up the connection.
func (w *writer) release() error {
	var err error
	for _, s := range w.open {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, w.conn.Close())
}

package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// applicationID is "TTRN" in the file's header; migration 1 sets it.
const applicationID = 0x5454524E

// migrations holds the numbered steps, one file each, in the order of their
// names; step n brings user_version from n-1 to n. A released step is frozen.
//
//go:embed migrations/*.sql
var migrations embed.FS

// querier is what *sql.DB and *sql.Conn have in common here.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// steps returns the migrations' texts in order.
func steps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	texts := make([]string, 0, len(names))
	for _, n := range names {
		b, err := migrations.ReadFile(n)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(b))
	}
	return texts, nil
}

// identify returns the schema version of the file, 0 for an empty one. A file
// that is not ours is Tampered, one from the future Protocol.
func identify(ctx context.Context, q querier, newest int) (int, error) {
	var app, version, tables, extra int
	for _, p := range []struct {
		query string
		to    *int
	}{
		{"PRAGMA application_id", &app},
		{"PRAGMA user_version", &version},
		{"SELECT count(*) FROM sqlite_schema", &tables},
		{"SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')", &extra},
	} {
		if err := q.QueryRowContext(ctx, p.query).Scan(p.to); err != nil {
			return 0, err
		}
	}
	switch {
	case app == 0 && version == 0 && tables == 0:
		return 0, nil
	case app != applicationID || version < 1:
		return 0, fault.New(fault.Tampered, opOpen, "", "this is not a Thumbturn database")
	case version > newest:
		return 0, fault.New(fault.Protocol, opOpen, "schema "+strconv.Itoa(version),
			"the database was made by a newer version").
			WithHint("update thumbturn; this version knows schema " + strconv.Itoa(newest))
	case extra > 0:
		// We make none: somebody wants code of theirs to run inside our writes.
		return 0, fault.New(fault.Tampered, opOpen, "", "the database holds triggers or views that are not ours")
	}
	return version, nil
}

// migrate brings the file up to date in one transaction, so that two processes
// that start at once, or a crash in the middle, do no harm.
func migrate(ctx context.Context, c *sql.Conn) (err error) {
	all, err := steps()
	if err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, rollback(ctx, c))
		}
	}()
	version, err := identify(ctx, c, len(all))
	if err != nil {
		return err
	}
	for n := version; n < len(all); n++ {
		if _, err := c.ExecContext(ctx, all[n]); err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(n+1)); err != nil {
			return err
		}
	}
	_, err = c.ExecContext(ctx, "COMMIT")
	return err
}

// checkCurrent refuses a file that is not in the newest schema; a reader cannot
// migrate it.
func checkCurrent(ctx context.Context, q querier) error {
	all, err := steps()
	if err != nil {
		return err
	}
	version, err := identify(ctx, q, len(all))
	if err != nil {
		return err
	}
	if version < len(all) {
		return fault.New(fault.Protocol, opOpen, "schema "+strconv.Itoa(version),
			"the database is empty or was made by an older version").
			WithHint("start the daemon once; it brings the database up to date")
	}
	return nil
}

package sqlite

import (
	"context"
	"errors"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// code returns SQLite's extended result code in err's chain, SQLITE_OK (0) if
// there is none.
func code(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code()
	}
	return lib.SQLITE_OK
}

// classify turns what the driver or the context returned into a fault. An
// error that is one already passes unchanged.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, op, "", err)
	}
	kind, msg, hint := meaning(code(err))
	return &fault.Error{Kind: kind, Op: op, Msg: msg, Hint: hint, Err: err}
}

// meaning maps a result code to what the user can do about it. Extended codes
// are looked at first, since a few of them mean damage and not a bad disk.
func meaning(c int) (kind fault.Kind, msg, hint string) {
	const damaged = "the database is damaged"
	const restore = "stop the daemon, keep a copy of the file, and restore a backup"
	switch c {
	case lib.SQLITE_IOERR_CORRUPTFS, lib.SQLITE_IOERR_DATA, lib.SQLITE_IOERR_SHORT_READ:
		return fault.Tampered, damaged, restore
	case lib.SQLITE_IOERR_FSYNC, lib.SQLITE_IOERR_DIR_FSYNC:
		return fault.Unavailable, "the disk did not confirm a write", "check the disk, then restart the daemon"
	}
	switch c & 0xff {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_MISMATCH:
		return fault.Tampered, damaged, restore
	case lib.SQLITE_CONSTRAINT:
		return fault.Tampered, "a row is there already that the head does not count", restore
	case lib.SQLITE_FULL:
		return fault.Unavailable, "the disk is full, nothing was written", "free some space on the disk of the data folder"
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_CANTOPEN, lib.SQLITE_AUTH:
		return fault.Unavailable, "the database cannot be opened or is read-only",
			"check owner and permissions of the data folder, and that its file system is mounted for writing"
	case lib.SQLITE_IOERR:
		return fault.Unavailable, "the disk reports an error", "check free space, quota and health of the disk of the data folder"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		return fault.Unavailable, "another program holds the database", "end the other program that uses this data folder"
	case lib.SQLITE_INTERRUPT:
		return fault.Unavailable, "interrupted", ""
	case lib.SQLITE_NOMEM:
		return fault.Unavailable, "out of memory", ""
	}
	return fault.Internal, "unexpected database error", ""
}

// fsyncFailed reports an error after which the kernel may have dropped dirty
// pages that it will not report again.
func fsyncFailed(err error) bool {
	c := code(err)
	return c == lib.SQLITE_IOERR_FSYNC || c == lib.SQLITE_IOERR_DIR_FSYNC
}

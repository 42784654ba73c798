package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestMeaning(t *testing.T) {
	for code, want := range map[int]fault.Kind{
		lib.SQLITE_FULL:                  fault.Unavailable,
		lib.SQLITE_IOERR_WRITE:           fault.Unavailable,
		lib.SQLITE_IOERR_FSYNC:           fault.Unavailable,
		lib.SQLITE_IOERR_SHORT_READ:      fault.Tampered,
		lib.SQLITE_IOERR_CORRUPTFS:       fault.Tampered,
		lib.SQLITE_READONLY_DIRECTORY:    fault.Unavailable,
		lib.SQLITE_READONLY_DBMOVED:      fault.Unavailable,
		lib.SQLITE_CANTOPEN:              fault.Unavailable,
		lib.SQLITE_CORRUPT_INDEX:         fault.Tampered,
		lib.SQLITE_NOTADB:                fault.Tampered,
		lib.SQLITE_CONSTRAINT_PRIMARYKEY: fault.Tampered,
		lib.SQLITE_BUSY_SNAPSHOT:         fault.Unavailable,
		lib.SQLITE_INTERRUPT:             fault.Unavailable,
		lib.SQLITE_MISUSE:                fault.Internal,
		lib.SQLITE_ERROR:                 fault.Internal,
	} {
		kind, msg, _ := meaning(code)
		if kind != want || msg == "" {
			t.Errorf("code %d: kind %q, message %q, want kind %q", code, kind, msg, want)
		}
	}
}

func TestClassify(t *testing.T) {
	if err := classify("x", nil); err != nil {
		t.Error(err)
	}
	mine := fault.New(fault.Conflict, "a", "b", "c")
	if err := classify("x", fmt.Errorf("around: %w", mine)); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	if err := classify("x", context.DeadlineExceeded); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := classify("x", errors.New("who knows")); fault.KindOf(err) != fault.Internal {
		t.Error(err)
	}
}

package device

import (
	"os"

	"github.com/thumbturn/thumbturn/internal/fault"
)

const lockName = "lock"

// Lock is the right to be the one daemon of a home. It lasts until Release or
// the end of the last process that holds its descriptor.
type Lock struct{ f *os.File }

// File returns the descriptor's file. A program that re-executes itself clears
// its close-on-exec flag, names the number to its successor, and the successor
// calls AdoptLock: in between nobody else can take the lock.
func (l *Lock) File() *os.File { return l.f }

// Release gives the lock up. The file stays: removing it would let two daemons
// lock two files of the same name.
func (l *Lock) Release() error { return l.f.Close() }

func running(runDir, msg string) error {
	return fault.New(fault.Exists, "lock home", runDir, msg).WithHint("stop it with `thumbturn daemon stop`")
}

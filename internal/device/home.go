package device

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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

// CheckPrivate refuses, with fault.Denied and what to do about it, directories that
// are open to others or not ours, and such files directly in them. A link is judged
// by what it leads to; one that leads nowhere is refused. Deeper levels stand behind
// a checked directory and are not read.
func CheckPrivate(dirs ...string) error {
	for _, dir := range dirs {
		if err := CheckFolders(dir); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fault.Wrap(fault.Unavailable, opCheck, dir, err)
		}
		for _, e := range entries {
			err := check(filepath.Join(dir, e.Name()))
			if errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0 {
				continue // a temporary file that was there a moment ago
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckFolders is CheckPrivate without what lies in the directories.
func CheckFolders(dirs ...string) error {
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return fault.Wrap(fault.Unavailable, opCheck, dir, err)
		}
		if !info.IsDir() {
			return fault.New(fault.Denied, opCheck, dir, "is not a directory")
		}
		if err := check(dir); err != nil {
			return err
		}
	}
	return nil
}

const opCheck = "check permissions"

func running(runDir, msg string) error {
	return fault.New(fault.Exists, "lock home", runDir, msg).WithHint("stop it with `thumbturn daemon stop`")
}

//go:build !unix

package device

import (
	"errors"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func unsupported(op string) error {
	return fault.Wrap(fault.Unavailable, op, "", errors.ErrUnsupported).
		WithHint("a device cannot be kept on this system yet")
}

// CheckPrivate refuses: who may read a directory stands in an access control
// list here, which this package does not read.
func CheckPrivate(dirs ...string) error { return unsupported("check permissions") }

// CheckFolders refuses as well.
func CheckFolders(dirs ...string) error { return unsupported("check permissions") }

func identify(string) (dev, inode uint64, err error) { return 0, 0, errors.ErrUnsupported }

// LockHome is not built for this system.
func LockHome(runDir string) (*Lock, error) { return nil, unsupported("lock home") }

// AdoptLock is not built for this system.
func AdoptLock(fd uintptr) (*Lock, error) { return nil, unsupported("lock home") }

// Guards is false: there is no lock on this system.
func (l *Lock) Guards(runDir string) bool { return false }

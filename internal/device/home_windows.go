package device

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/windows"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func check(path string) error {
	err := atomicfile.CheckPrivate(path)
	if e, ok := errors.AsType[*atomicfile.Error](err); ok {
		f := fault.Wrap(fault.Denied, opCheck, path, e.Err)
		f.Msg, f.Hint = e.Msg, e.Hint
		return f
	}
	return err
}

// identify returns the volume's serial number and the directory's number on it.
func identify(dir string) (dev, inode uint64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	h, err := windows.CreateFile(name, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return 0, 0, err
	}
	defer windows.CloseHandle(h)
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return 0, 0, err
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY == 0 {
		return 0, 0, errors.New("is not a directory")
	}
	return uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow), nil
}

// lockedByte is the one byte of the lock file that is locked. It lies behind the
// pid, which stays readable: locks are mandatory here.
const lockedByte = 1 << 20

// LockHome takes the lock of a home, the file lock in its run directory, which
// must exist. A daemon that runs gives fault.Exists. The lock is the kernel's: no
// crash leaves it behind.
func LockHome(runDir string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(runDir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "lock home", runDir, err)
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		&windows.Overlapped{Offset: lockedByte})
	if err == nil {
		if err = f.Truncate(0); err == nil {
			_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
	}
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		err = running(runDir, "another daemon runs on this home")
	} else if err != nil {
		err = fault.Wrap(fault.Unavailable, "lock home", runDir, err)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{f}, nil
}

// AdoptLock is not built for this system: no process inherits from another.
func AdoptLock(uintptr) (*Lock, error) {
	return nil, fault.Wrap(fault.Unavailable, "lock home", "", errors.ErrUnsupported)
}

// Guards reports whether the lock is that of the home with this run directory.
func (l *Lock) Guards(runDir string) bool {
	mine, err := l.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(filepath.Join(runDir, lockName))
	return err == nil && os.SameFile(mine, there)
}

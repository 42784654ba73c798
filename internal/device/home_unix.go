//go:build unix

package device

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		e := fault.Wrap(fault.Denied, opCheck, path, err)
		e.Msg = "cannot be examined"
		return e
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Geteuid() {
		return fault.New(fault.Denied, opCheck, path, fmt.Sprintf("does not belong to user %d", os.Geteuid()))
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fault.New(fault.Denied, opCheck, path, fmt.Sprintf("is open to others (mode %04o)", perm)).
			WithHint(fmt.Sprintf("run: chmod %o %s", perm&0o700, atomicfile.Quote(path)))
	}
	return nil
}

// identify returns the device and inode numbers of a directory.
func identify(dir string) (dev, inode uint64, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return 0, 0, errors.New("is not a directory")
	}
	return uint64(st.Dev), uint64(st.Ino), nil
}

// LockHome takes the lock of a home, the file lock in its run directory, which
// must exist. A daemon that runs gives fault.Exists with its pid. The lock is the
// kernel's (flock): no crash leaves it behind.
func LockHome(runDir string) (*Lock, error) {
	path := filepath.Join(runDir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "lock home", runDir, err)
	}
	l, err := take(f)
	if errors.Is(err, unix.EWOULDBLOCK) {
		msg := "another daemon runs on this home"
		if pid := readPID(f); pid > 0 {
			msg += fmt.Sprintf(" (pid %d)", pid)
		}
		err = running(runDir, msg)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// AdoptLock continues with a lock whose descriptor this process has inherited,
// and keeps it from its own children. A descriptor that does not hold a lock, or
// cannot take it, is refused; whether it is the lock of the right home says
// Guards.
func AdoptLock(fd uintptr) (*Lock, error) {
	unix.CloseOnExec(int(fd))
	f := os.NewFile(fd, lockName)
	if f == nil {
		return nil, fault.New(fault.Usage, "lock home", "", "not a descriptor")
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	var l *Lock
	if err == nil {
		l, err = take(f) // again, which a holder may
	}
	if err != nil {
		f.Close()
		return nil, fault.Wrap(fault.Denied, "lock home", "inherited descriptor", err)
	}
	return l, nil
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

// take locks f and writes our pid into it, for people.
func take(f *os.File) (*Lock, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "lock home", f.Name(), err)
		}
		break
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(pid), 0)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "lock home", f.Name(), err)
	}
	return &Lock{f}, nil
}

// readPID returns 0 where the file holds no pid.
func readPID(f *os.File) int {
	b := make([]byte, 16)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return 0
	}
	return pid
}

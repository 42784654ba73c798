//go:build unix

package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// cleanStart replaces the process image by a clean one. Descriptors above 2 are
// closed, except listening sockets that systemd passed.
func cleanStart() error {
	exe, err := os.Executable()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "start", "", err)
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return fault.Wrap(fault.Unavailable, "start", exe, err)
	}
	args := []string{exe, cleanMark}
	passed := 0
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid == os.Getpid() {
		passed, _ = strconv.Atoi(os.Getenv("LISTEN_FDS"))
	}
	if passed < 0 || passed > 1 {
		return fault.New(fault.Usage, "start", "", strconv.Itoa(passed)+" sockets were passed, not one")
	}
	if _, err := findMode(os.Getenv, os.Geteuid(), passed == 1); err != nil {
		return err
	}
	if passed == 1 {
		if err := inherit(3); err != nil {
			return fault.Wrap(fault.Unavailable, "start", "", err)
		}
		args = append(args, "listen=3")
	}
	closeFrom(3 + passed)
	if err := os.Chdir("/"); err != nil {
		return fault.Wrap(fault.Unavailable, "start", "/", err)
	}
	unix.Umask(0o077)
	return fault.Wrap(fault.Unavailable, "start", exe, syscall.Exec(exe, args, cleanEnviron(os.Getenv)))
}

// inherit lets a descriptor survive the next exec.
func inherit(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	return err
}

// restart replaces the process image, keeping the home's lock and the listener:
// nobody can take either in between.
func (p *process) restart() error {
	exe, err := os.Executable()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "lock", "", err)
	}
	args := []string{exe, cleanMark}
	f, err := p.listen.File()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "lock", "", err)
	}
	for name, file := range map[string]*os.File{"lock": p.lock.File(), "listen": f} {
		if file == nil {
			continue
		}
		if err := inherit(int(file.Fd())); err != nil {
			return fault.Wrap(fault.Unavailable, "lock", "", err)
		}
		args = append(args, fmt.Sprintf("%s=%d", name, file.Fd()))
	}
	return fault.Wrap(fault.Unavailable, "lock", exe, syscall.Exec(exe, args, cleanEnviron(os.Getenv)))
}

// bind listens on a path of any length: a socket name has room for about 100
// bytes, so a longer path is reached through an open descriptor of its folder.
func bind(path string) (*net.UnixListener, error) {
	name := path
	if len(path) > 100 {
		d, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		name = fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), filepath.Base(path))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err == nil {
		l.SetUnlinkOnClose(false)
	}
	return l, err
}

// lockable reports whether any memory may be locked.
func (p *process) lockable() bool {
	var r unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r) != nil || r.Cur >= 4<<20
}

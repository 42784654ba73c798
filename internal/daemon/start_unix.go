//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/local"
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

// restart replaces the process image, keeping the home's lock, the listener and those
// of the page: nobody can take any of them in between.
func (p *process) restart(page []*os.File) error {
	exe, err := os.Executable()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "lock", "", err)
	}
	args := []string{exe, cleanMark}
	f, err := p.listen.File()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "lock", "", err)
	}
	pass := func(name string, file *os.File) error {
		if file == nil {
			return nil
		}
		if err := inherit(int(file.Fd())); err != nil {
			return fault.Wrap(fault.Unavailable, "lock", "", err)
		}
		args = append(args, fmt.Sprintf("%s=%d", name, file.Fd()))
		return nil
	}
	err = errors.Join(pass("lock", p.lock.File()), pass("listen", f))
	for _, file := range page {
		err = errors.Join(err, pass("page", file))
	}
	if err != nil {
		return err
	}
	return fault.Wrap(fault.Unavailable, "lock", exe, syscall.Exec(exe, args, cleanEnviron(os.Getenv)))
}

// listenAt makes the socket, replacing a stale one: nobody answers on it, since
// this process holds the home's lock.
func listenAt(path string) (*local.Listener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode()&os.ModeSocket == 0 {
			return nil, fault.New(fault.Denied, "listen", path, "something that is no socket stands in its place")
		}
		if err := os.Remove(path); err != nil {
			return nil, fault.Wrap(fault.Unavailable, "listen", path, err)
		}
	}
	l, err := bind(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "listen", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "listen", path, err)
	}
	return l, nil
}

// adopt takes over the descriptors the process image before this one left open:
// "lock=N", "listen=N", and for each address of the approval page "page=N".
func adopt(args []string) (*device.Lock, *local.Listener, []net.Listener, error) {
	var lock *device.Lock
	var listen *local.Listener
	var page []net.Listener
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		fd, err := strconv.Atoi(v)
		if err != nil || fd < 3 {
			return nil, nil, nil, fault.New(fault.Usage, "start", a, "not a descriptor")
		}
		switch k {
		case "lock":
			if lock, err = device.AdoptLock(uintptr(fd)); err != nil {
				return nil, nil, nil, err
			}
		case "page":
			f := os.NewFile(uintptr(fd), "page")
			l, err := net.FileListener(f)
			_ = f.Close()
			if err != nil {
				return nil, nil, nil, fault.New(fault.Usage, "start", a, "not a listener")
			}
			page = append(page, l)
		case "listen":
			f := os.NewFile(uintptr(fd), "listen")
			l, err := net.FileListener(f)
			_ = f.Close()
			ul, ok := l.(*local.Listener)
			if err != nil || !ok {
				return nil, nil, nil, fault.New(fault.Usage, "start", a, "not a Unix listener")
			}
			listen = ul
		default:
			return nil, nil, nil, fault.New(fault.Usage, "start", a, "unknown argument")
		}
	}
	return lock, listen, page, nil
}

// bind listens on a path of any length: a socket name has room for about 100
// bytes, so a longer path is reached through an open descriptor of its folder.
func bind(path string) (*local.Listener, error) {
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

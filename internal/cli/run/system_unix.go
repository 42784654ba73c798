//go:build unix

package run

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// become replaces this process by the program. It returns only if that failed.
func (Options) become(p *program, env []string) error {
	signal.Reset() // what was ignored when we started is ignored again
	return startFailed(p.file.path, syscall.Exec(p.file.path, p.args, env))
}

// dieBy ends this process by a signal. It returns if it cannot: the Go runtime
// has handlers of its own for signals that mean a crash, which would print the
// state of our goroutines.
func dieBy(s syscall.Signal) {
	switch s {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL:
	default:
		return
	}
	signal.Reset(s)
	if syscall.Kill(os.Getpid(), s) == nil {
		time.Sleep(100 * time.Millisecond) // it may be ignored
	}
}

// inForeground reports whether signals typed at the terminal reach our process
// group.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func accessible(path string) bool { return unix.Access(path, unix.X_OK) == nil }

func withExtension(path string) string { return path }

// inode names the file itself, whatever its path: "device:inode".
func inode(m image) string {
	if st, ok := m.info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	}
	return ""
}

// writable reports whether our user could change the file, or what its path
// leads to.
func writable(m image) bool {
	if st, ok := m.info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Getuid() {
		return true
	}
	return unix.Access(m.path, unix.W_OK) == nil || unix.Access(filepath.Dir(m.path), unix.W_OK) == nil
}

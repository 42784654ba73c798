//go:build unix

package start

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// detached gives the daemon a session of its own, so that neither the
// terminal's signals nor its end reach it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// ended reports, without waiting, whether our child is gone.
func ended(pid int) bool {
	var st unix.WaitStatus
	got, err := unix.Wait4(pid, &st, unix.WNOHANG, nil)
	return err == unix.ECHILD || got == pid
}

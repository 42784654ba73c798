//go:build unix

package daemon

import (
	"errors"
	"syscall"
)

// gone reports whether no process has this pid; another user's is refused, and
// so is there.
func gone(pid int) bool { return pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

//go:build unix

package daemon

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
)

// gone reports whether no process runs under this pid; another user's is refused,
// and so is there. One that has ended and that its parent has not waited for, as
// in a container without an init, holds nothing any more (proc_pid_stat(5)).
func gone(pid int) bool {
	if pid <= 0 {
		return false
	}
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, ok := bytes.Cut(b[max(0, bytes.LastIndexByte(b, ')')):], []byte(" "))
	return ok && len(state) > 0 && (state[0] == 'Z' || state[0] == 'X')
}

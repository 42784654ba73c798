//go:build unix

package harden

import "golang.org/x/sys/unix"

// noCore lowers the soft limit alone: programs that this process starts may
// raise it again for themselves.
func noCore() error {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &r); err != nil {
		return err
	}
	r.Cur = 0
	return unix.Setrlimit(unix.RLIMIT_CORE, &r)
}

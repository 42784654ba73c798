//go:build unix

package start

import (
	"os"

	"golang.org/x/sys/unix"
)

func leader() bool {
	sid, err := unix.Getsid(0)
	return err == nil && sid == os.Getpid()
}

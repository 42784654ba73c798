package daemon

import (
	"time"

	"golang.org/x/sys/unix"
)

// harden allows no core dump and no debugger. Memory of this process stays as
// readable otherwise as the system lets it be.
func harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.PtraceDenyAttach()
}

// maxFD bounds the descriptors that are looked at; this system has no call for
// all above one.
const maxFD = 4096

func closeFrom(fd int) {
	for ; fd < maxFD; fd++ {
		unix.CloseOnExec(fd)
	}
}

// sinceBoot is the time since start here; it may stop in suspend, so the wall
// clock alone bounds what lives through one.
func sinceBoot(start time.Time) time.Duration { return time.Since(start) }

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

// sinceBoot is mach_continuous_time: it goes on in sleep and cannot be set, unlike
// CLOCK_MONOTONIC, which follows the wall clock here, and Go's own, which stops.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

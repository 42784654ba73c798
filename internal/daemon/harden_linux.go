package daemon

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// harden makes the process unreadable for others of the same user: no core
// dump, no ptrace, no /proc/pid/mem. A tracer that is there already ends it.
func harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "TracerPid:"); ok && strings.TrimSpace(v) != "0" {
				logf("refusing to run under a tracer (pid %s)", strings.TrimSpace(v))
				os.Exit(1)
			}
		}
	}
}

func closeFrom(fd int) { _ = unix.CloseRange(uint(fd), ^uint(0), unix.CLOSE_RANGE_CLOEXEC) }

// sinceBoot is CLOCK_BOOTTIME: it goes on in suspend.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

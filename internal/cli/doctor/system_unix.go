//go:build unix

package doctor

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

func owner(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// wanted is how much memory the daemon wants to be able to lock, in bytes.
const wanted = 4 << 20

// memory looks at the limits that a daemon inherits, and at this process's own.
func memory() []Finding {
	var out []Finding
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r); err != nil {
		out = append(out, Finding{"memory", Warning, "the limit of locked memory cannot be read", ""})
	} else if r.Cur < wanted {
		out = append(out, Finding{"memory", Warning, fmt.Sprintf("only %d KiB may be locked: values may reach swap", r.Cur>>10), "raise `ulimit -l` to 4096 or more"})
	} else {
		out = append(out, Finding{"memory", OK, "enough memory may be locked", ""})
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &r); err != nil || r.Cur != 0 {
		return append(out, Finding{"core dumps", Problem, "this program would leave a core dump", "ulimit -c 0"})
	}
	return append(out, dumpable())
}

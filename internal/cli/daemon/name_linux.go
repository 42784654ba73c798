package daemon

import (
	"os"
	"strconv"
	"strings"
)

// name is the name of a process's program (proc_pid_comm(5)), the only one that a
// process which hides its memory shows; empty where there is none.
func name(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSuffix(string(b), "\n")
}

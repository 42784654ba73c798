package start

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detached gives the daemon a console of its own, without a window: closing ours
// does not end it, and Ctrl-C does not reach it.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW | windows.CREATE_NEW_PROCESS_GROUP}
}

// ended never knows on this platform; the time limit decides.
func ended(int) bool { return false }

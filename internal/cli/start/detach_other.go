//go:build !unix

package start

import "syscall"

func detached() *syscall.SysProcAttr { return nil }

// ended never knows on this platform; the time limit decides.
func ended(int) bool { return false }

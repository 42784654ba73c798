package daemon

import (
	"errors"

	"golang.org/x/sys/windows"
)

// gone reports whether there is no process pid any more.
func gone(pid int) bool {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return errors.Is(err, windows.ERROR_INVALID_PARAMETER) // there is none of that number
	}
	defer windows.CloseHandle(h)
	at, err := windows.WaitForSingleObject(h, 0)
	return err == nil && at == windows.WAIT_OBJECT_0
}

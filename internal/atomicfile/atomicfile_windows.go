package atomicfile

import (
	"os"

	"golang.org/x/sys/windows"
)

// OpenPrivate opens a file for reading, or for reading and writing, under the
// conditions of ReadPrivate. It creates nothing.
func OpenPrivate(path string, writable bool) (*os.File, error) {
	flag := os.O_RDONLY
	if writable {
		flag = os.O_RDWR
	}
	f, err := open(path, flag)
	if err != nil {
		return nil, err
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT, inspected)
	if err != nil {
		err = &Error{Op: "read", Path: path, Err: err}
	} else {
		err = private(path, sd)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

const inspected = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION

// CheckPrivate refuses a file or folder that others may use: its access list
// may name our own user, the system and its administrators alone.
func CheckPrivate(path string) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, inspected)
	if err != nil {
		return &Error{Op: "read", Path: path, Err: err}
	}
	return private(path, sd)
}

func private(path string, sd *windows.SECURITY_DESCRIPTOR) error {
	owner, allowed, err := trustees(sd.String())
	if err != nil {
		return &Error{Op: "read", Path: path, Err: err}
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return &Error{Op: "read", Path: path, Err: err}
	}
	for _, name := range append(allowed, owner) {
		sid, err := windows.StringToSid(name) // also of two letters
		if err != nil {
			return &Error{Op: "read", Path: path, Err: err}
		}
		if !sid.Equals(me.User.Sid) && !sid.IsWellKnown(windows.WinLocalSystemSid) && !sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) &&
			!sid.IsWellKnown(windows.WinCreatorOwnerSid) && !sid.IsWellKnown(windows.WinCreatorOwnerRightsSid) {
			return &Error{Op: "read", Path: path, Msg: "is open to others (" + name + ")",
				Hint: `icacls "` + path + `" /inheritance:r /grant:r "%USERNAME%:(OI)(CI)F"`}
		}
	}
	return nil
}

// open follows a link that takes the file's place after the check: this system
// has no flag against it.
func open(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &Error{Op: "read", Path: path, Msg: "is " + kind(info.Mode()) + ", not a regular file"}
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, &Error{Op: "read", Path: path, Err: err}
	}
	return f, nil
}

// SyncDir does nothing: this system has no sync of a directory.
func SyncDir(string) error { return nil }

//go:build !unix

package atomicfile

import (
	"errors"
	"os"
)

// OpenPrivate refuses: who may read a file stands in an access control list
// here, which this package does not read.
func OpenPrivate(path string, writable bool) (*os.File, error) {
	return nil, &Error{Op: "read", Path: path, Msg: "cannot tell who may read it on this system", Err: errors.ErrUnsupported}
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

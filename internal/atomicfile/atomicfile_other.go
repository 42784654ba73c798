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

// SyncDir does nothing: this system has no sync of a directory.
func SyncDir(string) error { return nil }

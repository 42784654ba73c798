//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
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
	info, err := f.Stat()
	if err == nil {
		err = private(path, info)
	} else {
		err = &Error{Op: "read", Path: path, Err: err}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open follows no link at the end of path.
func open(path string, flag int) (*os.File, error) {
	// O_NONBLOCK: a FIFO in the file's place must not hang us.
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &Error{Op: "read", Path: path, Msg: "is a symbolic link, not a regular file"}
	}
	if err != nil {
		return nil, &Error{Op: "read", Path: path, Err: err}
	}
	return f, nil
}

func private(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &Error{Op: "read", Path: path, Msg: "is " + kind(info.Mode()) + ", not a regular file"}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &Error{Op: "read", Path: path, Msg: "has no known owner"}
	}
	if int(st.Uid) != os.Geteuid() {
		return &Error{Op: "read", Path: path, Msg: fmt.Sprintf("belongs to user %d, not to user %d", st.Uid, os.Geteuid())}
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return &Error{Op: "read", Path: path, Msg: fmt.Sprintf("is open to others (mode %04o)", perm),
			Hint: fmt.Sprintf("chmod %o %s", perm&0o700, Quote(path))}
	}
	return nil
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

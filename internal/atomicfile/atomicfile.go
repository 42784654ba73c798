// Package atomicfile writes a file whole or not at all, and reads files that
// nobody but their owner may see.
//
// After a crash a file is either as it was or as it was to be. What a crash may
// leave is a temporary file beside it, mode 0600, whose name begins with a dot
// and ends in ".tmp"; nothing ever reads one.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Error says which file was refused and what to do about it. It never holds
// anything of the file's content.
type Error struct {
	Op   string // "write" or "read"
	Path string
	Msg  string // why; empty where Err says it
	Hint string // a command to run; may be empty
	Err  error  // the cause; may be nil
}

// Error prints "op path: why; run: hint".
func (e *Error) Error() string {
	s := e.Op + " " + e.Path
	if e.Msg != "" {
		s += ": " + e.Msg
	}
	if e.Err != nil {
		s += ": " + cause(e.Err).Error()
	}
	if e.Hint != "" {
		s += "; run: " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// cause drops the path that os put in front, since Error names it already.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// steps are the calls of Write that can fail late; tests make each fail.
type steps struct {
	sync    func(*os.File) error
	rename  func(from, to string) error
	syncDir func(dir string) error
}

// Write replaces the file at path by data with the permission bits of mode. It
// refuses a path that is there and is not a regular file, symbolic links
// included. When it returns nil, content and name are on the disk (on Windows
// the name may still be in a cache). On any error the temporary file is gone;
// only when the last step, the sync of the directory, failed may the new
// content already stand at path.
func Write(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, trueSteps())
}

func trueSteps() steps { return steps{sync: (*os.File).Sync, rename: os.Rename, syncDir: SyncDir} }

func write(path string, data []byte, mode fs.FileMode, do steps) error {
	p, err := begin(path, mode, do)
	if err != nil {
		return err
	}
	defer p.Discard()
	if _, err := p.Write(data); err != nil {
		return err
	}
	return p.Commit()
}

// Pending is a file that is being written: nothing stands at its path before
// Commit, which ends it, as Discard does.
type Pending struct {
	path string
	mode fs.FileMode
	do   steps
	f    *os.File // nil when ended
}

// Begin is the beginning of Write, for what is written bit by bit. Discard is due,
// also after Commit, when it does nothing.
func Begin(path string, mode fs.FileMode) (*Pending, error) { return begin(path, mode, trueSteps()) }

func begin(path string, mode fs.FileMode, do steps) (*Pending, error) {
	fail := func(err error) (*Pending, error) { return nil, &Error{Op: "write", Path: path, Err: err} }
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fail(err)
	case !info.Mode().IsRegular():
		return nil, &Error{Op: "write", Path: path, Msg: "is " + kind(info.Mode()) + ", not a regular file"}
	}
	dir, name := folder(path)
	// A link put at path after the check is replaced by the rename, not followed.
	f, err := os.CreateTemp(dir, "."+name+".*.tmp") // O_EXCL, 0600
	if err != nil {
		return fail(err)
	}
	return &Pending{path: path, mode: mode.Perm(), do: do, f: f}, nil
}

func folder(path string) (dir, name string) {
	if dir, name = filepath.Split(path); dir == "" {
		dir = "."
	}
	return dir, name
}

// Write implements io.Writer.
func (p *Pending) Write(b []byte) (int, error) {
	n, err := p.f.Write(b)
	if err != nil {
		err = &Error{Op: "write", Path: p.path, Err: err}
	}
	return n, err
}

// Commit makes what was written the file at the path.
func (p *Pending) Commit() error {
	f := p.f
	p.f = nil
	err := f.Chmod(p.mode)
	if err == nil {
		err = p.do.sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = p.do.rename(f.Name(), p.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	} else {
		dir, _ := folder(p.path)
		err = p.do.syncDir(dir)
	}
	if err != nil {
		return &Error{Op: "write", Path: p.path, Err: err}
	}
	return nil
}

// Discard removes what was written.
func (p *Pending) Discard() {
	if p.f != nil {
		_ = p.f.Close()
		_ = os.Remove(p.f.Name())
		p.f = nil
	}
}

// ReadPrivate reads a file of at most limit bytes that is regular, belongs to
// the effective user and gives group and others no permission. It follows no
// link at the end of path. The error for a loose file names the chmod to run.
// On systems where it cannot tell who may read the file it refuses with
// errors.ErrUnsupported.
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := OpenPrivate(path, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// Open opens a regular file for reading, whoever else may read it, and tells
// its mode. It follows no link at the end of path.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := open(path, os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		f.Close()
		return nil, nil, &Error{Op: "read", Path: path, Msg: "is " + kind(info.Mode()) + ", not a regular file"}
	}
	if err != nil {
		f.Close()
		return nil, nil, &Error{Op: "read", Path: path, Err: err}
	}
	return f, info, nil
}

// Read reads a file of at most limit bytes under the conditions of Open.
func Read(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := readAll(f, path, limit)
	return data, info, err
}

// readAll reads up to limit bytes and leaves no outgrown copy behind.
func readAll(f *os.File, path string, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, &Error{Op: "read", Path: path, Err: err}
	}
	data := make([]byte, 0, min(info.Size(), limit)+1)
	for err == nil && int64(len(data)) <= limit {
		if len(data) == cap(data) { // it grows while it is read
			bigger := append(make([]byte, 0, 2*cap(data)), data...)
			clear(data)
			data = bigger
		}
		var n int
		n, err = f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
	}
	if int64(len(data)) > limit {
		clear(data)
		return nil, &Error{Op: "read", Path: path, Msg: fmt.Sprintf("is larger than %d bytes", limit)}
	}
	if err != io.EOF {
		clear(data)
		return nil, &Error{Op: "read", Path: path, Err: err}
	}
	return data, nil
}

// kind names what a path is when it is not a regular file.
func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m.IsDir():
		return "a directory"
	}
	return "a special file"
}

// Quote writes a path so that a POSIX shell reads it as one word. Hints use it.
func Quote(path string) string {
	plain := path != "" && !strings.ContainsFunc(path, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+,:@%", r))
	})
	if plain && path[0] != '-' {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// Package finder finds the file of the project that somebody works in, and
// reads it only where nobody else can have put it.
package finder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/project"
	"github.com/thumbturn/thumbturn/ref"
)

// Found is a project.
type Found struct {
	project.File
	Path string // of the file
	Text []byte // of the file, whole
	Dir  string // that holds it, absolute, without symbolic links
}

// Find looks for the file in dir and upward. The last directory it looks at is
// the home directory or the root of a file system; one that belongs to somebody
// else it does not look at. A mistake in the file is of type project.Errors.
func Find(dir string, getenv func(string) string) (Found, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil || !filepath.IsAbs(real) {
		return Found{}, fault.New(fault.Unavailable, "project", dir, "the working directory is not known")
	}
	home := homeOf(getenv)
	for at := real; ; at = filepath.Dir(at) {
		here, err := os.Stat(at)
		if err != nil {
			return Found{}, unreadable(at, err)
		}
		if !mine(here) {
			return Found{}, none("from here up to " + at + ", which belongs to somebody else")
		}
		path := filepath.Join(at, project.FileName)
		if _, err := os.Lstat(path); err == nil {
			return Read(path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return Found{}, unreadable(path, err)
		}
		if home != nil && os.SameFile(here, home) {
			return Found{}, none("from here up to the home directory")
		}
		above, err := os.Stat(filepath.Dir(at))
		if err != nil || filepath.Dir(at) == at || !sameSystem(here, above) {
			return Found{}, none("from here up to " + at)
		}
	}
}

// Sound is Find for those who act on the file: a mistake in it is fault.Usage.
func Sound(dir string, getenv func(string) string) (Found, error) {
	found, err := Find(dir, getenv)
	if mistakes, ok := errors.AsType[project.Errors](err); ok {
		return found, Mistaken(mistakes)
	}
	return found, err
}

// Mistaken is the error of whoever cannot go on with a file that has mistakes.
func Mistaken(mistakes project.Errors) error {
	return fault.New(fault.Usage, "", "", mistakes.Error()).WithHint("see: thumbturn project check")
}

// Job gives a task and the directory in which it runs, without symbolic links,
// for the command op.
func (f Found) Job(op, name string) (task project.Task, dir string, err error) {
	task, ok := f.Task(name)
	if !ok {
		names := f.TaskNames()
		hint := "it has none"
		if s := ref.Suggest(name, names); s != "" {
			hint = fmt.Sprintf("did you mean %q?", s)
		} else if len(names) > 0 {
			hint = "it has: " + strings.Join(names, ", ")
		}
		return task, "", fault.New(fault.NotFound, op, f.Path, fmt.Sprintf("has no task %q", name)).WithHint(hint)
	}
	dir, err = filepath.EvalSymlinks(filepath.Join(f.Dir, filepath.FromSlash(task.Dir)))
	if err != nil {
		return task, "", fault.New(fault.NotFound, op, task.Dir, "the task's directory does not exist or cannot be read")
	}
	if rel, err := filepath.Rel(f.Dir, dir); err != nil || !filepath.IsLocal(rel) {
		return task, "", fault.New(fault.Usage, op, task.Dir, "the task's directory leads out of the project")
	}
	return task, dir, nil
}

func homeOf(getenv func(string) string) fs.FileInfo {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	fi, err := os.Stat(getenv(name))
	if err != nil {
		return nil
	}
	return fi
}

func none(where string) error {
	return fault.New(fault.NotFound, "project", "", "there is no "+project.FileName+" "+where).
		WithHint("docs/project.md tells what it holds")
}

func unreadable(path string, err error) error {
	if e, ok := errors.AsType[*atomicfile.Error](err); ok && e.Msg != "" {
		return fault.New(fault.Unavailable, "project", path, e.Msg)
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fault.Wrap(fault.Unavailable, "project", path, err)
}

// Read reads a project's file. It refuses one that somebody else could have
// written: it must be a regular file of our user, and neither the file nor its
// directory may be open to everybody's writing.
func Read(path string) (Found, error) {
	refuse := func(msg, hint string) (Found, error) {
		return Found{}, fault.New(fault.Unavailable, "project", path, msg).WithHint(hint)
	}
	f, fi, err := atomicfile.Open(path)
	if err != nil {
		return Found{}, unreadable(path, err)
	}
	defer f.Close()
	dir, err := filepath.Abs(filepath.Dir(path))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return Found{}, unreadable(path, err)
	}
	around, err := os.Stat(dir)
	switch {
	case err != nil:
		return Found{}, unreadable(dir, err)
	case !mine(fi):
		return refuse("belongs to somebody else", "")
	case writableByAll(fi):
		return refuse("everybody can write to it", "chmod o-w "+atomicfile.Quote(path))
	case writableByAll(around) && around.Mode()&fs.ModeSticky == 0:
		return refuse("everybody can write to its directory", "chmod o-w "+atomicfile.Quote(dir))
	}
	data, err := io.ReadAll(io.LimitReader(f, project.MaxSize+1))
	if err != nil {
		return Found{}, unreadable(path, err)
	}
	parsed, err := project.Parse(path, data)
	return Found{File: parsed, Path: path, Text: data, Dir: dir}, err
}

package console

import (
	"errors"
	"io/fs"
	"os"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// WriteFile writes b to path in one step: readers see the old file or the whole
// new one. An existing file is replaced with force, or after a question.
func (c *Console) WriteFile(path string, b []byte, mode fs.FileMode, force bool) error {
	if _, err := c.MayWrite(path, force); err != nil {
		return err
	}
	return Unwritten(path, atomicfile.Write(path, b, mode))
}

// BeginFile is WriteFile for what comes bit by bit: the file appears with Commit.
func (c *Console) BeginFile(path string, mode fs.FileMode, force bool) (*atomicfile.Pending, error) {
	if _, err := c.MayWrite(path, force); err != nil {
		return nil, err
	}
	p, err := atomicfile.Begin(path, mode)
	if err != nil {
		return nil, Unwritten(path, err)
	}
	return p, nil
}

// MayWrite is the first half of WriteFile, for commands that should not ask for
// a value that they cannot put anywhere. It returns the force to write with
// later: true also after a question that was answered with yes.
func (c *Console) MayWrite(path string, force bool) (bool, error) {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return force, nil
	case err != nil:
		return false, Unwritten(path, err)
	case !fi.Mode().IsRegular():
		return false, fault.New(fault.Exists, "write", path, "is not a regular file")
	case force || c.Yes:
		return true, nil
	case !c.Prompt.IsTerminal():
		return false, fault.New(fault.Exists, "write", path, "the file exists").WithHint("add --force to replace it")
	}
	return true, c.Confirm("replace " + path + "?")
}

// Unwritten classifies why a file was not written; nil stays nil.
func Unwritten(path string, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fault.Wrap(fault.Unavailable, "write", path, err)
}

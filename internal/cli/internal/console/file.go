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
	if err := atomicfile.Write(path, b, mode); err != nil {
		return WriteFailed(path, err)
	}
	return nil
}

// BeginFile is WriteFile for what comes bit by bit: the file appears with Commit.
func (c *Console) BeginFile(path string, mode fs.FileMode, force bool) (*atomicfile.Pending, error) {
	if _, err := c.MayWrite(path, force); err != nil {
		return nil, err
	}
	p, err := atomicfile.Begin(path, mode)
	if err != nil {
		return nil, WriteFailed(path, err)
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
		return false, WriteFailed(path, err)
	case !fi.Mode().IsRegular():
		return false, fault.New(fault.Exists, "write", path, "is not a regular file")
	case force || c.Yes:
		return true, nil
	case !c.Prompt.IsTerminal():
		return false, fault.New(fault.Exists, "write", path, "the file exists").WithHint("add --force to replace it")
	}
	return true, c.Confirm("replace " + path + "?")
}

// WriteFailed classifies a failure to write a file.
func WriteFailed(path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fault.Wrap(fault.Unavailable, "write", path, err)
}

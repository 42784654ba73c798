package console

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// WriteFile writes b to path in one step: readers see the old file or the whole
// new one. An existing file is replaced with force, or after a question.
func (c *Console) WriteFile(path string, b []byte, mode fs.FileMode, force bool) error {
	fail := func(err error) error {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return fault.Wrap(fault.Unavailable, "write", path, err)
	}
	fi, err := os.Lstat(path)
	switch {
	case err == nil && !fi.Mode().IsRegular():
		return fault.New(fault.Exists, "write", path, "is not a regular file")
	case err == nil && !force && !c.Yes:
		if !c.Prompt.IsTerminal() {
			return fault.New(fault.Exists, "write", path, "the file exists").WithHint("add --force to replace it")
		}
		if err := c.Confirm("replace " + path + "?"); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fail(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".thumbturn-*") // 0600
	if err != nil {
		return fail(err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fail(err)
	}
	return nil
}

package console

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Attached are the files that are to be attached and too long to be held, by the
// field that they go into. They stay open until they are sent.
type Attached map[string]*os.File

// Add reads a file that is to be attached to a field. One of more than
// api.MaxValue bytes it keeps open instead, and returns nil.
func (a Attached) Add(field, name string) ([]byte, error) {
	fi, err := os.Stat(name)
	if err != nil || !fi.Mode().IsRegular() {
		return nil, fault.New(fault.Unavailable, "item", canon.Escape(name), "there is no such file that can be attached")
	}
	f, err := os.Open(name)
	if err == nil {
		fi, err = f.Stat()
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "item", canon.Escape(name), "the file cannot be read")
	}
	if fi.Size() > api.MaxValue && fi.Size() <= api.MaxStream {
		a[field] = f
		return nil, nil
	}
	defer f.Close()
	if fi.Size() > api.MaxStream {
		return nil, fault.New(fault.Usage, "item", canon.Escape(name), "the file is larger than 256 MiB")
	}
	b := make([]byte, fi.Size()+1)
	n, err := io.ReadFull(f, b)
	if b = b[:n]; int64(n) != fi.Size() || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(b)
		return nil, fault.New(fault.Unavailable, "item", canon.Escape(name), "the file changed while it was read")
	}
	return b, nil
}

// Long gives the streams of the named fields, and tells how far each has come.
func (a Attached) Long(c *Console, fields []string) ([]sdk.Long, error) {
	var out []sdk.Long
	for _, name := range fields {
		f := a[name]
		fi, err := f.Stat()
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "item", canon.Escape(f.Name()), err)
		}
		out = append(out, sdk.Long{Size: fi.Size(), From: &attachment{f: f, c: c}})
	}
	return out, nil
}

// Close closes the files.
func (a Attached) Close() {
	for _, f := range a {
		_ = f.Close()
	}
}

// attachment shows its progress from the first byte to the last.
type attachment struct {
	f *os.File
	c *Console
	p *Progress
}

// Read implements io.Reader.
func (a *attachment) Read(b []byte) (int, error) {
	if a.p == nil {
		fi, err := a.f.Stat()
		if err != nil {
			return 0, err
		}
		a.p = a.c.Progress("attaching "+filepath.Base(a.f.Name()), fi.Size())
	}
	n, err := a.f.Read(b)
	a.p.Step(int64(n))
	if err != nil {
		a.p.Done()
	}
	return n, err
}

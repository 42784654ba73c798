package device

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// A blob is what the device's TPM has sealed for a slot. It is of no use to another
// device, and so it is in no backup. Its file is named after the slot: a new one
// never takes the place of one that the roster may still name.
const (
	blobPrefix = "tpm-"
	maxBlob    = 4 << 10
)

func (d *Device) blobPath(op, slot string) (string, error) {
	if !canon.IsID(slot) {
		return "", fault.New(fault.Internal, op, slot, "not the id of a slot")
	}
	return filepath.Join(d.dir, blobPrefix+slot), nil
}

// Blob returns the blob of a slot; nil where there is none here.
func (d *Device) Blob(slot string) ([]byte, error) {
	const op = "read blob"
	path, err := d.blobPath(op, slot)
	if err != nil {
		return nil, err
	}
	b, err := atomicfile.ReadPrivate(path, maxBlob)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, refused(op, err)
	}
	return b, nil
}

// SetBlob keeps the blob of a slot, beside those of others.
func (d *Device) SetBlob(slot string, b []byte) error {
	const op = "write blob"
	path, err := d.blobPath(op, slot)
	if err == nil {
		err = atomicfile.Write(path, b, 0o600)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, slot, err)
	}
	return nil
}

// KeepBlob removes all blobs but that of a slot; with none named, all.
func (d *Device) KeepBlob(slot string) error {
	const op = "remove blob"
	list, err := os.ReadDir(d.dir)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, d.dir, err)
	}
	gone := false
	for _, e := range list {
		if id, ok := strings.CutPrefix(e.Name(), blobPrefix); ok && id != slot {
			gone = true
			err = errors.Join(err, os.Remove(filepath.Join(d.dir, e.Name())))
		}
	}
	if gone && err == nil {
		err = atomicfile.SyncDir(d.dir)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, d.dir, err)
	}
	return nil
}

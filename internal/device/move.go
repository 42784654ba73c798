package device

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// movedName is the file that says that the ledger of this device went to another
// one. It holds what the other one needs, and nothing that is secret to it.
const (
	movedName = "moved"
	maxMoved  = 64 << 10
)

// Moved returns what SetMoved wrote; nil when the ledger is here.
func (d *Device) Moved() ([]byte, error) {
	b, err := atomicfile.ReadPrivate(filepath.Join(d.dir, movedName), maxMoved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, refused("open device", err)
	}
	return b, nil
}

// SetMoved records that the ledger goes to another device. From when it returns
// nil, this one signs nothing more.
func (d *Device) SetMoved(b []byte) error {
	if err := atomicfile.Write(filepath.Join(d.dir, movedName), b, 0o600); err != nil {
		return fault.Wrap(fault.Unavailable, "move device", movedName, err)
	}
	return nil
}

// ClearMoved takes SetMoved back.
func (d *Device) ClearMoved() error {
	err := os.Remove(filepath.Join(d.dir, movedName))
	if err == nil {
		err = atomicfile.SyncDir(d.dir)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "move device", movedName, err)
	}
	return nil
}

// TakeShare keeps the share of another device, whose ledger comes here, beside
// the own one: the first passphrase that opens a slot decides which of them
// stays, as after an interrupted rotation.
func (d *Device) TakeShare(share []byte) error {
	if len(share) != secret {
		return fault.New(fault.Tampered, "take share", "", "not a share")
	}
	return d.keys(func(k *keyFile) error {
		changed := *k
		changed.Next = bytes.Clone(share)
		if err := changed.write(d.dir); err != nil {
			clear(changed.Next)
			return fault.Wrap(fault.Unavailable, "take share", "", err)
		}
		clear(k.Next)
		k.Next = changed.Next
		return nil
	})
}

// LendKEM lends the seed of the device's HPKE key, a copy that is wiped.
func (d *Device) LendKEM(use func(seed []byte) error) error {
	var seed []byte
	_ = d.keys(func(k *keyFile) error { seed = bytes.Clone(k.KEM); return nil })
	defer clear(seed)
	return use(seed)
}

package device

import (
	"bytes"
	"fmt"
	"io"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// LendShare lends a copy of the 32-byte share for the time of use, then wipes
// it.
//
// After a crash in the midst of a rotation there are two shares, and only the
// slots in the database tell which one is theirs. So when use fails with
// fault.Passphrase it is called once more with the other share; if that opens, it
// becomes the share.
func (d *Device) LendShare(use func(share []byte) error) error {
	share, next := d.shares()
	defer clear(share)
	defer clear(next)
	if len(share) != secret {
		return closed("lend share")
	}
	err := use(share)
	if next == nil || !fault.Is(err, fault.Passphrase) {
		return err
	}
	if e := use(next); e != nil {
		return err
	}
	// What was opened stays open even if this cannot be written now: both shares
	// are still on the disk.
	_ = d.keys(func(k *keyFile) error {
		if !bytes.Equal(k.Next, next) {
			return nil
		}
		return d.adopt(k, next)
	})
	return nil
}

func closed(op string) error { return fault.New(fault.Unavailable, op, "", "the device is closed") }

func (d *Device) shares() (share, next []byte) {
	_ = d.keys(func(k *keyFile) error {
		share, next = bytes.Clone(k.Share), bytes.Clone(k.Next)
		return nil
	})
	return share, next
}

// adopt makes share the only one, on the disk first. The caller holds the keys.
func (d *Device) adopt(k *keyFile, share []byte) error {
	changed := *k
	changed.Share, changed.Next = bytes.Clone(share), nil
	if err := changed.write(d.dir); err != nil {
		clear(changed.Share)
		return fault.Wrap(fault.Unavailable, "rotate share", "", err)
	}
	clear(k.Share)
	clear(k.Next)
	k.Share, k.Next = changed.Share, nil
	return nil
}

// RotateShare replaces the share at once. Every slot built on the old one is
// closed for good; the old share is given to nobody.
func (d *Device) RotateShare(rand io.Reader) error {
	r, _, err := d.NextShare(rand)
	if err != nil {
		return err
	}
	return r.Commit()
}

// Rotation is a new share that is not yet the device's.
//
// The order that survives a crash: build slots under the lent share; Prepare
// (both shares are on the disk); commit the slots to the database; Commit (the
// old share is gone). A Rotation that is dropped before Prepare leaves no trace.
type Rotation struct {
	prepare, commit func() error
}

// Prepare writes the new share beside the old one.
func (r *Rotation) Prepare() error { return r.prepare() }

// Commit makes the new share the only one. A second call is fault.Conflict, as
// is one after another rotation.
func (r *Rotation) Commit() error { return r.commit() }

// NextShare makes a new share. lend lends it as LendShare does; the share of the
// device stays what it is until the rotation is committed.
func (d *Device) NextShare(rand io.Reader) (r *Rotation, lend func(func(share []byte) error) error, err error) {
	next := make([]byte, secret)
	if _, err := io.ReadFull(rand, next); err != nil {
		return nil, nil, fault.Wrap(fault.Unavailable, "rotate share", "", fmt.Errorf("no randomness: %w", err))
	}
	old, _ := d.shares()
	if len(old) != secret {
		return nil, nil, closed("rotate share")
	}
	current := func(k *keyFile) error {
		if !bytes.Equal(k.Share, old) {
			return fault.New(fault.Conflict, "rotate share", "", "the share was replaced meanwhile")
		}
		return nil
	}
	prepare := func(k *keyFile) error {
		if err := current(k); err != nil {
			return err
		}
		changed := *k
		changed.Next = bytes.Clone(next)
		if err := changed.write(d.dir); err != nil {
			return fault.Wrap(fault.Unavailable, "rotate share", "", err)
		}
		clear(k.Next)
		k.Next = changed.Next
		return nil
	}
	commit := func(k *keyFile) error {
		if err := current(k); err != nil {
			return err
		}
		if err := d.adopt(k, next); err != nil {
			return err
		}
		clear(old)
		return nil
	}
	lend = func(use func([]byte) error) error {
		b := bytes.Clone(next)
		defer clear(b)
		return use(b)
	}
	return &Rotation{func() error { return d.keys(prepare) }, func() error { return d.keys(commit) }}, lend, nil
}

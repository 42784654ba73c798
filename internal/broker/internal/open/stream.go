package open

import (
	"context"
	"crypto/hpke"
	"crypto/sha256"

	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Stream opens one long record a permit names, a list of pieces. Every piece has
// been read, compared with its name and opened before use is called, and nothing
// of it kept: the text that use is lent opens them once more, each when its chunk
// is wanted, once. A lock in between ends that with ErrLocked.
func (k *Keyring) Stream(ctx context.Context, p Permit, r Record, use func(sealed.Text) error) error {
	o, at, err := k.spend(p, r)
	if err != nil {
		return err
	}
	enc, names, err := sealed.List(r.Bytes)
	if err != nil || r.Piece == nil {
		return slot.Tampered("the record", r.Ref)
	}
	each := func(use func([]byte) error) error {
		return o(at, enc, func(rec *hpke.Recipient) error { return k.chunks(ctx, rec, r, names, use) })
	}
	size := int64(0)
	if err := each(func(chunk []byte) error { size += int64(len(chunk)); return nil }); err != nil {
		return alike(err, r.Ref)
	}
	lent := false
	return use(sealed.Text{Size: size, Each: func(use func([]byte) error) error {
		if lent {
			return fault.New(fault.Denied, "open", r.Ref, "the permit does not name this value")
		}
		lent = true
		return alike(each(use), r.Ref)
	}})
}

// chunks opens the pieces one after the other. No more than one is open.
func (k *Keyring) chunks(ctx context.Context, rec *hpke.Recipient, r Record, names []canon.Hash, use func([]byte) error) error {
	for i, name := range names {
		if !k.Unlocked() {
			return ErrLocked
		}
		b, err := r.Piece(ctx, name)
		if err != nil {
			return err
		}
		last := i == len(names)-1
		ct, err := sealed.Piece(b, last)
		if err != nil || canon.Hash(sha256.Sum256(b)) != name {
			return slot.ErrCipher
		}
		chunk, err := rec.Open(sealed.ChunkAAD(sealed.FormList, uint64(i), last), ct)
		if err != nil {
			return slot.ErrCipher
		}
		err = use(chunk)
		clear(chunk)
		if err != nil {
			return err
		}
	}
	return nil
}

// alike names a failed cipher as what it is: tampering.
func alike(err error, ref string) error {
	if err == slot.ErrCipher {
		return slot.Tampered("the record", ref)
	}
	return err
}

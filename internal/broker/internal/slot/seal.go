package slot

import (
	"crypto/hpke"
	"errors"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Opener opens an encapsulated key at a place and lends the recipient, which
// opens one sender's messages in their order.
type Opener func(at sealed.Context, enc []byte, use func(*hpke.Recipient) error) error

// FromSeed builds an Opener that rebuilds its key from the lent seed at each
// use, so that no long-lived private key remains in the Go heap.
func FromSeed(seed Lend) Opener {
	return func(at sealed.Context, enc []byte, use func(*hpke.Recipient) error) error {
		return seed(func(s []byte) (err error) {
			Erasing(func() {
				var key hpke.PrivateKey
				if key, err = sealed.KEM().NewPrivateKey(s); err == nil {
					err = FromKey(key)(at, enc, use)
				}
			})
			return err
		})
	}
}

func FromKey(key hpke.PrivateKey) Opener {
	return func(at sealed.Context, enc []byte, use func(*hpke.Recipient) error) error {
		r, err := hpke.NewRecipient(enc, key, sealed.KDF(), sealed.AEAD(), at.Info())
		if err != nil {
			return ErrCipher
		}
		return use(r)
	}
}

// Whole opens a single or chunked HPKE ciphertext. use sees the whole plaintext
// once, after the last chunk verified, and must not keep it.
func (o Opener) Whole(at sealed.Context, ct []byte, use func([]byte) error) error {
	form, rest, err := sealed.Form(ct)
	if err != nil || form != sealed.FormSingle && form != sealed.FormChunks || len(rest) < sealed.EncSize+sealed.TagSize {
		return ErrCipher
	}
	enc, rest := rest[:sealed.EncSize], rest[sealed.EncSize:]
	if form == sealed.FormSingle && len(rest) > sealed.ChunkSize+sealed.TagSize {
		return ErrCipher
	}
	return o(at, enc, func(r *hpke.Recipient) error {
		text := make([]byte, 0, len(rest))
		defer func() { clear(text[:cap(text)]) }()
		for i := uint64(0); ; i++ {
			n := min(len(rest), sealed.ChunkSize+sealed.TagSize)
			final := n == len(rest)
			part, err := r.Open(sealed.ChunkAAD(form, i, final), rest[:n])
			if err != nil {
				return ErrCipher
			}
			text = append(text, part...)
			clear(part)
			if rest = rest[n:]; final {
				return use(text)
			}
		}
	})
}

var ErrCipher = errors.New("open: ciphertext does not open here")

// SeedAt opens a sealed seed and keeps it in the arena.
func (k *Maker) SeedAt(o Opener, ctx sealed.Context, ct []byte) (Lend, func(), error) {
	var l Lend
	var free func()
	err := o.Whole(ctx, ct, func(seed []byte) error {
		if len(seed) != sealed.SeedSize {
			return ErrCipher
		}
		var err error
		l, free, err = k.arena.Keep(append([]byte(nil), seed...))
		return err
	})
	return l, free, err
}

// CompartmentSeed opens a compartment's seed with an Opened slot.
func (k *Maker) CompartmentSeed(r Roster, name, slot string, slotSeed Lend, account string) (Lend, func(), error) {
	c, ok := r.Compartment(name)
	if !ok {
		return nil, nil, Tampered("roster", name)
	}
	for _, s := range c.Seeds {
		if s.To != slot {
			continue
		}
		l, free, err := k.SeedAt(FromSeed(slotSeed), sealed.SeedContext(account, name, slot), s.Bytes)
		if err != nil {
			return nil, nil, Tampered("seed of compartment", name)
		}
		return l, free, nil
	}
	return nil, nil, Tampered("roster", name)
}

// KEMPublic returns the HPKE public key of a lent seed.
func KEMPublic(seed Lend) (pub canon.Bytes, err error) {
	err = seed(func(s []byte) error {
		key, err := sealed.KEM().NewPrivateKey(s)
		if err == nil {
			pub = key.PublicKey().Bytes()
		}
		return err
	})
	return pub, err
}

// SealTo seals a lent secret to a public key.
func SealTo(public []byte, ctx sealed.Context, secret Lend) (ct []byte, err error) {
	err = secret(func(s []byte) error {
		ct, err = sealed.Value(public, ctx, s)
		return err
	})
	return ct, err
}

// CompartmentFor seals a compartment's seed to slots.
func CompartmentFor(account, name string, public []byte, seed Lend, slots ...canon.Slot) (canon.Compartment, error) {
	c := canon.Compartment{Name: name, Public: public}
	for _, s := range slots {
		h, err := Header(s)
		if err != nil {
			return c, err
		}
		ct, err := SealTo(s.Public, sealed.SeedContext(account, name, h.ID), seed)
		if err != nil {
			return c, err
		}
		c.Seeds = append(c.Seeds, canon.Sealed{To: h.ID, Bytes: ct})
	}
	return c, nil
}

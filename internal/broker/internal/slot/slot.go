// Package slot is how keys are opened with secrets: the ways in. A slot wraps a seed
// under a passphrase, a recovery code or what a passkey gives; compartments are
// sealed to slots. It opens keys for keys, and never a value: that is for package
// open, which holds what is opened here.
package slot

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"golang.org/x/crypto/argon2"
)

// slotText is what a slot wraps: root fingerprint, test flag, roster version,
// slot seed.
const slotText = 32 + 1 + 8 + sealed.SeedSize

// stretcher lets one Argon2id derivation run at a time: each takes 64 MiB, and a
// client that tries many passphrases at once must wait its turn. What is in them
// gives the key away, so they go back to the system at once, which zeroes them.
type stretcher struct {
	mu   sync.Mutex
	free func()
}

// kek derives the key-encryption key and the commitment of a slot:
// HKDF-SHA256 with the share as salt and the exact header as info. check sees
// the commitment while the share is lent: an ErrWrong makes the device try the
// other share of an interrupted rotation.
func (s *stretcher) kek(h canon.SlotHeader, header, secret []byte, share Lend, check func(canon.Hash) error) (kek []byte, commit canon.Hash, err error) {
	stretched := secret
	if h.KDF.Memory > 0 { // a passphrase; other secrets are random
		s.mu.Lock()
		stretched = argon2.IDKey(secret, h.KDF.Salt, h.KDF.Time, h.KDF.Memory, h.KDF.Threads, 32)
		s.free()
		s.mu.Unlock()
		defer clear(stretched)
	}
	derive := func(salt []byte) error {
		prk, err := hkdf.Extract(sha256.New, stretched, salt)
		if err != nil {
			return err
		}
		defer clear(prk)
		if kek, err = hkdf.Expand(sha256.New, prk, "kek\x00"+string(header), 32); err != nil {
			return err
		}
		c, err := hkdf.Expand(sha256.New, prk, "commitment\x00"+string(header), 32)
		if err != nil {
			return err
		}
		commit = canon.Hash(c)
		return check(commit)
	}
	if h.Kind == canon.SlotRecovery {
		err = derive(nil) // the only slot that does not need the share
	} else {
		err = share(derive)
	}
	return kek, commit, err
}

func GCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// New makes a slot for a compartment under a secret. The slot's seed is
// forgotten at once: whatever shall be Opened with it is sealed to its public
// key.
func (k *Maker) New(w Way, compartment string, secret []byte, share Lend, at Place) (canon.Slot, error) {
	id, err := canon.NewID(k.rand)
	if err != nil {
		return canon.Slot{}, err
	}
	h := canon.SlotHeader{V: sealed.Version, Suite: sealed.Suite, Account: at.Account, Device: at.Device,
		ID: id, Kind: w.Kind, Compartment: compartment, RPID: w.RPID, Credential: w.Credential, Created: at.Created}
	if w.Kind == canon.SlotUnlock || w.Kind == canon.SlotPresence {
		h.KDF = canon.KDF{Memory: sealed.MinMemory, Time: sealed.MinTime, Threads: 4, Salt: make([]byte, sealed.SlotSalt)}
		if _, err := io.ReadFull(k.rand, h.KDF.Salt); err != nil {
			return canon.Slot{}, err
		}
	}
	if err := sealed.CheckSlot(h); err != nil {
		return canon.Slot{}, err
	}
	header := canon.Encode(h)
	text := make([]byte, slotText)
	defer clear(text)
	copy(text, at.Root[:])
	if at.TestHome {
		text[32] = 1
	}
	binary.BigEndian.PutUint64(text[33:], uint64(at.Roster))
	seed := text[41:]
	if _, err := io.ReadFull(k.rand, seed); err != nil {
		return canon.Slot{}, err
	}
	key, err := sealed.KEM().NewPrivateKey(seed)
	if err != nil {
		return canon.Slot{}, err
	}
	kek, commit, err := k.stretch.kek(h, header, secret, share, func(canon.Hash) error { return nil })
	if err != nil {
		return canon.Slot{}, err
	}
	defer clear(kek)
	aead, err := GCM(kek)
	if err != nil {
		return canon.Slot{}, err
	}
	out := append(sealed.Head(sealed.FormSlot), make([]byte, sealed.NonceSize)...)
	if _, err := io.ReadFull(k.rand, out[sealed.HeadSize:]); err != nil {
		return canon.Slot{}, err
	}
	out = aead.Seal(out, out[sealed.HeadSize:], text, header)
	return canon.Slot{Header: json.RawMessage(header), Commitment: commit, Sealed: out, Public: key.PublicKey().Bytes()}, nil
}

var ErrWrong = fault.New(fault.Passphrase, "open", "", "wrong secret")

// commits compares a derived commitment with the slot's, in constant time.
func commits(s canon.Slot) func(canon.Hash) error {
	return func(c canon.Hash) error {
		if subtle.ConstantTimeCompare(c[:], s.Commitment[:]) != 1 {
			return ErrWrong
		}
		return nil
	}
}

// Open opens a slot with its secret and lends the slot seed. The commitment
// is compared, in constant time, before anything is decrypted.
func (k *Maker) Open(s canon.Slot, h canon.SlotHeader, secret []byte, share Lend, at Place, roster int64) (Lend, func(), error) {
	kek, _, err := k.stretch.kek(h, s.Header, secret, share, commits(s))
	if err != nil {
		return nil, nil, err
	}
	defer clear(kek)
	form, rest, err := sealed.Form(s.Sealed)
	if err != nil || form != sealed.FormSlot || len(rest) < sealed.NonceSize {
		return nil, nil, Tampered("slot", h.ID)
	}
	aead, err := GCM(kek)
	if err != nil {
		return nil, nil, err
	}
	text, err := aead.Open(nil, rest[:sealed.NonceSize], rest[sealed.NonceSize:], s.Header)
	if err != nil || len(text) != slotText {
		return nil, nil, Tampered("slot", h.ID)
	}
	defer clear(text)
	switch {
	case [32]byte(text[:32]) != at.Root:
		return nil, nil, Tampered("root key", h.ID)
	case (text[32] == 1) != at.TestHome:
		return nil, nil, Tampered("test-home flag", h.ID)
	case int64(binary.BigEndian.Uint64(text[33:41])) > roster:
		return nil, nil, Tampered("roster rolled back behind slot", h.ID)
	}
	return k.arena.Keep(append([]byte(nil), text[41:]...))
}

func Tampered(what, ref string) error {
	return fault.New(fault.Tampered, "open", ref, fmt.Sprintf("%s is not what was written", what))
}

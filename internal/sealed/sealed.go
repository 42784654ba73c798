// Package sealed is the formats of what is kept encrypted, and their write half
// (spec/record.md).
//
// Nothing here can open anything: writers hold public keys, or a closure that
// only seals. That is what lets an agent store a value it cannot read.
//
// Every ciphertext begins with three bytes: format version, suite, form. Every
// use of a key is bound to its place by a context: a length-prefixed tuple of
// product, version, suite, record type, account, vault, epoch, item, field,
// revision and slot.
package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// Version and Suite of everything this program writes. Suite 1 is HPKE with
// MLKEM768X25519 (X-Wing), HKDF-SHA256 and AES-256-GCM (RFC 9180,
// draft-ietf-hpke-pq), AES-256-GCM for symmetric records.
const (
	Version = 1
	Suite   = 1
)

// Forms of a ciphertext, its third byte.
const (
	FormSingle = 1 // HPKE, one message
	FormChunks = 2 // HPKE, one sender, chunks of ChunkSize
	FormMeta   = 3 // AES-256-GCM under an index key
	FormEvent  = 4 // AES-256-GCM under an event key
	FormSlot   = 5 // AES-256-GCM under a slot's key
	FormList   = 6 // HPKE, one sender, whose chunks are pieces of their own
	FormPiece  = 7 // a chunk of a FormList
)

// Sizes in bytes.
const (
	ChunkSize = 64 << 10  // plaintext of a chunk, and the largest value kept in locked memory
	MaxValue  = 16 << 20  // the largest value that is sealed and opened whole
	MaxLong   = 256 << 20 // the largest value of a field
	MaxMeta   = 1 << 20   // the largest metadata of an item
	EncSize   = 1120      // encapsulated key of X-Wing
	TagSize   = 16        // AES-GCM tag
	HeadSize  = 3         // version, suite, form
	NonceSize = 12        // AES-GCM
	SaltSize  = 32        // of an event
	padBlock  = 256       // metadata is padded to a multiple of this
	SeedSize  = 32        // of every key pair
)

// Record types: the fourth element of a context.
const (
	TypeValue      = "value"
	TypeMeta       = "meta"
	TypeVaultName  = "vault-name"
	TypeGrant      = "grant" // what a grant pins
	TypeVaultSeed  = "vault-seed"
	TypeVaultPast  = "vault-past" // seeds of the epochs before
	TypeIndexKey   = "index-key"
	TypeLedgerSeed = "ledger-seed"
	TypeEventKey   = "event-key"
	TypeSeed       = "seed"  // a compartment's seed for a slot
	TypeShare      = "share" // of one device, for another one
)

// IndexEpoch is the epoch in the contexts of a vault's index key and name: the index
// key is made with the vault and stays.
const IndexEpoch = 1

// Context binds a ciphertext to its place. Unused parts stay zero.
type Context struct {
	Type     string
	Account  string
	Vault    string
	Epoch    int64
	Item     string
	Field    string
	Revision int64
	Slot     string
}

// Info returns the context as HPKE info or AAD.
func (c Context) Info() []byte {
	return canon.Tuple(canon.Product, strconv.Itoa(Version), strconv.Itoa(Suite), c.Type, c.Account,
		c.Vault, strconv.FormatInt(c.Epoch, 10), c.Item, c.Field, strconv.FormatInt(c.Revision, 10), c.Slot)
}

// SeedContext is the context of a compartment's seed sealed to a slot.
func SeedContext(account, compartment, slot string) Context {
	return Context{Type: TypeSeed, Account: account, Vault: compartment, Slot: slot}
}

// ShareContext binds a share to the device that may open it.
func ShareContext(account, device string) Context {
	return Context{Type: TypeShare, Account: account, Slot: device}
}

// KEM is the key encapsulation of suite 1: X-Wing.
func KEM() hpke.KEM { return hpke.MLKEM768X25519() }

// KDF is the key derivation of suite 1.
func KDF() hpke.KDF { return hpke.HKDFSHA256() }

// AEAD is the cipher of suite 1.
func AEAD() hpke.AEAD { return hpke.AES256GCM() }

// ErrFormat is returned for bytes that are no ciphertext of this version.
var ErrFormat = errors.New("sealed: unknown format")

// Head returns the three leading bytes of a form.
func Head(form byte) []byte { return []byte{Version, Suite, form} }

// Form checks the leading bytes and returns the form and the rest.
func Form(b []byte) (form byte, rest []byte, err error) {
	if len(b) < HeadSize || b[0] != Version || b[1] != Suite || b[2] < FormSingle || b[2] > FormPiece {
		return 0, nil, ErrFormat
	}
	return b[2], b[HeadSize:], nil
}

// Value seals text to a public key. The result says by its length roughly how
// long the text is; a value over ChunkSize goes in chunks that cannot be cut,
// reordered or extended unnoticed.
func Value(public []byte, ctx Context, text []byte) ([]byte, error) {
	if len(text) > MaxValue {
		return nil, fmt.Errorf("sealed: value of %d bytes is over the limit of %d", len(text), MaxValue)
	}
	enc, s, err := sender(public, ctx)
	if err != nil {
		return nil, err
	}
	form := byte(FormSingle)
	if len(text) > ChunkSize {
		form = FormChunks
	}
	out := make([]byte, 0, HeadSize+len(enc)+len(text)+TagSize*(1+len(text)/ChunkSize))
	out = append(append(out, Head(form)...), enc...)
	for i := uint64(0); ; i++ {
		n := min(len(text), ChunkSize)
		final := n == len(text)
		ct, err := s.Seal(ChunkAAD(form, i, final), text[:n])
		if err != nil {
			return nil, fmt.Errorf("sealed: %w", err)
		}
		out = append(out, ct...)
		if text = text[n:]; final {
			return out, nil
		}
	}
}

// sender encapsulates a key to a public key, for one place.
func sender(public []byte, ctx Context) (enc []byte, s *hpke.Sender, err error) {
	pk, err := KEM().NewPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("sealed: public key: %w", err)
	}
	if enc, s, err = hpke.NewSender(pk, KDF(), AEAD(), ctx.Info()); err != nil {
		return nil, nil, fmt.Errorf("sealed: %w", err)
	}
	return enc, s, nil
}

// ChunkAAD is the additional data of the i-th chunk: leading bytes, index,
// final flag.
func ChunkAAD(form byte, i uint64, final bool) []byte {
	b := binary.BigEndian.AppendUint64(Head(form), i)
	if final {
		return append(b, 1)
	}
	return append(b, 0)
}

// MetaSeal seals under a key that the holder of the closure cannot see:
// AES-256-GCM, nonce || ciphertext.
type MetaSeal func(aad, plaintext []byte) ([]byte, error)

// Meta seals the metadata of an item, or a vault's name. The plaintext is
// padded, so that the length of a title does not show.
func Meta(seal MetaSeal, ctx Context, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxMeta {
		return nil, fmt.Errorf("sealed: metadata of %d bytes is over the limit of %d", len(plaintext), MaxMeta)
	}
	ct, err := seal(append(Head(FormMeta), ctx.Info()...), Pad(plaintext))
	if err != nil {
		return nil, err
	}
	return append(Head(FormMeta), ct...), nil
}

// Pad appends 0x80 and zeros up to a multiple of 256 bytes.
func Pad(b []byte) []byte {
	n := (len(b)/padBlock + 1) * padBlock
	out := make([]byte, n)
	copy(out, b)
	out[len(b)] = 0x80
	return out
}

// Unpad removes what Pad added.
func Unpad(b []byte) ([]byte, error) {
	t := bytes.TrimRight(b, "\x00")
	if len(b)%padBlock != 0 || len(t) == 0 || t[len(t)-1] != 0x80 || len(b)-len(t) >= padBlock {
		return nil, errors.New("sealed: bad padding")
	}
	return t[:len(t)-1], nil
}

// EventSealer seals events under a key made for one run of the daemon. It works
// while the vaults are locked; only the holder of the ledger's key reads them.
type EventSealer struct {
	Key  canon.Hash // hash of Blob, names the key beside each event
	Blob []byte     // the key, sealed to the ledger's public key
	seal func(index int64, body []byte) (canon.Hash, []byte, error)
}

// NewEventSealer makes a key and seals it to the ledger's public key.
func NewEventSealer(rand io.Reader, ledger []byte, account, device string) (*EventSealer, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, fmt.Errorf("sealed: no randomness: %w", err)
	}
	defer clear(key)
	blob, err := Value(ledger, Context{Type: TypeEventKey, Account: account, Slot: device}, key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &EventSealer{Key: sha256.Sum256(blob), Blob: blob, seal: func(index int64, body []byte) (canon.Hash, []byte, error) {
		text := make([]byte, SaltSize, SaltSize+len(body))
		if _, err := io.ReadFull(rand, text); err != nil {
			return canon.Hash{}, nil, fmt.Errorf("sealed: no randomness: %w", err)
		}
		leaf := canon.Leaf(text, body)
		out := Head(FormEvent)
		return leaf, gcm.Seal(out, EventNonce(index), append(text, body...), EventAAD(device, index, leaf)), nil
	}}, nil
}

// Seal encrypts the event that will stand at index: each index once per key,
// since the index is the nonce.
func (s *EventSealer) Seal(index int64, body []byte) (leaf canon.Hash, sealed []byte, err error) {
	return s.seal(index, body)
}

// EventNonce is the AES-GCM nonce of the event at index.
func EventNonce(index int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, NonceSize), uint64(index))
}

// EventAAD binds an event to device, index and leaf.
func EventAAD(device string, index int64, leaf canon.Hash) []byte {
	return append(Head(FormEvent), canon.Tuple(canon.Product, "event", device, strconv.FormatInt(index, 10), string(leaf[:]))...)
}

// KDF bounds: what a slot header may ask for, so that a changed header is
// neither a denial of service nor a downgrade.
const (
	MinMemory  = 64 << 10 // KiB
	MaxMemory  = 512 << 10
	MinTime    = 3
	MaxTime    = 12
	MaxThreads = 16
	SlotSalt   = 16
)

// CheckSlot refuses a slot header that this program would not have written.
func CheckSlot(h canon.SlotHeader) error {
	if h.V != Version || h.Suite != Suite {
		return ErrFormat
	}
	k := h.KDF
	switch h.Kind {
	case canon.SlotUnlock, canon.SlotPresence:
		if k.Memory < MinMemory || k.Memory > MaxMemory || k.Time < MinTime || k.Time > MaxTime ||
			k.Threads < 1 || k.Threads > MaxThreads || len(k.Salt) != SlotSalt {
			return errors.New("sealed: slot parameters out of bounds")
		}
	case canon.SlotRecovery, canon.SlotPasskey, canon.SlotPIN:
		if k.Memory != 0 || k.Time != 0 || k.Threads != 0 || len(k.Salt) != 0 {
			return errors.New("sealed: a slot whose secret is random has no stretching parameters")
		}
	default:
		return errors.New("sealed: unknown kind of slot")
	}
	if passkey := h.Kind == canon.SlotPasskey; passkey != (len(h.Credential) > 0) || passkey != (h.RPID != "") {
		return errors.New("sealed: a passkey slot, and no other, names its credential and relying party")
	}
	if !canon.IsID(h.ID) || !canon.IsID(h.Account) || !canon.IsID(h.Device) || h.Compartment == "" {
		return errors.New("sealed: slot without a place")
	}
	return nil
}

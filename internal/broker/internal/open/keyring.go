// Package open is the keyring, and the only code of Thumbturn that turns
// ciphertext into plaintext.
//
// Open and Stream are all that yields a secret value, whole or chunk by chunk, and
// both demand a Permit, which exists only where request, verdict, proof and durable
// intent agree (see Grant). Everything else here opens keys for keys, and metadata. The
// package lies under the broker's internal folder: the go command refuses its
// import anywhere else.
//
// Seeds and values up to 64 KiB lie in one locked arena; whatever is held is
// held by closures, so that no formatter, encoder or reflection finds bytes.
package open

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"sync"

	"github.com/thumbturn/thumbturn/internal/broker/internal/arena"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// ErrLocked is returned where a key is asked for that is not open.
var ErrLocked = fault.New(fault.Locked, "open", "", "the vaults are locked").WithHint("run `thumbturn unlock` in a terminal")

// lend is how every secret here is held.
type lend = arena.Lend

// What callers name of the ways in: see package slot.
type (
	Roster = slot.Roster
	Place  = slot.Place
	Touch  = slot.Touch
	Share  = slot.Share
)

// PageKey is the public key to which the page seals what passkeys give.
func (k *Keyring) PageKey() []byte { return k.ways.PageKey() }

// Keyring holds what unlock opened. Its zero value is not usable; New makes a
// locked one.
type Keyring struct {
	rand  io.Reader
	arena *arena.Arena
	ways  *slot.Maker

	mu      sync.RWMutex
	session slot.Opener
	seed    lend // of the session key, to seal it to new slots
	vaults  map[string]*vaultKeys
	forget  []func()
}

// vaultKeys are the opened keys of one vault. value is nil for a presence
// vault: its key opens only inside a Gesture.
type vaultKeys struct {
	signed    canon.Vault
	value     slot.Opener
	indexSeal sealed.MetaSeal
	indexOpen func(aad, ct []byte) ([]byte, error)
	tag       func(label, text string) canon.Hash
}

// New returns a locked keyring. rand is the source of every key it makes; free
// gives memory back to the system once a passphrase was stretched, and nil is how
// it is really done.
func New(rand io.Reader, free func()) (*Keyring, error) {
	a, err := arena.New(ErrLocked)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "open", "secret memory", err)
	}
	ways, err := slot.NewMaker(rand, a, free)
	if err != nil {
		return nil, err
	}
	return &Keyring{rand: rand, arena: a, ways: ways, vaults: map[string]*vaultKeys{}}, nil
}

// MemoryLocked tells whether the system let the arena be locked into RAM.
func (k *Keyring) MemoryLocked() bool { return k.arena.Locked() }

// Unlocked reports whether the session key is open.
func (k *Keyring) Unlocked() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.session != nil
}

// Lock forgets every key. The arena stays, wiped.
func (k *Keyring) Lock() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.forget {
		f()
	}
	k.session, k.seed, k.forget, k.vaults = nil, nil, nil, map[string]*vaultKeys{}
}

// builtOpener keeps the private key built: twice as fast, for standard vaults,
// which are open until lock anyway.
func builtOpener(seed []byte) (slot.Opener, []byte, error) {
	key, err := sealed.KEM().NewPrivateKey(seed)
	if err != nil {
		return nil, nil, err
	}
	return slot.FromKey(key), key.PublicKey().Bytes(), nil
}

// Unlock opens the session key with the unlock passphrase. A wrong one is
// fault.Passphrase.
func (k *Keyring) Unlock(r Roster, passphrase []byte, share Share, at Place) error {
	s, h, ok := r.Find(canon.SlotUnlock, "session")
	if !ok {
		return slot.Tampered("roster", "session")
	}
	way, freeSlot, err := k.ways.Open(s, h, passphrase, lend(share), at, r.Version)
	if err != nil {
		return wrong(err, "unlock", "unlock passphrase")
	}
	defer freeSlot()
	seed, free, err := k.ways.CompartmentSeed(r, "session", h.ID, way, at.Account)
	if err != nil {
		return err
	}
	k.adopt(seed, free)
	return nil
}

func (k *Keyring) adopt(session lend, free func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session, k.seed = slot.FromSeed(session), session
	k.forget = append(k.forget, free)
}

func (k *Keyring) sessionSeed() (lend, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.seed, k.seed != nil
}

// wrong turns a failed commitment into what the user is told.
func wrong(err error, op, what string) error {
	if errors.Is(err, slot.ErrWrong) {
		return fault.New(fault.Passphrase, op, "", "wrong "+what)
	}
	return err
}

// AddVault opens the keys of a vault described by a verified descriptor. The
// public key and the index commitment must follow from what opens; if not, the
// descriptor was tampered with.
func (k *Keyring) AddVault(v canon.Vault, account string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session == nil {
		return ErrLocked
	}
	vk := &vaultKeys{signed: v}
	ctx := sealed.Context{Type: sealed.TypeIndexKey, Account: account, Vault: v.ID, Epoch: sealed.IndexEpoch}
	err := k.session.Whole(ctx, v.IndexKey, func(key []byte) error {
		if len(key) != 32 || IndexHash(key) != v.IndexHash {
			return slot.ErrCipher
		}
		return vk.setIndex(key, k.rand)
	})
	if err != nil {
		return slot.Tampered("index key of vault", v.ID)
	}
	if v.Tier == canon.TierStandard {
		ctx.Type, ctx.Epoch = sealed.TypeVaultSeed, v.Epoch
		err := k.session.Whole(ctx, v.Seed, func(seed []byte) error {
			o, public, err := builtOpener(seed)
			if err != nil || string(public) != string(v.Public) {
				return slot.ErrCipher
			}
			vk.value = o
			return nil
		})
		if err != nil {
			return slot.Tampered("key of vault", v.ID)
		}
	}
	k.vaults[v.ID] = vk
	return nil
}

// setIndex captures the index key in closures: sealing, opening, tagging.
func (v *vaultKeys) setIndex(key []byte, rand io.Reader) error {
	aead, err := slot.GCM(key)
	if err != nil {
		return err
	}
	v.indexSeal = func(aad, text []byte) ([]byte, error) {
		nonce := make([]byte, sealed.NonceSize)
		if _, err := io.ReadFull(rand, nonce); err != nil {
			return nil, err
		}
		return aead.Seal(nonce, nonce, text, aad), nil
	}
	v.indexOpen = func(aad, ct []byte) ([]byte, error) {
		if len(ct) < sealed.NonceSize {
			return nil, slot.ErrCipher
		}
		return aead.Open(nil, ct[:sealed.NonceSize], ct[sealed.NonceSize:], aad)
	}
	v.tag = tagger(key)
	return nil
}

// IndexHash commits to an index key in the vault's descriptor.
func IndexHash(key []byte) canon.Hash {
	return sha256.Sum256(append([]byte("thumbturn/index-key/v1\x00"), key...))
}

func (k *Keyring) vault(id string) (*vaultKeys, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.session == nil {
		return nil, ErrLocked
	}
	v, ok := k.vaults[id]
	if !ok {
		return nil, fault.New(fault.NotFound, "open", id, "no such vault")
	}
	return v, nil
}

// IndexSealer returns the seal-only closure for a vault's metadata.
func (k *Keyring) IndexSealer(vault string) (sealed.MetaSeal, error) {
	v, err := k.vault(vault)
	if err != nil {
		return nil, err
	}
	return v.indexSeal, nil
}

// Tag returns the keyed hash of a text under a vault's index key: equal texts
// have equal tags within a vault, and nobody without the key can guess.
func (k *Keyring) Tag(vault, label, text string) (canon.Hash, error) {
	v, err := k.vault(vault)
	if err != nil {
		return canon.Hash{}, err
	}
	return v.tag(label, text), nil
}

// Meta opens the metadata of an item, or a vault's name. It holds no concealed
// value.
func (k *Keyring) Meta(ctx sealed.Context, ct []byte) ([]byte, error) {
	v, err := k.vault(ctx.Vault)
	if err != nil {
		return nil, err
	}
	form, rest, err := sealed.Form(ct)
	if err != nil || form != sealed.FormMeta {
		return nil, slot.Tampered("metadata", ctx.Item)
	}
	padded, err := v.indexOpen(append(sealed.Head(sealed.FormMeta), ctx.Info()...), rest)
	if err != nil {
		return nil, slot.Tampered("metadata", ctx.Item)
	}
	text, err := sealed.Unpad(padded)
	if err != nil {
		return nil, slot.Tampered("metadata", ctx.Item)
	}
	return text, nil
}

// EventReader opens events of one daemon run on a device: the ledger's seed opens
// the event key, which opens events. Events hold no secret values.
func (k *Keyring) EventReader(g canon.Genesis, device string, keyBlob []byte) (func(index int64, leaf canon.Hash, ct []byte) ([]byte, error), error) {
	k.mu.RLock()
	session := k.session
	k.mu.RUnlock()
	if session == nil {
		return nil, ErrLocked
	}
	var open func(int64, canon.Hash, []byte) ([]byte, error)
	ctx := sealed.Context{Type: sealed.TypeLedgerSeed, Account: g.Account}
	err := session.Whole(ctx, g.LedgerSeed, func(seed []byte) error {
		key, err := sealed.KEM().NewPrivateKey(seed)
		if err != nil {
			return err
		}
		ectx := sealed.Context{Type: sealed.TypeEventKey, Account: g.Account, Slot: device}
		return slot.FromKey(key).Whole(ectx, keyBlob, func(ek []byte) error {
			aead, err := slot.GCM(ek)
			if err != nil {
				return err
			}
			open = func(index int64, leaf canon.Hash, ct []byte) ([]byte, error) {
				form, rest, err := sealed.Form(ct)
				if err != nil || form != sealed.FormEvent {
					return nil, slot.ErrCipher
				}
				text, err := aead.Open(nil, sealed.EventNonce(index), rest, sealed.EventAAD(device, index, leaf))
				if err != nil || len(text) < sealed.SaltSize || canon.Leaf(text[:sealed.SaltSize], text[sealed.SaltSize:]) != leaf {
					return nil, slot.ErrCipher
				}
				return text, nil
			}
			return nil
		})
	})
	if err != nil {
		return nil, slot.Tampered("event key", "ledger")
	}
	return open, nil
}

// Root signs statements with the account's root key for the time of a gesture.
type Root struct {
	seed lend
}

// Sign returns the signature over a statement body. Every call makes a
// statement that all readers will obey: sign only what the gesture was for.
func (r Root) Sign(body []byte) ([]byte, error) {
	if r.seed == nil {
		return nil, fault.New(fault.Denied, "sign", "", "no gesture opened the account")
	}
	var sig []byte
	err := r.seed(func(seed []byte) error {
		slot.Erasing(func() { sig = ed25519.Sign(ed25519.NewKeyFromSeed(seed), canon.SigningBytes(body)) })
		return nil
	})
	return sig, err
}

// tagger returns HMAC-SHA-256 under a key derived from the index key.
func tagger(key []byte) func(label, text string) canon.Hash {
	derived := sha256.Sum256(append([]byte("thumbturn/tag/v1\x00"), key...))
	return func(label, text string) canon.Hash {
		m := hmac.New(sha256.New, derived[:])
		m.Write(canon.Tuple(label, text))
		return canon.Hash(m.Sum(nil))
	}
}

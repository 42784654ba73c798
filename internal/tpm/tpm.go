// Package tpm keeps 32 bytes behind a PIN that a TPM 2.0 guards.
//
// What is sealed leaves the TPM only against the PIN, and the TPM itself counts
// the wrong ones: after a few it refuses all, the right one too, until time has
// passed. So a PIN of few digits holds against whoever has the blob but not the
// machine, and whoever has the machine gets few tries. It does not prove that a
// person is there: a program that knows the PIN may use it.
//
// The PIN and the secret cross the wire to the chip only inside a session whose
// key is agreed with the TPM's storage key, so that a listener on the bus learns
// neither. One who can also change what crosses could pretend to be the TPM when
// something is sealed, but not afterwards: a blob names the storage key that it
// belongs to.
//
// The count of wrong PINs is one for all programs that use this TPM. Who wastes
// tries here locks others out, and the other way round.
package tpm

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// SecretSize is the number of bytes that are sealed.
const SecretSize = 32

// MaxPIN is the length of the longest PIN, in bytes.
const MaxPIN = 256

// TPM is the machine's TPM. Its methods may be called at the same time; they talk
// to the chip one after the other. The zero TPM is absent.
type TPM struct {
	// Dial opens the way to the chip. It is called for each operation and what it
	// returns is closed after, so a TPM that went away and came back is found again.
	Dial func() (transport.TPMCloser, error)
	// Rand makes the salts. Sessions have their own randomness.
	Rand io.Reader

	mu sync.Mutex
}

// New returns the machine's TPM without asking whether there is one: whoever uses it
// learns that.
func New() *TPM { return &TPM{Dial: device, Rand: rand.Reader} }

// Open finds the machine's TPM, and asks it something to see that it answers.
func Open() (*TPM, error) {
	t := New()
	if _, err := t.State(); err != nil {
		return nil, err
	}
	return t, nil
}

// Seal returns a blob that gives the secret back only to this TPM and this PIN. It
// refuses where the TPM puts no limit on wrong PINs. The copies of the secret and
// of what is derived from the PIN that this package holds are wiped; those that the
// TPM library makes while it marshals are left to the garbage collector.
func (t *TPM) Seal(secret, pin []byte) (blob []byte, err error) {
	const op = "seal"
	if len(secret) != SecretSize {
		return nil, fault.New(fault.Usage, op, "", "the secret is not 32 bytes long")
	}
	if err := checkPIN(op, pin); err != nil {
		return nil, err
	}
	b := sealed{}
	if t.Rand == nil {
		return nil, fault.New(fault.Unavailable, op, "", "no source of randomness")
	}
	if _, err := io.ReadFull(t.Rand, b.salt[:]); err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, "", err)
	}
	auth := derive(b.salt, pin)
	defer clear(auth)
	err = t.talk(op, func(w *wire) error {
		state, err := w.state(op)
		if err != nil {
			return err
		}
		if !state.Guards() {
			return fault.New(fault.Unavailable, op, "", "this TPM puts no limit on wrong PINs").
				WithHint("set its dictionary-attack parameters, or use another slot")
		}
		return w.seal(op, &b, secret, auth)
	})
	if err != nil {
		return nil, err
	}
	return b.marshal(), nil
}

// Unseal gives the secret of a blob to use, and wipes it when use returns. The
// error of use is returned as it is. A wrong PIN is fault.Passphrase, with the tries
// that are left as the hint; a TPM that has had too many is fault.Denied, with how
// long to wait; a blob that is damaged or of another TPM is fault.Tampered and costs
// no try. The buffer is ordinary memory: use copies it to where it may stay.
func (t *TPM) Unseal(blob, pin []byte, use func(secret []byte) error) error {
	const op = "unseal"
	if err := checkPIN(op, pin); err != nil {
		return err
	}
	b, err := parse(blob)
	if err != nil {
		return fault.Wrap(fault.Tampered, op, "", err)
	}
	auth := derive(b.salt, pin)
	defer clear(auth)
	var secret []byte
	defer func() { clear(secret) }()
	err = t.talk(op, func(w *wire) (err error) {
		secret, err = w.unseal(op, b, auth)
		return err
	})
	if err != nil {
		return err
	}
	return use(secret)
}

// State asks the TPM what it is and how many wrong PINs it counts.
func (t *TPM) State() (State, error) {
	var s State
	err := t.talk("status", func(w *wire) (err error) {
		s, err = w.state("status")
		return err
	})
	return s, err
}

// talk runs one dialogue. Whatever it left in the TPM is flushed.
func (t *TPM) talk(op string, dialogue func(*wire) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Dial == nil {
		return absent(op, errors.New("no way to a TPM is set"))
	}
	way, err := t.Dial()
	if err != nil {
		return absent(op, err)
	}
	w := &wire{way: way}
	err = dialogue(w)
	if left := w.end(); err == nil && left != nil {
		err = silent(op, left)
	}
	return err
}

func checkPIN(op string, pin []byte) error {
	if len(pin) == 0 || len(pin) > MaxPIN {
		return fault.New(fault.Usage, op, "", "a PIN has 1 to 256 bytes")
	}
	return nil
}

// derive makes the value that authorizes a blob out of its salt and the PIN. It is
// text, because the TPM library mistakes a value with a zero byte in it, and as
// long as the TPM takes: 32 characters for 192 bits.
func derive(salt [saltSize]byte, pin []byte) []byte {
	h := sha256.New()
	h.Write([]byte("thumbturn/tpm/pin/v1\x00"))
	h.Write(salt[:])
	h.Write(pin)
	sum := h.Sum(nil)
	defer clear(sum)
	return base64.RawStdEncoding.AppendEncode(make([]byte, 0, 32), sum[:24])
}

// storageKey is the key under which all is sealed. The TPM makes the same one from
// the same template each time, until its owner clears it.
type storageKey struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

// storage makes the TPM load its storage key, and returns it if it is one.
func (w *wire) storage(op string) (*storageKey, error) {
	rsp, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(w)
	if errors.Is(err, tpm2.TPMRCBadAuth) || errors.Is(err, tpm2.TPMRCAuthFail) {
		return nil, fault.Wrap(fault.Unavailable, op, "", err).WithHint("the TPM's owner hierarchy has a password; it must have none")
	}
	if err != nil {
		return nil, silent(op, err)
	}
	raw := rsp.OutPublic.Bytes()
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](raw)
	template := tpm2.Marshal(tpm2.ECCSRKTemplate)
	if err != nil || !bytes.HasPrefix(raw, template[:len(template)-2*(2+32)]) { // but for the point at its end
		return nil, fault.New(fault.Unavailable, op, "", "the TPM's storage key is not of the form that was asked for")
	}
	hash := sha256.Sum256(raw)
	name := append(binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMAlgSHA256)), hash[:]...)
	return &storageKey{rsp.ObjectHandle, tpm2.TPM2BName{Buffer: name}, *public}, nil
}

// session opens a session whose key only the TPM that has the storage key learns,
// and which encrypts what the direction names.
func (w *wire) session(op string, k *storageKey, options ...tpm2.AuthOption) (tpm2.Session, error) {
	s, _, err := tpm2.HMACSession(w, tpm2.TPMAlgSHA256, 32, append(options, tpm2.Salted(k.handle, k.public))...)
	if err != nil {
		return nil, silent(op, err)
	}
	return s, nil
}

func (w *wire) seal(op string, b *sealed, secret, auth []byte) error {
	key, err := w.storage(op)
	if err != nil {
		return err
	}
	s, err := w.session(op, key, tpm2.AESEncryption(128, tpm2.EncryptInOut))
	if err != nil {
		return err
	}
	rsp, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: key.handle, Name: key.name, Auth: s},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: auth},
			Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret}),
		}},
		InPublic: tpm2.New2B(b.publicPart()),
	}.Execute(w)
	if err != nil {
		return silent(op, err)
	}
	if err := b.take(key.name.Buffer, rsp.OutPublic.Bytes(), rsp.OutPrivate.Buffer); err != nil {
		return fault.Wrap(fault.Unavailable, op, "", err)
	}
	return nil
}

func (w *wire) unseal(op string, b *sealed, auth []byte) ([]byte, error) {
	key, err := w.storage(op)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(key.name.Buffer, b.parent[:]) {
		return nil, fault.New(fault.Tampered, op, "", "sealed by another TPM, or before this one was cleared")
	}
	s, err := w.session(op, key, tpm2.AESEncryption(128, tpm2.EncryptInOut))
	if err != nil {
		return nil, err
	}
	object, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: key.handle, Name: key.name, Auth: s},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: b.private},
		InPublic:     tpm2.New2B(b.publicPart()),
	}.Execute(w)
	if err != nil {
		return nil, refused(op, err)
	}
	s, err = w.session(op, key, tpm2.AESEncryption(128, tpm2.EncryptOut), tpm2.Auth(auth))
	if err != nil {
		return nil, err
	}
	rsp, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: object.ObjectHandle, Name: object.Name, Auth: s}}.Execute(w)
	switch {
	case errors.Is(err, tpm2.TPMRCAuthFail):
		return nil, w.wrong(op)
	case errors.Is(err, tpm2.TPMRCLockout):
		return nil, w.lockedOut(op)
	case err != nil:
		return nil, refused(op, err)
	}
	if len(rsp.OutData.Buffer) != SecretSize {
		clear(rsp.OutData.Buffer)
		return nil, fault.New(fault.Tampered, op, "", "what is sealed is not 32 bytes long")
	}
	return rsp.OutData.Buffer, nil
}

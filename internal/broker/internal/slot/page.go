package slot

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"io"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// prfSize is what an authenticator gives for one salt (W3C WebAuthn Level 3, §10.1.4).
const prfSize = 32

// domains of what passes between the page and the keyring.
const (
	domainSalt = "thumbturn/prf-salt/v1\x00"
	domainPRF  = "thumbturn/prf/v1\x00"
)

// PRFSalt is what a passkey is asked to evaluate for a compartment. It is the same
// for all passkeys of an account, so that the page need not know which one answers.
func PRFSalt(account, compartment string) []byte {
	h := canon.Digest(domainSalt, canon.Tuple(account, compartment))
	return h[:]
}

// Salted is how many salts one touch of an authenticator evaluates.
const Salted = 2

// page is the key to which a browser seals PRF outputs. It lives as long as the
// keyring, in memory alone; each message is bound to one challenge by its info.
type page struct {
	public []byte
	open   func(info, sealed []byte) ([]byte, error)
}

// newPage makes the page's key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
// AES-256-GCM (RFC 9180), which browsers have built in. It guards one hop on one
// machine; what is stored is sealed with the hybrid suite.
func newPage(rand io.Reader) (page, error) {
	seed := make([]byte, 32)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return page{}, err
	}
	defer clear(seed)
	key, err := hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(seed)
	if err != nil {
		return page{}, err
	}
	return page{public: key.PublicKey().Bytes(), open: func(info, msg []byte) ([]byte, error) {
		return hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, msg)
	}}, nil
}

// PageKey is the public key to which the page seals PRF outputs: 32 bytes of X25519.
func (k *Maker) PageKey() []byte { return bytes.Clone(k.page.public) }

// Touch is what came of the touches of one passkey over one challenge. Whoever
// fills it in has checked the signatures: nothing is opened before.
type Touch struct {
	RPID       string
	Credential []byte
	Challenge  canon.Hash
	Plan       [][]string // see Roster.Plan
	Sealed     [][]byte   // by batch: HPKE messages of the page
}

var (
	ErrNoPRF = fault.New(fault.Passphrase, "approve", "", "the browser gave no key for this passkey").
			WithHint("the passkey is confirmed to give one: try another browser, or update this one")
	ErrOtherPRF = fault.New(fault.Passphrase, "approve", "", "the browser gave another key for this passkey than before").
			WithHint("the vault is not damaged: some browsers give a wrong one; try another browser, or update this one")
)

// Outputs opens what the page sealed of some batches, and keeps it by compartment.
func (k *Maker) Outputs(t Touch, from, to int) (out map[string]Lend, frees Opened, err error) {
	defer func() { frees.Failed(err) }()
	if len(t.Plan) == 0 || len(t.Sealed) != len(t.Plan) {
		return nil, frees, ErrNoPRF
	}
	out = map[string]Lend{}
	for i := from; i < to; i++ {
		batch := t.Plan[i]
		if len(t.Sealed[i]) == 0 {
			return nil, frees, ErrNoPRF
		}
		info := append(append([]byte(domainPRF), t.Challenge[:]...), byte(i))
		text, err := k.page.open(info, t.Sealed[i])
		if err != nil || len(text) != prfSize*len(batch) {
			clear(text)
			return nil, frees, fault.New(fault.Tampered, "approve", "", "what the page sealed is not for this request")
		}
		for j, name := range batch {
			l, free, err := k.arena.Keep(bytes.Clone(text[j*prfSize : (j+1)*prfSize]))
			if err != nil {
				clear(text)
				return nil, frees, err
			}
			out[name], frees = l, append(frees, free)
		}
		clear(text)
	}
	return out, frees, nil
}

// OpenWith opens the slot of a passkey that reaches a compartment: its own, or
// that of the account, to which later vaults are sealed.
func (k *Maker) OpenWith(r Roster, w Way, name string, prf map[string]Lend, share Lend, at Place) (id string, slot Lend, free func(), err error) {
	s, h, ok := r.Reach(w, name)
	if !ok || prf[h.Compartment] == nil {
		return "", nil, nil, fault.New(fault.Denied, "approve", name, "this passkey does not open it").WithHint("`thumbturn passkey list` shows what each opens")
	}
	err = prf[h.Compartment](func(secret []byte) error {
		slot, free, err = k.Open(s, h, secret, share, at, r.Version)
		return err
	})
	if errors.Is(err, ErrWrong) {
		err = ErrOtherPRF
	}
	return h.ID, slot, free, err
}

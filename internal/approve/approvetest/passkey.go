// Package approvetest is a passkey in software, for tests: it makes what a browser
// and an authenticator give together, and whatever an attacker would give instead.
package approvetest

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// The flags of authenticator data (W3C WebAuthn Level 3, §6.1).
const (
	Present  = 0x01
	Verified = 0x04
	Synced   = 0x08 // backup eligible
	attested = 0x40
)

// Passkey is one credential on P-256 with a secret for PRF outputs.
type Passkey struct {
	RPID, Origin string
	Credential   []byte
	Flags        byte // of authenticator data; a person who was verified at first
	SignsOnly    bool // gives no PRF output

	t    testing.TB
	key  *ecdsa.PrivateKey
	seed []byte
}

// New makes a passkey for a page.
func New(t testing.TB, origin string) *Passkey {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Passkey{RPID: u.Hostname(), Origin: origin, Credential: make([]byte, 16), Flags: Present | Verified, t: t, key: key, seed: make([]byte, 32)}
	_, _ = rand.Read(p.Credential) // it never fails
	_, _ = rand.Read(p.seed)
	return p
}

// Said is what a signature is over, before it is made.
type Said struct {
	Type, Origin, RPID string
	Challenge          []byte
	More               string // members behind the origin, with their comma
	Flags              byte
	Tail               []byte // behind the counter
	Key                *ecdsa.PrivateKey
}

func (p *Passkey) said(kind string, challenge []byte, but []func(*Said)) (s Said, data, client []byte) {
	s = Said{Type: kind, Origin: p.Origin, RPID: p.RPID, Challenge: challenge, More: `,"crossOrigin":false`, Flags: p.Flags, Key: p.key}
	if kind == "webauthn.create" {
		s.Flags, s.Tail = s.Flags|attested, p.attested()
	}
	for _, f := range but {
		f(&s)
	}
	client = []byte(`{"type":` + strconv.Quote(s.Type) + `,"challenge":"` + base64.RawURLEncoding.EncodeToString(s.Challenge) + `","origin":` +
		strconv.Quote(s.Origin) + s.More + `}`)
	rp := sha256.Sum256([]byte(s.RPID))
	data = slices.Concat(rp[:], []byte{s.Flags, 0, 0, 0, 0}, s.Tail)
	return s, data, client
}

// Public is the passkey's COSE_Key: EC2, ES256, P-256 (RFC 9053 §7.1.1).
func (p *Passkey) Public() []byte {
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], []byte{0x22, 0x58, 32}, point[33:])
}

// attested is attested credential data: no AAGUID, the credential id and its key.
func (p *Passkey) attested() []byte {
	n := binary.BigEndian.AppendUint16(make([]byte, 16), uint16(len(p.Credential)))
	return slices.Concat(n, p.Credential, p.Public())
}

// Create is the attestation object of the passkey, attested by nobody, and the
// client data.
func (p *Passkey) Create(challenge []byte, but ...func(*Said)) (attestation, client []byte) {
	_, data, client := p.said("webauthn.create", challenge, but)
	head := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59")
	return append(binary.BigEndian.AppendUint16(head, uint16(len(data))), data...), client
}

// Assert signs a challenge.
func (p *Passkey) Assert(challenge canon.Hash, but ...func(*Said)) canon.Assertion {
	p.t.Helper()
	s, data, client := p.said("webauthn.get", challenge[:], but)
	h := sha256.Sum256(client)
	sum := sha256.Sum256(append(slices.Clone(data), h[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, s.Key, sum[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return canon.Assertion{Credential: p.Credential, AuthenticatorData: data, ClientData: client, Signature: sig}
}

// Impostor is a passkey that says it is this one, and has a key of its own. It gives
// what this one gives.
func (p *Passkey) Impostor() *Passkey {
	q := New(p.t, p.Origin)
	q.Credential, q.seed = p.Credential, p.seed
	return q
}

// PRF is what the passkey gives for salts, one output after the other.
func (p *Passkey) PRF(salts ...[]byte) []byte {
	var out []byte
	for _, s := range salts {
		m := hmac.New(sha256.New, p.seed)
		m.Write(s)
		out = m.Sum(out)
	}
	return out
}

// Seal seals outputs to a page's key, for one batch of a challenge.
func Seal(t testing.TB, page []byte, challenge canon.Hash, batch int, text []byte) []byte {
	t.Helper()
	pub, err := ecdh.X25519().NewPublicKey(page)
	if err != nil {
		t.Fatal(err)
	}
	to, err := hpke.NewDHKEMPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	info := slices.Concat([]byte("thumbturn/prf/v1\x00"), challenge[:], []byte{byte(batch)})
	out, err := hpke.Seal(to, hpke.HKDFSHA256(), hpke.AES256GCM(), info, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

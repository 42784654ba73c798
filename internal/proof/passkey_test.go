package proof_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"slices"

	"github.com/thumbturn/thumbturn/internal/proof"
)

const (
	rpID    = "vault-k3f9.localhost"
	webPage = "http://vault-k3f9.localhost:7433"
)

//go:embed testdata/rs256.pem
var rs256PEM []byte // made for these tests alone

// passkey is an authenticator in software: real keys, and a browser that says
// whatever a test wants.
type passkey struct {
	credential []byte
	public     []byte // COSE_Key
	sign       func(msg []byte) []byte
}

func credential(name string) []byte { h := sum("credential " + name); return h[:16] }

// es256 is fixed by its name; signatures are deterministic, so that the vectors
// are the same on every run.
func es256(name string) passkey {
	seed := sum("thumbturn test passkey " + name)
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		panic(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	pub := cat([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33], []byte("\x22\x58\x20"), point[33:])
	return passkey{credential(name), pub, func(msg []byte) []byte { return signWith(k, msg) }}
}

func edDSA(name string) passkey {
	k := key("passkey " + name)
	pub := cat([]byte("\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"), k.Public().(ed25519.PublicKey))
	return passkey{credential(name), pub, func(msg []byte) []byte { return ed25519.Sign(k, msg) }}
}

func rs256() passkey {
	b, _ := pem.Decode(rs256PEM)
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		panic(err)
	}
	k := parsed.(*rsa.PrivateKey)
	return passkey{credential("rs256"), rsaKey(k.N.Bytes(), []byte{1, 0, 1}), func(msg []byte) []byte { return signWith(k, msg) }}
}

func rsaKey(n, e []byte) []byte {
	return cat([]byte("\xa4\x01\x03\x03\x39\x01\x00\x20\x59"), binary.BigEndian.AppendUint16(nil, uint16(len(n))), n, []byte{0x21, 0x40 | byte(len(e))}, e)
}

func signWith(k crypto.Signer, msg []byte) []byte {
	h := sha256.Sum256(msg)
	sig, err := k.Sign(nil, h[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return sig
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func (k passkey) authenticator() proof.Authenticator {
	return proof.Authenticator{Credential: k.credential, Public: k.public, RPID: rpID, Origin: webPage}
}

// ceremony is what browser and authenticator put together before a signature.
type ceremony struct {
	rp, client string
	flags      byte
	extensions []byte
}

// honest is the ceremony of a browser that tells the truth.
func honest(challenge [32]byte) ceremony {
	return ceremony{rp: rpID, flags: 0x05, client: `{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) +
		`","origin":"` + webPage + `","crossOrigin":false}`}
}

func (c ceremony) data() []byte {
	rp := sha256.Sum256([]byte(c.rp))
	return cat(rp[:], []byte{c.flags, 0, 0, 0, 7}, c.extensions)
}

func (k passkey) assert(c ceremony) proof.Assertion {
	h := sha256.Sum256([]byte(c.client))
	return proof.Assertion{Credential: k.credential, AuthenticatorData: c.data(), ClientData: []byte(c.client), Signature: k.sign(cat(c.data(), h[:]))}
}

// twin is the other valid form of an ECDSA signature: s replaced by n-s.
func twin(sig []byte) []byte {
	r := sig[4 : 4+sig[3]]
	rest := sig[4+int(sig[3]):]
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(rest[2:]))
	num := func(b []byte) []byte {
		if b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	body := append([]byte{2, sig[3]}, r...)
	body = append(body, num(s.Bytes())...)
	return append([]byte{0x30, byte(len(body))}, body...)
}

// Package gesture verifies that a person approved: one assertion of a passkey, and
// the evidence that events carry, against the rosters of their ledger.
package gesture

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/internal/proof/internal/form"
)

// The failure classes.
const (
	BadApproval  form.Class = "approval"  // the evidence of a gesture is not of its request, or the request not of this ledger
	NoPasskey    form.Class = "passkey"   // no roster in force at the request's time, or later, names the passkey
	BadAssertion form.Class = "assertion" // the passkey did not sign this, here, after it had verified its person
	Repeated     form.Class = "repeated"  // a request was used twice
)

// Authenticator is a passkey as the ledger knows it.
type Authenticator struct {
	Credential []byte // credential id
	Public     []byte // COSE_Key: ES256, EdDSA or RS256
	RPID       string
	Origin     string
}

// Assertion is a passkey's signature as WebAuthn gives it (W3C Web
// Authentication Level 3, §5.2.2).
type Assertion struct {
	Credential        []byte
	AuthenticatorData []byte
	ClientData        []byte // JSON, as the browser wrote it
	Signature         []byte
}

// The bounds of an assertion, in bytes.
const (
	maxCredential = 1023
	maxClientData = 4 << 10
	minAuthData   = 37 // hash of the RP id, flags, counter
)

// The flags of authenticator data that count here.
const (
	flagPresent    = 0x01 // somebody was there
	flagVerified   = 0x04 // and was verified: by a finger, a face, a PIN
	flagAttested   = 0x40 // a new credential follows: at an enrolment only
	flagExtensions = 0x80
)

// Check reports whether this passkey signed a challenge, for its own page and
// after it had verified its person. Every failure is a *form.Error of class
// BadAssertion.
//
// It does not look at the signature counter, which synced passkeys do not have.
// A signature is no name for an assertion: of an ECDSA signature anybody makes a
// second valid one, so use the challenge to tell whether an answer was used
// before.
func (a Authenticator) Check(challenge [32]byte, s Assertion) error {
	bad := func(msg string) error { return form.Fail(BadAssertion, "", msg) }
	if n := len(s.Credential); n < 1 || n > maxCredential || !bytes.Equal(a.Credential, s.Credential) {
		return bad("it is of another passkey")
	}
	if msg := a.client(challenge, s.ClientData); msg != "" {
		return bad(msg)
	}
	if msg := a.data(s.AuthenticatorData); msg != "" {
		return bad(msg)
	}
	signed, ok := readKey(a.Public)
	if !ok {
		return bad("the passkey's public key is none that is allowed")
	}
	h := sha256.Sum256(s.ClientData)
	if !signed(append(bytes.Clone(s.AuthenticatorData), h[:]...), s.Signature) {
		return bad("the signature is wrong")
	}
	return nil
}

// client says what is wrong with the client data: what the browser signed along.
func (a Authenticator) client(challenge [32]byte, b []byte) string {
	if len(b) > maxClientData {
		return "the client data is too long"
	}
	m, ok := members(b)
	if !ok {
		return "the client data is not a JSON object with each member once"
	}
	str := func(name string) string {
		s, _ := m[name].(string)
		return s
	}
	crossing, named := m["crossOrigin"]
	_, framed := m["topOrigin"]
	switch {
	case str("type") != "webauthn.get":
		return "the client data is not of an assertion"
	case str("challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]):
		return "the challenge is another one"
	case a.Origin == "" || str("origin") != a.Origin:
		return "it was made on another origin"
	case named && crossing != false || framed:
		return "it was made in a page inside another one"
	}
	return ""
}

// data says what is wrong with the authenticator data.
func (a Authenticator) data(b []byte) string {
	if len(b) < minAuthData {
		return "the authenticator data is too short"
	}
	rp, flags, rest := sha256.Sum256([]byte(a.RPID)), b[32], b[minAuthData:]
	switch {
	case a.RPID == "" || !bytes.Equal(b[:32], rp[:]):
		return "it is for another relying party"
	case flags&flagPresent == 0:
		return "nobody was present"
	case flags&flagVerified == 0:
		return "the person was not verified"
	case flags&flagAttested != 0:
		return "it is of an enrolment"
	}
	if flags&flagExtensions != 0 {
		_, left, ok := cborPairs(rest, cborDepth)
		if !ok {
			return "malformed extensions"
		}
		rest = left
	}
	if len(rest) > 0 {
		return "bytes after the authenticator data"
	}
	return ""
}

// members reads a JSON object in which no object has a member twice, at any
// depth. Names are compared exactly; a struct would take other letter cases too.
func members(b []byte) (map[string]any, bool) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, ok := value(d)
	m, object := v.(map[string]any)
	return m, ok && object
}

// value reads the next value of what is known to be valid JSON; its depth is
// bounded by its size.
func value(d *json.Decoder) (any, bool) {
	t, err := d.Token()
	if err != nil {
		return nil, false
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			k, err := d.Token()
			name, ok := k.(string)
			if _, twice := m[name]; err != nil || !ok || twice {
				return nil, false
			}
			if m[name], ok = value(d); !ok {
				return nil, false
			}
		}
		_, err = d.Token()
		return m, err == nil
	case json.Delim('['):
		for d.More() {
			if _, ok := value(d); !ok {
				return nil, false
			}
		}
		_, err = d.Token()
		return nil, err == nil // nothing that counts stands in a list
	}
	return t, true
}

package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/proof"
)

var challenge = [32]byte(sum("challenge"))

func passkeys() map[string]passkey {
	return map[string]passkey{"ES256": es256("one"), "EdDSA": edDSA("ed"), "RS256": rs256()}
}

// assertionCase is one ceremony, changed before it was signed or after.
type assertionCase struct {
	name, msg string // msg is empty where it is accepted
	before    func(*ceremony)
	after     func(*proof.Authenticator, *proof.Assertion)
}

// said replaces one text of the client data before it is signed.
func says(old, new string) func(*ceremony) {
	return func(c *ceremony) {
		if !strings.Contains(c.client, old) {
			panic(old)
		}
		c.client = strings.Replace(c.client, old, new, 1)
	}
}

func flags(f byte, ext string) func(*ceremony) {
	return func(c *ceremony) { c.flags, c.extensions = f, []byte(ext) }
}

func assertionCases() []assertionCase {
	const (
		credential = "another passkey"
		object     = "not a JSON object with each member once"
		inside     = "a page inside another one"
		origin     = "another origin"
		wrong      = "the signature is wrong"
		public     = "public key is none that is allowed"
		after      = "bytes after the authenticator data"
		malformed  = "malformed extensions"
	)
	type a = *proof.Authenticator
	type s = *proof.Assertion
	return []assertionCase{
		{name: "honest"},
		{name: "no crossOrigin", before: says(`,"crossOrigin":false`, "")},
		{name: "members that browsers add", before: says(`}`, `,"other_keys_can_be_added_here":"do not compare clientDataJSON against a template","more":[{"a":1},{"a":1e999}]}`)},
		{name: "synced", before: flags(0x1d, "")},
		{name: "extensions", before: flags(0x85, "\xa1\x6bhmac-secret\x58\x20"+strings.Repeat("x", 32))},
		{name: "no extension", before: flags(0x85, "\xa0")},

		{name: "other credential", msg: credential, after: func(_ a, s s) { s.Credential = append(bytes.Clone(s.Credential), 1) }},
		{name: "no credential", msg: credential, after: func(a a, s s) { a.Credential, s.Credential = nil, nil }},
		{name: "long credential", msg: credential, after: func(a a, s s) {
			a.Credential = make([]byte, 1024)
			s.Credential = make([]byte, 1024)
		}},
		{name: "long client data", msg: "too long", before: says(`}`, `,"more":"`+strings.Repeat("x", 4096)+`"}`)},
		{name: "no client data", msg: object, before: func(c *ceremony) { c.client = "" }},
		{name: "list", msg: object, before: func(c *ceremony) { c.client = "[" + c.client + "]" }},
		{name: "two objects", msg: object, before: func(c *ceremony) { c.client += c.client }},
		{name: "cut", msg: object, before: func(c *ceremony) { c.client = c.client[:len(c.client)-1] }},
		{name: "comma", msg: object, before: says(`}`, `,}`)},
		{name: "not UTF-8", msg: object, before: says(`}`, ",\"more\":\"\xff\"}")},
		{name: "mark before", msg: object, before: func(c *ceremony) { c.client = "\ufeff" + c.client }},
		{name: "type twice", msg: object, before: says(`}`, `,"type":"webauthn.get"}`)},
		{name: "type twice, escaped", msg: object, before: says(`}`, `,"typ\u0065":"webauthn.get"}`)},
		{name: "member twice inside", msg: object, before: says(`}`, `,"more":[{"a":1,"a":2}]}`)},
		{name: "enrolment", msg: "not of an assertion", before: says("webauthn.get", "webauthn.create")},
		{name: "no type", msg: "not of an assertion", before: says(`"type":"webauthn.get",`, "")},
		{name: "type in other case", msg: "not of an assertion", before: says(`"type"`, `"Type"`)},
		{name: "type in a list", msg: "not of an assertion", before: says(`"webauthn.get"`, `["webauthn.get"]`)},
		{name: "other challenge", msg: "challenge", before: func(c *ceremony) { c.client = honest(sum("other")).client }},
		{name: "padded challenge", msg: "challenge", before: says(`","origin"`, `=","origin"`)},
		{name: "challenge twice as long", msg: "challenge", before: says(`","origin"`, `AAAA","origin"`)},
		{name: "other port", msg: origin, before: says(":7433", ":7434")},
		{name: "other host", msg: origin, before: says("vault-k3f9", "vault-k3f8")},
		{name: "https", msg: origin, before: says("http:", "https:")},
		{name: "trailing slash", msg: origin, before: says("7433", "7433/")},
		{name: "no origin", msg: origin, before: says(`"origin"`, `"Origin"`)},
		{name: "no origin on either side", msg: origin, before: says(webPage, ""), after: func(a a, _ s) { a.Origin = "" }},
		{name: "crossOrigin", msg: inside, before: says(`"crossOrigin":false`, `"crossOrigin":true`)},
		{name: "crossOrigin null", msg: inside, before: says(`"crossOrigin":false`, `"crossOrigin":null`)},
		{name: "crossOrigin text", msg: inside, before: says(`"crossOrigin":false`, `"crossOrigin":"false"`)},
		{name: "topOrigin", msg: inside, before: says(`}`, `,"topOrigin":"`+webPage+`"}`)},
		{name: "topOrigin null", msg: inside, before: says(`}`, `,"topOrigin":null}`)},

		{name: "short data", msg: "too short", after: func(_ a, s s) { s.AuthenticatorData = s.AuthenticatorData[:36] }},
		{name: "no data", msg: "too short", after: func(_ a, s s) { s.AuthenticatorData = nil }},
		{name: "other relying party", msg: "another relying party", before: func(c *ceremony) { c.rp = "localhost" }},
		{name: "no relying party", msg: "another relying party", before: func(c *ceremony) { c.rp = "" }, after: func(a a, _ s) { a.RPID = "" }},
		{name: "nobody present", msg: "nobody was present", before: flags(0x04, "")},
		{name: "not verified", msg: "not verified", before: flags(0x01, "")},
		{name: "attested data", msg: "of an enrolment", before: flags(0x45, strings.Repeat("\x00", 18))},
		{name: "one byte more", msg: after, before: flags(0x05, "\x00")},
		{name: "extensions without the flag", msg: after, before: flags(0x05, "\xa0")},
		{name: "bytes after extensions", msg: after, before: flags(0x85, "\xa0\x00")},
		{name: "flag without extensions", msg: malformed, before: flags(0x85, "")},
		{name: "extensions no map", msg: malformed, before: flags(0x85, "\x80")},
		{name: "extensions cut", msg: malformed, before: flags(0x85, "\xa1\x61a")},
		{name: "extension twice", msg: malformed, before: flags(0x85, "\xa2\x61a\x01\x61a\x02")},

		{name: "flipped signature bit", msg: wrong, after: func(_ a, s s) { s.Signature[len(s.Signature)-1] ^= 1 }},
		{name: "no signature", msg: wrong, after: func(_ a, s s) { s.Signature = nil }},
		{name: "signature and more", msg: wrong, after: func(_ a, s s) { s.Signature = append(s.Signature, 0) }},
		{name: "counter changed", msg: wrong, after: func(_ a, s s) { s.AuthenticatorData[36] ^= 1 }},
		{name: "verified set later", msg: wrong, before: flags(0x01, ""), after: func(_ a, s s) { s.AuthenticatorData[32] |= 4 }},
		{name: "client data spelled anew", msg: wrong, after: func(_ a, s s) { s.ClientData = bytes.Replace(s.ClientData, []byte(`,"o`), []byte(`, "o`), 1) }},
		{name: "replaced key", msg: wrong, after: func(a a, _ s) { a.Public = es256("thief").public }},
		{name: "no key", msg: public, after: func(a a, _ s) { a.Public = nil }},
		{name: "key and more", msg: public, after: func(a a, _ s) { a.Public = append(bytes.Clone(a.Public), 0) }},
	}
}

func (c assertionCase) make(k passkey) (proof.Authenticator, proof.Assertion) {
	ceremony := honest(challenge)
	if c.before != nil {
		c.before(&ceremony)
	}
	a, s := k.authenticator(), k.assert(ceremony)
	if c.after != nil {
		c.after(&a, &s)
	}
	return a, s
}

func TestAssertion(t *testing.T) {
	for name, k := range passkeys() {
		for _, c := range assertionCases() {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				a, s := c.make(k)
				err := a.Check(challenge, s)
				if c.msg == "" {
					want(t, err, "ok")
					return
				}
				want(t, err, "assertion")
				if err == nil || !strings.Contains(err.Error(), c.msg) {
					t.Errorf("%v, want %q", err, c.msg)
				}
			})
		}
	}
}

// TestAssertionEveryBit flips each bit of each part.
func TestAssertionEveryBit(t *testing.T) {
	for name, k := range passkeys() {
		a, good := k.authenticator(), k.assert(honest(challenge))
		for part, pick := range map[string]func(*proof.Authenticator, *proof.Assertion, *[32]byte) []byte{
			"credential": func(_ *proof.Authenticator, s *proof.Assertion, _ *[32]byte) []byte { return s.Credential },
			"data":       func(_ *proof.Authenticator, s *proof.Assertion, _ *[32]byte) []byte { return s.AuthenticatorData },
			"client":     func(_ *proof.Authenticator, s *proof.Assertion, _ *[32]byte) []byte { return s.ClientData },
			"signature":  func(_ *proof.Authenticator, s *proof.Assertion, _ *[32]byte) []byte { return s.Signature },
			"public":     func(a *proof.Authenticator, _ *proof.Assertion, _ *[32]byte) []byte { return a.Public },
			"challenge":  func(_ *proof.Authenticator, _ *proof.Assertion, c *[32]byte) []byte { return c[:] },
		} {
			for i := range 8 * len(pick(&a, &good, &challenge)) {
				a, c := a, challenge
				s := proof.Assertion{Credential: bytes.Clone(good.Credential), AuthenticatorData: bytes.Clone(good.AuthenticatorData),
					ClientData: bytes.Clone(good.ClientData), Signature: bytes.Clone(good.Signature)}
				a.Public = bytes.Clone(a.Public)
				pick(&a, &s, &c)[i/8] ^= 1 << (i % 8)
				if a.Check(c, s) == nil {
					t.Errorf("%s, %s: bit %d went unseen", name, part, i)
				}
			}
		}
	}
}

// TestTwoSignatures keeps the promise of Check's comment: a second valid signature
// is made without the key, so a signature is no name.
func TestTwoSignatures(t *testing.T) {
	k := es256("one")
	s := k.assert(honest(challenge))
	other := s
	other.Signature = twin(s.Signature)
	if bytes.Equal(s.Signature, other.Signature) {
		t.Fatal("the same signature")
	}
	want(t, k.authenticator().Check(challenge, s), "ok")
	want(t, k.authenticator().Check(challenge, other), "ok")
}

// FuzzAssertion looks for a panic, for an error without a class, and for an
// assertion that is accepted though nobody signed it.
func FuzzAssertion(f *testing.F) {
	signed, all := map[[32]byte]bool{}, passkeys()
	for _, k := range all {
		for _, c := range assertionCases() {
			if c.after != nil {
				continue
			}
			ceremony := honest(challenge)
			if c.before != nil {
				c.before(&ceremony)
			}
			s := k.assert(ceremony)
			f.Add(k.credential, k.public, s.AuthenticatorData, s.ClientData, s.Signature)
			signed[sha256.Sum256(cat(s.AuthenticatorData, s.ClientData))] = true
		}
	}
	f.Fuzz(func(t *testing.T, id, public, data, client, sig []byte) {
		s := proof.Assertion{Credential: id, AuthenticatorData: data, ClientData: client, Signature: sig}
		a := proof.Authenticator{Credential: id, Public: public, RPID: rpID, Origin: webPage}
		if err := a.Check(challenge, s); err != nil {
			want(t, err, "assertion")
		}
		for _, k := range all {
			a.Public = k.public
			if a.Check(challenge, s) == nil && !signed[sha256.Sum256(cat(data, client))] {
				t.Fatalf("accepted what nobody signed: %x %q", data, client)
			}
		}
	})
}

const assertionVectors = "../../spec/vectors/request/assertions.json"

// assertionVector is one assertion, and the passkey that it is checked against.
type assertionVector struct {
	Name              string      `json:"name"`
	Challenge         canon.Hash  `json:"challenge"`
	Credential        canon.Bytes `json:"credential"`
	Public            canon.Bytes `json:"public"`
	RPID              string      `json:"rp_id"`
	Origin            string      `json:"origin"`
	By                canon.Bytes `json:"by"` // the credential id that the assertion names
	AuthenticatorData canon.Bytes `json:"authenticator_data"`
	ClientData        canon.Bytes `json:"client_data"`
	Signature         canon.Bytes `json:"signature"`
	Want              string      `json:"want"`
}

func makeAssertions() []assertionVector {
	var out []assertionVector
	add := func(name string, k passkey, c assertionCase) {
		a, s := c.make(k)
		v := assertionVector{name, challenge, a.Credential, a.Public, a.RPID, a.Origin, s.Credential, s.AuthenticatorData, s.ClientData, s.Signature, "ok"}
		if c.msg != "" {
			v.Want = "assertion"
		}
		out = append(out, v)
	}
	all := passkeys()
	for _, c := range assertionCases() {
		add(c.name, all["ES256"], c)
	}
	for _, alg := range []string{"EdDSA", "RS256"} {
		for _, c := range assertionCases() {
			if slices.Contains([]string{"honest", "not verified", "flipped signature bit", "replaced key"}, c.name) {
				add(alg+", "+c.name, all[alg], c)
			}
		}
	}
	add("the other form of an ECDSA signature", all["ES256"], assertionCase{after: func(_ *proof.Authenticator, s *proof.Assertion) { s.Signature = twin(s.Signature) }})
	return out
}

func TestVectorAssertions(t *testing.T) {
	made := makeAssertions()
	if *update {
		b, err := json.MarshalIndent(made, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(assertionVectors, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(assertionVectors)
	if err != nil {
		t.Fatal(err)
	}
	var list []assertionVector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, list, cmpopts.EquateEmpty()); d != "" || len(list) == 0 {
		t.Errorf("published and generated vectors differ: run with -update: %s", d)
	}
	for _, v := range list {
		a := proof.Authenticator{Credential: v.Credential, Public: v.Public, RPID: v.RPID, Origin: v.Origin}
		s := proof.Assertion{Credential: v.By, AuthenticatorData: v.AuthenticatorData, ClientData: v.ClientData, Signature: v.Signature}
		t.Run(v.Name, func(t *testing.T) { want(t, a.Check(v.Challenge, s), v.Want) })
	}
}

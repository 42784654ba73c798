package approve

import (
	"encoding/base64"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/proof"
)

// Party is who a passkey is made for: one account's page.
type Party struct {
	Account string
	RPID    string // vault-….localhost
	Origin  string // http://vault-….localhost:PORT
}

// Algorithms are the kinds of key that a passkey may have, as COSE numbers them: on
// P-256, Ed25519, and RSA, which Windows Hello has on older computers.
func Algorithms() []int64 {
	return []int64{int64(webauthncose.AlgES256), int64(webauthncose.AlgEdDSA), int64(webauthncose.AlgRS256)}
}

// Made is what a browser gives for a new passkey.
type Made struct {
	Attestation []byte // attestation object, CBOR
	ClientData  []byte // JSON, as the browser wrote it
}

// maxAttestation bounds what is read of a browser.
const maxAttestation = 16 << 10

// user is the account as the library wants it.
type user struct {
	account string
	known   []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return []byte(u.account) }
func (u user) WebAuthnName() string                       { return "thumbturn" }
func (u user) WebAuthnDisplayName() string                { return "thumbturn" }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.known }

func (p Party) library() (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{RPID: p.RPID, RPDisplayName: "Thumbturn", RPOrigins: []string{p.Origin}})
}

// session is one ceremony over a challenge of ours. The library warns against
// challenges that are hashes of what an attacker can foresee: ours hash a nonce of
// 32 random bytes, are used once, and end (see canon.Request).
func (p Party) session(challenge []byte) webauthn.SessionData {
	s := webauthn.SessionData{Challenge: base64.RawURLEncoding.EncodeToString(challenge), RelyingPartyID: p.RPID,
		UserID: []byte(p.Account), UserVerification: protocol.VerificationRequired}
	for _, alg := range Algorithms() {
		s.CredParams = append(s.CredParams, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.COSEAlgorithmIdentifier(alg)})
	}
	return s
}

// Enrolled checks a new passkey, made over a challenge with the person verified. It
// does not tell a real authenticator from a program that plays one: nobody can,
// without attestation. Hence only a person at a terminal begins an enrolment.
func (p Party) Enrolled(challenge []byte, m Made) (canon.Authenticator, error) {
	bad := func(err error) (canon.Authenticator, error) {
		return canon.Authenticator{}, refused("passkey add", err)
	}
	if len(m.Attestation) > maxAttestation || len(m.ClientData) > maxAttestation {
		return bad(errors.New("too long"))
	}
	lib, err := p.library()
	if err != nil {
		return bad(err)
	}
	r := protocol.CredentialCreationResponse{}
	r.Type = string(protocol.PublicKeyCredentialType)
	r.AttestationResponse.ClientDataJSON, r.AttestationResponse.AttestationObject = m.ClientData, m.Attestation
	var object protocol.ParsedAttestationResponse
	if parsed, err := r.AttestationResponse.Parse(); err == nil {
		object = *parsed
	} else {
		return bad(err)
	}
	r.RawID = object.AttestationObject.AuthData.AttData.CredentialID
	r.ID = base64.RawURLEncoding.EncodeToString(r.RawID)
	parsed, err := r.Parse()
	if err != nil {
		return bad(err)
	}
	c, err := lib.CreateCredential(user{account: p.Account}, p.session(challenge), parsed)
	if err != nil {
		return bad(err)
	}
	if !c.Flags.UserVerified || !c.Flags.UserPresent || len(c.ID) == 0 || len(c.ID) > 1023 {
		return bad(errors.New("the person was not verified"))
	}
	return canon.Authenticator{Credential: c.ID, Public: c.PublicKey, RPID: p.RPID, Origin: p.Origin, Synced: c.Flags.BackupEligible,
		AAGUID: c.Authenticator.AAGUID}, nil
}

// Check refuses an assertion that is not of an enrolled passkey, over exactly this
// challenge, at its own origin, with the person verified. The passkey's key comes
// from the roster, never from what is checked.
func (p Party) Check(a canon.Authenticator, challenge canon.Hash, s canon.Assertion) error {
	const op = "approve"
	if p.RPID != a.RPID || p.Origin != a.Origin {
		return refused(op, errors.New("the passkey belongs to another page"))
	}
	if len(s.AuthenticatorData) > maxAttestation || len(s.ClientData) > maxAttestation || len(s.Signature) > maxAttestation {
		return refused(op, errors.New("too long"))
	}
	lib, err := p.library()
	if err != nil {
		return refused(op, err)
	}
	r := protocol.CredentialAssertionResponse{}
	r.Type, r.RawID, r.ID = string(protocol.PublicKeyCredentialType), protocol.URLEncodedBase64(s.Credential), base64.RawURLEncoding.EncodeToString(s.Credential)
	r.AssertionResponse.ClientDataJSON = protocol.URLEncodedBase64(s.ClientData)
	r.AssertionResponse.AuthenticatorData, r.AssertionResponse.Signature = protocol.URLEncodedBase64(s.AuthenticatorData), protocol.URLEncodedBase64(s.Signature)
	parsed, err := r.Parse()
	if err != nil {
		return refused(op, err)
	}
	session := p.session(challenge[:])
	session.AllowedCredentialIDs = [][]byte{a.Credential}
	known := webauthn.Credential{ID: a.Credential, PublicKey: a.Public}
	known.Flags.BackupEligible = a.Synced
	if _, err := lib.ValidateLogin(user{p.Account, []webauthn.Credential{known}}, session, parsed); err != nil {
		return refused(op, err)
	}
	// Whoever checks the ledger later must come to the same.
	later := proof.Authenticator{Credential: a.Credential, Public: a.Public, RPID: a.RPID, Origin: a.Origin}
	err = later.Check(challenge, proof.Assertion{Credential: s.Credential, AuthenticatorData: s.AuthenticatorData, ClientData: s.ClientData, Signature: s.Signature})
	if err != nil {
		return refused(op, err)
	}
	return nil
}

// refused hides the library's words, which may quote what a browser sent.
func refused(op string, err error) error {
	f := fault.Wrap(fault.Denied, op, "", err)
	f.Msg = "what the passkey answered is not valid here"
	return f
}

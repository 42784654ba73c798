package canon

import (
	"bytes"
	"errors"
)

// DomainAnswer begins what a passkey signs.
const DomainAnswer = "thumbturn/answer/v1\x00"

// MaxAnswered bounds the requests under one signature: what a person can read at
// one glance.
const MaxAnswered = 8

// Answer is a person's yes as a passkey signs it: to which requests, each named by
// its digest, and what is given beyond them. The challenge of the assertion is
// AnswerDigest of its bytes, so that nothing of it can be added or left out later.
type Answer struct {
	V        int    `json:"v"`
	Audience string `json:"aud"`      // the device id
	Requests []Hash `json:"requests"` // 1 to MaxAnswered, each once, in rising order
	Lease    *Terms `json:"lease,omitempty"`
}

// Terms are those of a lease that comes with an answer: of one for each request.
type Terms struct {
	Until int64 `json:"until"` // unix milliseconds
	Uses  int   `json:"uses"`
}

// Check refuses an answer that says yes to nothing, to too much, or to the same twice.
func (a Answer) Check() error {
	switch {
	case a.V != 1 || !IsID(a.Audience):
		return errors.New("canon: unknown answer version")
	case len(a.Requests) < 1 || len(a.Requests) > MaxAnswered:
		return errors.New("canon: an answer is to 1 to 8 requests")
	case a.Lease != nil && (a.Lease.Until < 1 || a.Lease.Uses < 1):
		return errors.New("canon: a lease has an end, and uses")
	}
	for i := 1; i < len(a.Requests); i++ {
		if bytes.Compare(a.Requests[i-1][:], a.Requests[i][:]) >= 0 {
			return errors.New("canon: an answer's requests are not in order")
		}
	}
	return nil
}

// AnswerDigest is the challenge of the assertion that gives an answer.
func AnswerDigest(raw []byte) Hash { return Digest(DomainAnswer, raw) }

// Assertion is a passkey's signature as WebAuthn gives it (W3C Web Authentication
// Level 3, §5.2.2), over an answer. It is recorded whole, so that anybody can check
// it later against the roster in the ledger.
type Assertion struct {
	Credential        Bytes `json:"credential"` // credential id
	Answer            Bytes `json:"answer"`     // canonical bytes
	AuthenticatorData Bytes `json:"authenticator_data"`
	ClientData        Bytes `json:"client_data"` // JSON, as the browser wrote it
	Signature         Bytes `json:"signature"`
}

// Authenticator is a passkey whose gestures count. Its name stands in clear, in
// every copy of the ledger.
type Authenticator struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Credential Bytes  `json:"credential"` // credential id, 1 to 1023 bytes
	Public     Bytes  `json:"public"`     // COSE_Key (RFC 9052 §7)
	RPID       string `json:"rp_id"`
	Origin     string `json:"origin"`
	PRF        bool   `json:"prf"`    // its output decrypts; else it signs only
	Synced     bool   `json:"synced"` // its provider may copy it to other devices (flag BE)
	AAGUID     Bytes  `json:"aaguid"`
	Created    int64  `json:"created"` // unix milliseconds
}

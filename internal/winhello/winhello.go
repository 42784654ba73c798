// Package winhello asks Windows Hello for a signature of a passkey of this computer,
// by the system's webauthn.dll and without a browser.
//
// The person is verified by the system, in a window of the system's, which names the
// page that the passkey belongs to. That page's address is written by whoever calls:
// here it is this program, and any other program of the user could write the same. So
// what a signature proves is that the person was verified for a challenge, and not that
// a browser showed anything. No PRF output is asked for: nothing here decrypts.
// It compiles; no Windows was here to try it on.
package winhello

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Question is what is to be signed, and by which passkeys.
type Question struct {
	RPID        string
	Origin      string
	Challenge   [32]byte
	Credentials [][]byte // their ids
}

// Answer is what a browser would give: the parts of an assertion, not yet checked.
type Answer struct {
	Credential        []byte
	AuthenticatorData []byte
	ClientData        []byte
	Signature         []byte
}

// Patience is how long the person is waited for.
const Patience = time.Minute

// clientData is the JSON that is signed, in the order that browsers write it in.
func clientData(q Question) ([]byte, error) {
	return json.Marshal(struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}{"webauthn.get", base64.RawURLEncoding.EncodeToString(q.Challenge[:]), q.Origin, false})
}

// bounds refuses what the structures of the system have no room for.
func bounds(q Question) error {
	if q.RPID == "" || q.Origin == "" {
		return fault.New(fault.Usage, op, "", "the account has no page yet")
	}
	if len(q.Credentials) == 0 || len(q.Credentials) > maxCredentials {
		return NoPasskey()
	}
	for _, id := range q.Credentials {
		if len(id) == 0 || len(id) > maxID {
			return NoPasskey()
		}
	}
	return nil
}

const (
	maxCredentials = 64
	maxID          = 1023
	maxPart        = 16 << 10 // of one part of an answer
)

const op = "fingerprint"

// The results of the system that mean something here (winerror.h).
const (
	sOK              = 0
	cancelled        = 0x800704C7 // HRESULT_FROM_WIN32(ERROR_CANCELLED)
	timedOut         = 0x800705B4 // HRESULT_FROM_WIN32(ERROR_TIMEOUT)
	notSupported     = 0x80070032 // HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED)
	nteNotFound      = 0x80090011
	nteBadParameter  = 0x80090027
	nteNotSupported  = 0x80090029
	nteNoDevice      = 0x80090035
	nteUserCancelled = 0x80090036
)

// result says what a result of the system means; nil is S_OK alone.
func result(code uint32) error {
	switch code {
	case sOK:
		return nil
	case nteUserCancelled, cancelled:
		return gaveUp()
	case timedOut:
		return late()
	case nteNotFound:
		return NoPasskey()
	case nteNoDevice, notSupported, nteNotSupported:
		return noReader()
	case nteBadParameter:
		return fault.New(fault.Unavailable, op, "", "Windows did not understand the question")
	}
	return fault.New(fault.Unavailable, op, "", "Windows Hello failed").WithHint("does it unlock the screen?")
}

func gaveUp() error {
	return fault.New(fault.Denied, op, "", "Windows Hello was not waited for")
}

func late() error { return fault.New(fault.Denied, op, "", "nobody answered Windows Hello in time") }

func noReader() error {
	return fault.New(fault.Unavailable, op, "", "Windows Hello is not set up, or this Windows is too old").
		WithHint("Settings, Accounts, Sign-in options sets it up")
}

// NoPasskey refuses where no passkey of the account is one of this computer.
func NoPasskey() error {
	return fault.New(fault.Denied, op, "", "no passkey of this account is in Windows Hello on this computer").
		WithHint("`thumbturn passkey add` makes one")
}

// Package hello asks Windows Hello whether the human is there, beside what was typed.
package hello

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"sync"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/winhello"
)

// domain keeps what is signed here apart from every request: no such signature is
// an approval.
const domain = "thumbturn/hello/v1\x00"

// Gate takes a signature of one of the account's passkeys, kept by Windows Hello on
// this computer, for a sign that the human is there. It is checked as one from the page
// is, by the roster's key and over a challenge of this moment. It gives no key and is
// not kept: as evidence it would be worth little, since who asks also writes the origin.
type Gate struct {
	Passkeys func() []canon.Authenticator // of the account, by its roster
	Ask      func(context.Context, winhello.Question) (winhello.Answer, error)
	Rand     io.Reader // of challenges

	busy sync.Mutex // one touch is for one thing
}

// Verify returns nil where a passkey signed, and an error for anything else. tell hears
// what the human is to do; nil is nobody.
func (h *Gate) Verify(ctx context.Context, tell func(string)) error {
	const op = "fingerprint"
	if !h.busy.TryLock() {
		return fault.New(fault.Unavailable, op, "", "Windows Hello is waiting for another answer").WithHint("do it again in a moment")
	}
	defer h.busy.Unlock()
	known := h.Passkeys()
	if len(known) == 0 {
		return winhello.NoPasskey()
	}
	q := winhello.Question{RPID: known[0].RPID, Origin: known[0].Origin}
	for _, k := range known {
		q.Credentials = append(q.Credentials, k.Credential)
	}
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(h.Rand, nonce); err != nil {
		return fault.Wrap(fault.Unavailable, op, "", err)
	}
	q.Challenge = sha256.Sum256(append([]byte(domain), nonce...))
	if tell != nil {
		tell("now Windows Hello: a window of the system asks for it")
	}
	a, err := h.Ask(ctx, q)
	if err != nil {
		return err
	}
	for _, k := range known {
		if bytes.Equal(k.Credential, a.Credential) {
			at := approve.Party{Account: k.ID, RPID: q.RPID, Origin: q.Origin}
			return at.Check(k, q.Challenge, canon.Assertion{Credential: a.Credential, AuthenticatorData: a.AuthenticatorData,
				ClientData: a.ClientData, Signature: a.Signature})
		}
	}
	return fault.New(fault.Denied, op, "", "Windows Hello answered by a passkey that is not of this account")
}

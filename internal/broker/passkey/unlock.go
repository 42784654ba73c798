package passkey

import (
	"context"
	"io"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// unlocking is an unlock that waits for a
type unlocking struct {
	who  identity.Caller
	done chan error // of one
}

// UnlockPasskey asks the page for a passkey's touch and waits for it; tell is given
// the ceremony first.
func (r *Registrar) UnlockPasskey(ctx context.Context, who identity.Caller, source string, tell func(approve.Ceremony) error) error {
	c, u, err := r.beginUnlock(ctx, who, source)
	if err != nil {
		return err
	}
	if err := tell(c); err != nil {
		return err
	}
	select {
	case err := <-u.done:
		return err
	case <-ctx.Done():
		return fault.Wrap(fault.Pending, "unlock", "", ctx.Err())
	case <-time.After(3 * time.Minute):
		return fault.New(fault.Pending, "unlock", "", "nobody touched a passkey in time").WithHint("try again, or type the passphrase: thumbturn unlock")
	}
}

func (r *Registrar) beginUnlock(ctx context.Context, who identity.Caller, source string) (approve.Ceremony, *unlocking, error) {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	var none approve.Ceremony
	if err := r.Ready(ctx); err != nil {
		return none, nil, err
	}
	if err := r.Human("unlock", who, source); err != nil {
		return none, nil, err
	}
	if !r.Gate.Book.Roster().Passkeys() {
		return none, nil, fault.New(fault.NotFound, "unlock", "", "no passkey can unlock here").WithHint("`thumbturn passkey add` makes one; `thumbturn unlock` takes the passphrase")
	}
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(r.Gate.Rand, nonce); err != nil {
		return none, nil, err
	}
	u := &unlocking{who: who, done: make(chan error, 1)}
	c, err := r.Gate.Touches.Begin(approve.Ceremony{Challenge: canon.Digest("thumbturn/unlock/v1\x00", nonce, canon.Tuple(r.Gate.Book.Ledger.Device(), who.Root().String())),
		Plan: [][]string{{"session"}}, For: u})
	return c, u, err
}

// Finish ends a ceremony with what the page brings of it. What it was is told by
// one of "approved", "signed", "unlocked" and "enrolled".
func (r *Registrar) Finish(ctx context.Context, id string, touches []gate.Touched) (string, Enrolled, error) {
	c, err := r.Gate.Touches.Take(id)
	if err != nil {
		return "", Enrolled{}, err
	}
	switch x := c.For.(type) {
	case *Enrolment:
		e, err := r.enrolled(ctx, c, x, touches)
		return "enrolled", e, err
	case *unlocking:
		err := r.unlocked(ctx, c, x, touches)
		x.done <- err
		return "unlocked", Enrolled{}, err
	}
	done, err := r.Gate.Answer(ctx, c, touches)
	if err == nil && !done {
		return "signed", Enrolled{}, nil
	}
	return "approved", Enrolled{}, err
}

// unlocked ends an unlock by
func (r *Registrar) unlocked(ctx context.Context, c approve.Ceremony, u *unlocking, touches []gate.Touched) error {
	defer r.Gate.Desk.Wake()
	return r.Unlock(ctx, u.who, "page", func() error {
		_, touch, err := r.Gate.Signer(c, touches)
		if err != nil {
			return err
		}
		return r.Gate.Book.Keys.UnlockPasskey(r.Gate.Book.Roster(), touch, r.Gate.Book.Share, r.Gate.Book.Place())
	})
}

// Ceremony is one under way, by its id.
func (r *Registrar) Ceremony(id string) (approve.Ceremony, error) { return r.Gate.Touches.Get(id) }

// Question begins an answer to requests that wait: see gate.Gate.
func (r *Registrar) Question(ids []string, l approve.Lease) (approve.Ceremony, error) {
	return r.Gate.Question(ids, l)
}

// Origin is where the approval page is, as the account says it; empty where it has
// none, or was not read yet.
func (r *Registrar) Origin() string { return r.Gate.Book.Roster().Page }

// Touched is what a page brings of one touch of a passkey.
type Touched = gate.Touched

// Now is the account's clock.
func (r *Registrar) Now() time.Time { return r.Gate.Clock.Now() }

// PageKey is the key to which the page seals what passkeys give.
func (r *Registrar) PageKey() []byte { return r.Gate.Book.Keys.PageKey() }

// Salts are what a passkey evaluates for compartments.
func (r *Registrar) Salts(compartments []string) [][]byte {
	var out [][]byte
	for _, name := range compartments {
		out = append(out, slot.PRFSalt(r.Gate.Book.Genesis().Account, name))
	}
	return out
}

// Signers are the relying party, and the credential ids of the passkeys that may
// sign a ceremony's challenge.
func (r *Registrar) Signers(c approve.Ceremony) (rpid string, ids [][]byte) {
	party := r.Gate.Party()
	if e, ok := c.For.(*Enrolment); ok {
		return party.RPID, [][]byte{e.made.Credential}
	}
	_, unlocking := c.For.(*unlocking)
	for _, a := range r.Gate.Book.Roster().Authenticators {
		if a.PRF || !unlocking {
			ids = append(ids, a.Credential)
		}
	}
	return party.RPID, ids
}

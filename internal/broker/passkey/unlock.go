package passkey

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// unlocking is an unlock that waits for a passkey.
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
	if err := r.Gate.Locks.Ready(ctx); err != nil {
		return none, nil, err
	}
	if err := r.human("unlock", who, source); err != nil {
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
// one of "approved", "signed", "opened", "unlocked" and "enrolled".
func (r *Registrar) Finish(ctx context.Context, id string, touches []gate.Touched) (string, Enrolled, error) {
	c, err := r.Gate.Touches.Take(id)
	if err != nil {
		return "", Enrolled{}, err
	}
	switch x := c.For.(type) {
	case *Enrolment:
		e, err := r.enrolled(ctx, c, x, touches)
		if err != nil {
			r.Gate.Book.Ledger.Later(canon.Event{Type: canon.EventWrite, Action: opAdd, Outcome: "failed", Kind: "page", Reason: gate.Shown(fault.Stranger(err).Msg)})
		}
		return "enrolled", e, err
	case *unlocking:
		err := r.unlocked(ctx, c, x, touches)
		x.done <- err
		return "unlocked", Enrolled{}, err
	}
	how, err := r.Gate.Answer(ctx, c, touches)
	return how, Enrolled{}, err
}

// unlocked ends an unlock by passkey.
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

// MayOpen refuses whoever may not have the page: there requests of all can be read,
// and mutes taken back, which is for a person. In a held home nobody is one, and a
// restore may need the page; nor in a locked one, where it shows what waits for the
// vaults to be opened: then a terminal is enough.
func (r *Registrar) MayOpen(who identity.Caller) error {
	if s := r.State(); who.Kind() != identity.Person && s != api.StateHeld && s != api.StateLocked {
		return fault.New(fault.Denied, "page", "", "only a person opens the approval page").WithHint("mark this terminal as yours first: thumbturn unlock")
	}
	return r.Human("page", who, "terminal")
}

// asks describes who asks to be unlocked, for the page: a touch gives that terminal to
// a person, so it must be told from one that an agent made.
func (u *unlocking) asks(code string) string {
	tty := u.who.Session().TTY
	if tty == "" {
		tty = "none"
	}
	chain := u.who.Chain()
	return "Unlock the vaults for the terminal " + canon.Escape(tty) + " (" + canon.Escape(strings.Join(chain, " ← ")) + "). It shows the code " + code + ": if you see no terminal with that code, do not go on."
}

// Asks is what the page says before a ceremony; empty for an answer, which shows its
// requests.
func (r *Registrar) Asks(c approve.Ceremony) string {
	if u, ok := c.For.(*unlocking); ok {
		return u.asks(canon.ShortCode(c.Challenge))
	}
	return ""
}

// Ceremony is one under way, by its id.
func (r *Registrar) Ceremony(id string) (approve.Ceremony, error) { return r.Gate.Touches.Get(id) }

// Question begins an answer to requests that wait: see gate.Gate.
func (r *Registrar) Question(ids []string, l approve.Lease) (approve.Ceremony, error) {
	return r.Gate.Question(ids, l)
}

// Unlocks reports whether a ceremony's answer opens the vaults.
func (r *Registrar) Unlocks(c approve.Ceremony) bool { return r.Gate.Unlocks(c) }

// Origin is where the approval page is, as the account says it; empty where it has
// none, or was not read yet.
func (r *Registrar) Origin() string { return r.Gate.Book.Roster().Page }

// Touched is what a page brings of one touch of a passkey.
type Touched = gate.Touched

// Changed is closed at the next change of what waits for a person.
func (r *Registrar) Changed() <-chan struct{} { return r.Gate.Desk.Changed() }

// Mute refuses a request and keeps its session from asking for a time.
func (r *Registrar) Mute(ctx context.Context, who identity.Caller, id string, life time.Duration) error {
	return r.Gate.Mute(ctx, who, id, life)
}

// Unmute takes that back.
func (r *Registrar) Unmute(ctx context.Context, who identity.Caller, id string) error {
	return r.Gate.Unmute(ctx, who, id)
}

// Muted lists the sessions that may not ask.
func (r *Registrar) Muted() []approve.Muted { return r.Gate.Desk.Muted() }

// Again lets a muted session ask, by the approval page.
func (r *Registrar) Again(ctx context.Context, id string) error { return r.Gate.Again(ctx, id) }

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
		if a.PRF || !unlocking && !r.Gate.Unlocks(c) {
			ids = append(ids, a.Credential)
		}
	}
	return party.RPID, ids
}

package gate

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// Touched is what a page brings of one touch: a signature over the ceremony's
// challenge, and what the authenticator gave, sealed to the keyring.
type Touched struct {
	Assertion canon.Assertion // without its Answer, which the ceremony knows
	Sealed    []byte          // empty where it gave nothing
}

// asked is what an answer's ceremony is for.
type asked struct {
	tickets []approve.Ticket
	lease   approve.Lease
}

// Question begins an answer by passkey to pending requests of one session: all are
// approved by one signature, or none.
func (b *Gate) Question(ids []string, l approve.Lease) (approve.Ceremony, error) {
	roster := b.Book.Roster()
	if len(roster.Authenticators) == 0 {
		return approve.Ceremony{}, fault.New(fault.NotFound, "approve", "", "there is no passkey yet").WithHint("`thumbturn passkey add` in a terminal makes one; until then `thumbturn approve` takes the presence passphrase")
	}
	about := asked{lease: l}
	answer := canon.Answer{V: 1, Audience: b.Book.Ledger.Device()}
	var needs []string
	for _, id := range ids {
		t, err := b.Desk.Get(id)
		switch {
		case err != nil:
			return approve.Ceremony{}, err
		case t.State != approve.Pending:
			return approve.Ceremony{}, fault.New(fault.Conflict, "approve", id, "the request is "+string(t.State))
		case len(about.tickets) > 0 && t.Owner != about.tickets[0].Owner:
			return approve.Ceremony{}, fault.New(fault.Denied, "approve", id, "requests of different sessions are not answered together")
		case len(about.tickets) > 0 && t.Unlock != about.tickets[0].Unlock, !t.Unlock && !b.Book.Keys.Unlocked() && b.Book.Ledger.Held() == "":
			return approve.Ceremony{}, open.ErrLocked
		}
		if err := b.Desk.MayGive(t, l); err != nil {
			return approve.Ceremony{}, err
		}
		about.tickets = append(about.tickets, t)
		answer.Requests = append(answer.Requests, t.Digest)
		needs = append(needs, t.Needs...)
	}
	slices.SortFunc(answer.Requests, func(x, y canon.Hash) int { return bytes.Compare(x[:], y[:]) })
	if l.Uses > 0 {
		answer.Lease = &canon.Terms{Until: l.Until, Uses: l.Uses}
	}
	if err := answer.Check(); err != nil {
		return approve.Ceremony{}, fault.Wrap(fault.Usage, "approve", "", err)
	}
	raw, plan := canon.Encode(answer), roster.Plan(needs)
	if about.tickets[0].Unlock {
		plan = roster.UnlockPlan()
	}
	return b.Touches.Begin(approve.Ceremony{Challenge: canon.AnswerDigest(raw), Raw: raw, Plan: plan, For: about})
}

// Signer checks the signatures of one passkey over a ceremony's challenge, by the
// roster's key, and says which passkey it was. Only then may what it gave be opened.
func (b *Gate) Signer(c approve.Ceremony, touches []Touched) (canon.Authenticator, open.Touch, error) {
	roster, party := b.Book.Roster(), b.Party()
	refuse := func(msg string) (canon.Authenticator, open.Touch, error) {
		return canon.Authenticator{}, open.Touch{}, fault.New(fault.Denied, "approve", "", msg)
	}
	if len(touches) != len(c.Plan) || len(touches) == 0 {
		return refuse("a touch is missing")
	}
	at := slices.IndexFunc(roster.Authenticators, func(a canon.Authenticator) bool { return bytes.Equal(a.Credential, touches[0].Assertion.Credential) })
	if at < 0 {
		return refuse("this passkey is not, or no longer, one of this account")
	}
	a := roster.Authenticators[at]
	out := open.Touch{RPID: a.RPID, Credential: a.Credential, Challenge: c.Challenge, Plan: c.Plan}
	for _, t := range touches {
		if err := party.Check(a, c.Challenge, t.Assertion); err != nil {
			return canon.Authenticator{}, open.Touch{}, err
		}
		out.Sealed = append(out.Sealed, t.Sealed)
	}
	return a, out, nil
}

// Answer ends what Question began, with what the passkey gave, and says what came of
// it: "approved"; "signed" by a passkey that only signs, where the requests stay pending
// for the passphrase to complete; or "opened", where the vaults are open now and not all
// is approved.
func (b *Gate) Answer(ctx context.Context, c approve.Ceremony, touches []Touched) (how string, err error) {
	about, ok := c.For.(asked)
	if !ok {
		return "", fault.New(fault.Denied, "approve", "", "the page mixed up two questions")
	}
	defer func() {
		if err != nil {
			b.failed("page", "", Shown(fault.Stranger(err).Msg), about.tickets...)
		}
	}()
	a, touch, err := b.Signer(c, touches)
	if err != nil {
		return "", err
	}
	signed := touches[0].Assertion
	signed.Answer = c.Raw
	if b.Unlocks(c) { // by a passkey that gives no key, nothing opens
		return b.unlocked(ctx, about, touch, signed)
	}
	for _, t := range about.tickets {
		kind := canon.SlotPasskey
		if !a.PRF { // a passphrase or a PIN completes it
			kind = canon.SlotPIN
		}
		if err := enough(b.Book, kind, t.Needs); err != nil {
			return "", err
		}
	}
	if !a.PRF {
		return "signed", b.signed(about, approve.Signed{Assertion: signed, Lease: about.lease})
	}
	var all []approve.Yes
	defer func() {
		if err != nil {
			for _, y := range all {
				y.Release()
			}
		}
	}()
	for _, t := range about.tickets {
		g, err := b.Book.Keys.Passkey(b.Book.Roster(), touch, b.Book.Share, b.Book.Place(), t.Needs)
		if err != nil {
			return "", err
		}
		all = append(all, approve.Yes{ID: t.ID, Digest: t.Digest, Gesture: approve.Gesture{Tier: approve.TierPasskey, Signed: &signed,
			Source: "page", Lease: about.lease, Opened: g, Release: g.Close}})
	}
	if _, err := b.Desk.Answer(b.recorder(ctx, "page", "", "", about.tickets...), all...); err != nil {
		return "", err
	}
	all = nil // the desk's now
	return "approved", nil
}

// enrolled reports whether the passkey of an assertion is in the roster.
func (b *Gate) enrolled(s canon.Assertion) bool {
	return slices.ContainsFunc(b.Book.Roster().Authenticators, func(a canon.Authenticator) bool { return bytes.Equal(a.Credential, s.Credential) })
}

// signed keeps a signature without a key.
func (b *Gate) signed(about asked, s approve.Signed) error {
	digests := map[string]canon.Hash{}
	for _, t := range about.tickets {
		digests[t.ID] = t.Digest
	}
	return b.Desk.Sign(s, digests)
}

// failed records an answer that was none.
func (b *Gate) failed(kind, root, reason string, tickets ...approve.Ticket) {
	for _, t := range tickets {
		b.Book.Ledger.Later(canon.Event{Type: canon.EventDecision, Request: t.ID, Digest: &t.Digest, Outcome: "failed",
			Kind: kind, Root: root, Reason: reason})
	}
}

// Refuse is Deny and Mute by the page: whoever has it open may refuse.
func (b *Gate) Refuse(ctx context.Context, id string, mute time.Duration) error {
	refused := []string{id}
	var err error
	if mute > 0 {
		refused, err = b.Desk.Mute(id, mute)
	} else {
		err = b.Desk.Deny(id)
	}
	if err != nil {
		return err
	}
	var evs []canon.Event
	for _, x := range refused {
		ev := canon.Event{Type: canon.EventDecision, Request: x, Outcome: "denied", Kind: "page"}
		if mute > 0 && x == id {
			ev.Reason = "its session is muted for " + mute.String()
		}
		evs = append(evs, ev)
	}
	return b.record(ctx, evs...)
}

// Again lets a muted session ask, by the page.
func (b *Gate) Again(ctx context.Context, id string) error {
	if err := b.Desk.Unmute(id); err != nil {
		return err
	}
	_, err := b.Book.Ledger.Append(ctx, ledger.Entry{Events: []canon.Event{{Type: canon.EventDecision, Request: id, Outcome: "done",
		Kind: "page", Reason: "its session may ask again"}}})
	return err
}

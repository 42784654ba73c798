package daemon

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// desk is what the page shows of the account and asks of it.
type desk struct {
	account *account.Account
	broker  *broker.Broker
	mode    string
}

// State implements web.Backend. While locked it shows nothing but what waits for the
// vaults to be opened; while held what a restore asks. A version is the digest of what is shown.
func (d desk) State(ctx context.Context) web.State {
	s := web.State{State: d.account.State(), Mode: d.mode, TestHome: d.account.TestHome(), Requests: []web.Request{}, History: []web.Request{},
		Leases: []web.Lease{}, Muted: []web.Mute{}, Passkeys: []web.Passkey{}}
	d.fill(ctx, &s)
	for _, p := range d.account.Passkeys() {
		s.Passkeys = append(s.Passkeys, web.Passkey{Name: p.Name, PRF: p.PRF, Synced: p.Synced})
	}
	b, _ := json.Marshal(s) // of plain members
	h := fnv.New64a()
	_, _ = h.Write(b)
	s.Version = max(h.Sum64()>>11, 1) // what a page counts with holds 53 bits
	return s
}

func (d desk) fill(ctx context.Context, s *web.State) {
	locked := s.State != api.StateUnlocked && s.State != api.StateHeld
	for _, t := range d.broker.Requests() {
		if locked && !(t.Unlock && t.State == approve.Pending) {
			continue
		}
		r := web.Request{ID: t.ID, Raw: t.Raw, State: string(t.State), Code: canon.ShortCode(t.Digest), MaxLease: t.Lease.Milliseconds(), Why: t.Why, Unlock: t.Unlock}
		switch {
		case t.State != approve.Pending:
			s.History = append(s.History, r)
		default:
			if t.Signed != nil {
				r.Why = "signed by a passkey; the presence passphrase is still to be typed: thumbturn approve " + t.ID
			}
			s.Requests = append(s.Requests, r)
		}
	}
	slices.Reverse(s.Requests) // oldest first
	if locked {
		return
	}
	for _, l := range d.broker.Leases(ctx) {
		s.Leases = append(s.Leases, web.Lease{ID: l.Request.ID, Raw: canon.Encode(l.Request), Until: l.Until.UnixMilli(), Left: l.Left})
	}
	for _, m := range d.account.Muted() {
		s.Muted = append(s.Muted, web.Mute{ID: m.ID, Raw: m.Raw, Until: m.Until.UnixMilli(), Refused: m.Refused})
	}
}

// Changed implements web.Backend.
func (d desk) Changed() <-chan struct{} { return d.account.Changed() }

// Begin implements web.Backend.
func (d desk) Begin(_ context.Context, w web.Want) (web.Ceremony, error) {
	if w.Kind == web.WantUnlock {
		c, err := d.account.Ceremony(w.Ticket)
		return d.ceremony(c, d.account.Asks(c)), err
	}
	var l approve.Lease
	if w.Lease != nil {
		l = approve.Lease{Until: d.account.Now().Add(time.Duration(w.Lease.For) * time.Millisecond).UnixMilli(), Uses: w.Lease.Uses}
	}
	c, err := d.account.Question(w.Requests, l)
	if s := d.account.State(); err == nil && s != api.StateUnlocked && s != api.StateHeld && !d.account.Unlocks(c) {
		err = fault.New(fault.Locked, "approve", "", "the vaults are locked").WithHint("run `thumbturn unlock` in a terminal")
	}
	if err != nil {
		return web.Ceremony{}, err
	}
	return d.ceremony(c, ""), nil
}

func (d desk) ceremony(c approve.Ceremony, text string) web.Ceremony {
	out := web.Ceremony{ID: c.ID, Challenge: c.Challenge, Raw: c.Raw, Key: d.account.PageKey(), Text: text}
	for _, batch := range c.Plan {
		out.Salts = append(out.Salts, d.account.Salts(batch))
	}
	out.RPID, out.Credentials = d.account.Signers(c)
	return out
}

// Register implements web.Backend.
func (d desk) Register(_ context.Context, ticket string) (web.Registration, error) {
	r, err := d.account.Registration(ticket)
	if err != nil {
		return web.Registration{}, err
	}
	return web.Registration{Challenge: canon.Hash(r.Challenge), RPID: r.RPID, User: []byte(r.Account), Account: "thumbturn " + r.Account[:6], Name: r.Name,
		Exclude: r.Exclude, Salts: d.account.Salts(r.Plan[0]), Key: d.account.PageKey()}, nil
}

// Made implements web.Backend.
func (d desk) Made(_ context.Context, ticket string, m web.Made) (web.Ceremony, error) {
	c, err := d.account.Made(ticket, approve.Made{Attestation: m.Attestation, ClientData: m.ClientData})
	return d.ceremony(c, "Touch it again: now it shows what it can open"), err
}

// Finish implements web.Backend.
func (d desk) Finish(ctx context.Context, id string, as []web.Assertion) (web.Outcome, error) {
	var touches []passkey.Touched
	for _, a := range as {
		touches = append(touches, passkey.Touched{Sealed: a.Sealed, Assertion: canon.Assertion{Credential: a.Credential,
			AuthenticatorData: a.AuthenticatorData, ClientData: a.ClientData, Signature: a.Signature}})
	}
	how, e, err := d.account.Finish(ctx, id, touches)
	if err != nil {
		return web.Outcome{}, err
	}
	out := web.Outcome{State: how, PRF: e.PRF}
	switch how {
	case web.OutcomeSigned:
		out.Text = "This passkey signs only. Type the presence passphrase in a terminal to finish: thumbturn approve"
	case web.OutcomeOpened:
		out.Text = "What this did not approve is asked again, in full, if it is there."
	case web.OutcomeUnlocked:
		out.Text = "The vaults are open, and your terminal counts as yours."
	case web.OutcomeEnrolled:
		out.Text = passphrase(e.PassphraseEnded, e.PRF)
	}
	return out, nil
}

// passphrase says what a new passkey makes of the presence passphrase; the page says
// what the passkey gives.
func passphrase(ended, decrypts bool) string {
	switch {
	case ended:
		return "The presence passphrase has ended: passkeys approve now."
	case decrypts:
		return "The presence passphrase still works, until there is a second passkey like this one."
	}
	return ""
}

// Refuse implements web.Backend.
func (d desk) Refuse(ctx context.Context, r web.Refusal) error {
	switch r.Kind {
	case web.RefuseDeny, web.RefuseMute, web.RefuseEnd:
		return d.broker.Refuse(ctx, r.ID, time.Duration(r.For)*time.Millisecond) // zero, but for a mute
	case web.RefuseUnmute:
		return d.account.Again(ctx, r.ID)
	}
	return fault.New(fault.Usage, "refuse", r.ID, "no such refusal")
}

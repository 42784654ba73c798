package account

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

const (
	opAdd    = "passkey add"
	opRemove = "passkey remove"

	enrolLife   = 10 * time.Minute // between the gesture at the terminal and the end on the page
	maxPasskeys = 16
)

// Touched is what a page brings of one touch of a passkey.
type Touched = gate.Touched

// enrolment is a person's leave to add one passkey: a gesture that was made at a
// terminal, kept until the page is done.
type enrolment struct {
	id        string
	name      string
	roster    open.Roster
	gesture   *open.Gesture
	end       time.Duration // since boot
	ends      bool          // the passphrase ends with it, as the recovery code is at hand
	challenge []byte        // of the creation
	made      *canon.Authenticator
	done      chan struct{}
	result    Enrolled
}

// Enrolled is what came of an enrolment.
type Enrolled struct {
	canon.Authenticator
	PassphraseEnded bool
}

// Adding is what is asked of whoever adds a passkey.
type Adding struct {
	Source   string
	Name     string
	Presence []byte // the presence passphrase; empty where passkeys approve
	Code     []byte // the recovery code, to end the passphrase with the first passkey; may be empty
}

// AddPasskey takes a gesture for one more passkey and returns the id of its
// enrolment, which the page finishes. Another one begun before is given up.
func (a *Account) AddPasskey(ctx context.Context, who identity.Caller, ask broker.Ask, in Adding) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.State() != api.StateUnlocked {
		return "", open.ErrLocked
	}
	if err := a.human(opAdd, who, in.Source, a.TestHome()); err != nil {
		return "", err
	}
	roster := a.book.Roster()
	name := strings.TrimSpace(in.Name)
	switch {
	case name == "" || len(name) > 64 || !utf8.ValidString(name) || canon.Escape(name) != name:
		return "", fault.New(fault.Usage, opAdd, "", "a passkey needs a name of 1 to 64 plain characters")
	case slices.ContainsFunc(roster.Authenticators, func(x canon.Authenticator) bool { return strings.EqualFold(x.Name, name) }):
		return "", fault.New(fault.Exists, opAdd, name, "there is a passkey of that name")
	case len(roster.Authenticators) >= maxPasskeys:
		return "", fault.New(fault.Usage, opAdd, "", fmt.Sprintf("there are %d passkeys already", maxPasskeys))
	}
	if len(in.Code) > 0 {
		if err := a.slowly(func() error { return a.book.Keys.CheckRecovery(roster, in.Code, a.book.Place()) }); err != nil {
			return "", err
		}
	}
	g, err := a.gesture(ctx, a.book, roster, typed{who: who, ask: ask, act: opAdd, lines: []string{"a new passkey, " + name + ", may approve everything"},
		presence: in.Presence, needs: a.compartments()})
	if err != nil {
		return "", err
	}
	if roster.Version != a.book.Roster().Version {
		g.Close()
		return "", fault.New(fault.Conflict, opAdd, name, "passphrases or vaults were changed meanwhile").WithHint("do it again")
	}
	if err := a.paged(ctx, who, g); err != nil {
		g.Close()
		return "", err
	}
	e := &enrolment{name: name, roster: roster, gesture: g, ends: len(in.Code) > 0, challenge: make([]byte, 32), done: make(chan struct{}),
		end: a.o.Clock.SinceBoot() + enrolLife}
	if e.id, err = canon.NewID(a.o.Rand); err == nil {
		_, err = io.ReadFull(a.o.Rand, e.challenge)
	}
	if err != nil {
		g.Close()
		return "", err
	}
	a.giveUp()
	a.enrol = e
	return e.id, nil
}

// paged makes sure that the account has a page: homes of earlier releases have none.
func (a *Account) paged(ctx context.Context, who identity.Caller, g *open.Gesture) error {
	if a.book.Party().Origin != "" {
		return nil
	}
	origin, err := a.o.Page()
	if err != nil {
		return err
	}
	s, err := a.book.Sign(g.Root().Sign, canon.TypeSetting, book.SettingPage, canon.Setting{V: 1, Name: book.SettingPage, Value: origin})
	if err != nil {
		return err
	}
	_, err = a.book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite, Action: "page", Outcome: "written",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: origin}}})
	return err
}

// giveUp ends an enrolment under way. The caller holds mu.
func (a *Account) giveUp() {
	if a.enrol != nil {
		a.enrol.gesture.Close()
		close(a.enrol.done)
		a.enrol = nil
	}
}

// enrolling is the enrolment of an id. The caller holds mu.
func (a *Account) enrolling(id string) (*enrolment, error) {
	e := a.enrol
	if e != nil && a.o.Clock.SinceBoot() >= e.end {
		a.giveUp()
		e = nil
	}
	if e == nil || e.id != id || a.State() != api.StateUnlocked {
		return nil, fault.New(fault.NotFound, opAdd, "", "this enrolment is over").WithHint("begin again: thumbturn passkey add")
	}
	return e, nil
}

// Registration is what a page needs to make a passkey.
type Registration struct {
	approve.Party
	Name      string
	Challenge []byte
	Exclude   [][]byte   // credential ids of the passkeys there are
	Plan      [][]string // as of a Ceremony
}

// Registration returns what the page of an enrolment needs.
func (a *Account) Registration(id string) (Registration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, err := a.enrolling(id)
	if err != nil {
		return Registration{}, err
	}
	r := Registration{Party: a.book.Party(), Name: e.name, Challenge: e.challenge, Plan: e.plan()}
	for _, x := range e.roster.Authenticators {
		r.Exclude = append(r.Exclude, x.Credential)
	}
	return r, nil
}

// plan is what a new passkey evaluates: every compartment's salt, and the first
// ones once more, to see that they come out the same.
func (e *enrolment) plan() [][]string {
	all := slices.Collect(slices.Chunk(e.roster.Everything(), open.Salted))
	return append(all, all[0])
}

// Made checks a new passkey and begins the ceremony in which it shows what it gives.
func (a *Account) Made(id string, m approve.Made) (approve.Ceremony, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, err := a.enrolling(id)
	if err != nil {
		return approve.Ceremony{}, err
	}
	if e.made != nil {
		return approve.Ceremony{}, fault.New(fault.Conflict, opAdd, e.name, "the passkey is made already").WithHint("begin again: thumbturn passkey add")
	}
	made, err := a.book.Party().Enrolled(e.challenge, m)
	if err != nil {
		return approve.Ceremony{}, err
	}
	if slices.ContainsFunc(e.roster.Authenticators, func(x canon.Authenticator) bool { return string(x.Credential) == string(made.Credential) }) {
		return approve.Ceremony{}, fault.New(fault.Exists, opAdd, e.name, "this passkey is enrolled already")
	}
	if made.ID, err = canon.NewID(a.o.Rand); err != nil {
		return approve.Ceremony{}, err
	}
	made.Name, made.Created = e.name, a.o.Clock.Now().UnixMilli()
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(a.o.Rand, nonce); err != nil {
		return approve.Ceremony{}, err
	}
	e.made = &made
	return a.gate.Touches.Begin(approve.Ceremony{Challenge: canon.Digest("thumbturn/enrol/v1\x00", nonce, canon.Encode(made)), Plan: e.plan(), For: e})
}

// enrolled ends an enrolment: slots for the new passkey, opened once more before
// they count, and a roster that lists it.
func (a *Account) enrolled(ctx context.Context, c approve.Ceremony, e *enrolment, touches []Touched) (Enrolled, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now, err := a.enrolling(e.id); err != nil || now != e {
		return Enrolled{}, fault.New(fault.NotFound, opAdd, "", "this enrolment is over").WithHint("begin again: thumbturn passkey add")
	}
	defer a.giveUp()
	made := *e.made
	if len(touches) != len(c.Plan) {
		return Enrolled{}, fault.New(fault.Denied, opAdd, e.name, "a touch is missing")
	}
	gives := 0
	t := open.Touch{RPID: made.RPID, Credential: made.Credential, Challenge: c.Challenge, Plan: c.Plan}
	for _, x := range touches {
		if err := a.book.Party().Check(made, c.Challenge, x.Assertion); err != nil {
			return Enrolled{}, err
		}
		if t.Sealed = append(t.Sealed, x.Sealed); len(x.Sealed) > 0 {
			gives++
		}
	}
	made.PRF = gives == len(touches)
	roster, err := e.gesture.AddPasskey(e.roster, made, t)
	if err != nil {
		return Enrolled{}, err
	}
	if made.PRF {
		if err := a.book.Keys.Confirm(open.Roster{Roster: roster, Version: e.roster.Version + 1}, t, a.o.Device.LendShare, a.book.Place()); err != nil {
			return Enrolled{}, err
		}
	}
	out := Enrolled{Authenticator: made}
	keys := 0
	for _, x := range roster.Authenticators {
		if x.PRF {
			keys++
		}
	}
	if made.PRF && e.roster.HasPassphrase() && (e.ends || keys > 1) {
		roster, out.PassphraseEnded = open.Roster{Roster: roster}.EndPassphrase(), true
	}
	s, err := a.book.SignRoster(e.gesture.Root().Sign, e.roster, roster)
	if err != nil {
		return Enrolled{}, err
	}
	_, err = a.book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite, Action: opAdd, Outcome: "written",
		Kind: "page", Reason: said(out)}}})
	if err == nil {
		e.result = out
	}
	return out, err
}

// said is what the ledger says of an enrolment.
func said(e Enrolled) string {
	text := "passkey " + e.Name + " (" + e.ID + ") signs only"
	if e.PRF {
		text = "passkey " + e.Name + " (" + e.ID + ") decrypts"
	}
	if e.Synced {
		text += ", may be synced"
	}
	if e.PassphraseEnded {
		text += "; the presence passphrase ended"
	}
	return text
}

// Enrolled waits until the page is done with an enrolment.
func (a *Account) Enrolled(ctx context.Context, id string) (Enrolled, error) {
	a.mu.Lock()
	e, err := a.enrolling(id)
	a.mu.Unlock()
	if err != nil {
		return Enrolled{}, err
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		return Enrolled{}, fault.Wrap(fault.Pending, opAdd, "", ctx.Err())
	case <-time.After(enrolLife):
	}
	if e.result.ID == "" {
		return Enrolled{}, fault.New(fault.Denied, opAdd, e.name, "no passkey was added").WithHint("begin again: thumbturn passkey add")
	}
	return e.result, nil
}

// Passkey is a passkey as it is listed.
type Passkey struct {
	canon.Authenticator
	Opens []string // "session", "account", and names of presence vaults
}

// Passkeys lists the account's passkeys.
func (a *Account) Passkeys() []Passkey {
	roster := a.book.Roster()
	var out []Passkey
	for _, x := range roster.Authenticators {
		p := Passkey{Authenticator: x}
		for _, name := range roster.Opens(x) {
			if v, err := a.book.Vault("passkey list", name); err == nil {
				name = v.Title
			} else if canon.IsID(name) {
				continue // of a vault that is gone
			}
			p.Opens = append(p.Opens, name)
		}
		out = append(out, p)
	}
	return out
}

// RemovePasskey takes a passkey away, by its id or name: its slots go, and each
// presence vault's key moves to a fresh compartment. The last way to approve stays.
func (a *Account) RemovePasskey(ctx context.Context, who identity.Caller, ask broker.Ask, source, name string, presence []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.State() != api.StateUnlocked {
		return open.ErrLocked
	}
	if err := a.human(opRemove, who, source, a.TestHome()); err != nil {
		return err
	}
	roster := a.book.Roster()
	at := slices.IndexFunc(roster.Authenticators, func(x canon.Authenticator) bool { return x.ID == name || strings.EqualFold(x.Name, name) })
	if at < 0 {
		return fault.New(fault.NotFound, opRemove, name, "there is no such passkey").WithHint("`thumbturn passkey list` lists them")
	}
	gone := roster.Authenticators[at]
	others := slices.ContainsFunc(roster.Authenticators, func(x canon.Authenticator) bool { return x.PRF && x.ID != gone.ID })
	if gone.PRF && !others && !roster.HasPassphrase() {
		return fault.New(fault.Denied, opRemove, name, "it is the last way to approve anything").
			WithHint("add another passkey first, or a presence passphrase: thumbturn passphrase change presence")
	}
	g, err := a.gesture(ctx, a.book, roster, typed{who: who, ask: ask, act: opRemove, lines: []string{"the passkey " + gone.Name + " approves nothing any more"},
		presence: presence, needs: a.compartments()})
	if err != nil {
		return err
	}
	defer g.Close()
	next, vaults, err := g.Rotate(open.Roster{Roster: roster.RemovePasskey(gone), Version: roster.Version}, descriptors(a.book))
	if err != nil {
		return err
	}
	s, err := a.book.SignRoster(g.Root().Sign, roster, next)
	e := ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite, Action: opRemove, Outcome: "written",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: "passkey " + gone.Name + " (" + gone.ID + ") removed, keys of presence vaults moved"}}}
	for _, v := range vaults {
		if err == nil {
			s, err = a.book.Sign(g.Root().Sign, canon.TypeVault, v.ID, v)
			e.Statements = append(e.Statements, s)
		}
	}
	if err == nil {
		_, err = a.book.Write(ctx, e)
	}
	return err
}

// unlocking is an unlock that waits for a passkey.
type unlocking struct {
	who  identity.Caller
	done chan error // of one
}

// UnlockPasskey asks the page for a passkey's touch and waits for it; tell is given
// the ceremony first.
func (a *Account) UnlockPasskey(ctx context.Context, who identity.Caller, source string, tell func(approve.Ceremony) error) error {
	c, u, err := a.beginUnlock(ctx, who, source)
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

func (a *Account) beginUnlock(ctx context.Context, who identity.Caller, source string) (approve.Ceremony, *unlocking, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var none approve.Ceremony
	if err := a.ready("unlock"); err != nil {
		return none, nil, err
	}
	if err := a.human("unlock", who, source, a.TestHome()); err != nil {
		return none, nil, err
	}
	if err := a.load(ctx); err != nil {
		return none, nil, err
	}
	if !a.book.Roster().Passkeys() {
		return none, nil, fault.New(fault.NotFound, "unlock", "", "no passkey can unlock here").WithHint("`thumbturn passkey add` makes one; `thumbturn unlock` takes the passphrase")
	}
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(a.o.Rand, nonce); err != nil {
		return none, nil, err
	}
	u := &unlocking{who: who, done: make(chan error, 1)}
	c, err := a.gate.Touches.Begin(approve.Ceremony{Challenge: canon.Digest("thumbturn/unlock/v1\x00", nonce, canon.Tuple(a.o.Device.ID(), who.Root().String())),
		Plan: [][]string{{"session"}}, For: u})
	return c, u, err
}

// Finish ends a ceremony with what the page brings of it. What it was is told by
// one of "approved", "signed", "unlocked" and "enrolled".
func (a *Account) Finish(ctx context.Context, id string, touches []Touched) (string, Enrolled, error) {
	c, err := a.gate.Touches.Take(id)
	if err != nil {
		return "", Enrolled{}, err
	}
	switch x := c.For.(type) {
	case *enrolment:
		e, err := a.enrolled(ctx, c, x, touches)
		return "enrolled", e, err
	case *unlocking:
		err := a.unlocked(ctx, c, x, touches)
		x.done <- err
		return "unlocked", Enrolled{}, err
	}
	done, err := a.gate.Answer(ctx, c, touches)
	if err == nil && !done {
		return "signed", Enrolled{}, nil
	}
	return "approved", Enrolled{}, err
}

// unlocked ends an unlock by passkey.
func (a *Account) unlocked(ctx context.Context, c approve.Ceremony, u *unlocking, touches []Touched) error {
	return a.unlock(ctx, u.who, "page", func() error {
		_, touch, err := a.gate.Signer(c, touches)
		if err != nil {
			return err
		}
		return a.book.Keys.UnlockPasskey(a.book.Roster(), touch, a.o.Device.LendShare, a.book.Place())
	})
}

// Package passkey adds and removes the passkeys of an account. A person begins an
// enrolment at a terminal, with a gesture; the page makes the passkey, lets it show
// what it gives, and only what opens once more counts. Nothing here opens a value.
package passkey

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
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/broker/ways"
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

// Registrar keeps the passkeys of one account. Its parts are set once, by whoever
// makes it.
type Registrar struct {
	*ways.Keeper                                                                                        // of the other ways in
	Unlock       func(ctx context.Context, who identity.Caller, source string, open func() error) error // opens the session key by any means
	Page         func() (origin string, err error)                                                      // chooses where the page shall be

	enrol *Enrolment // under way; nil otherwise. Gate.Acts guards it
}

// Enrolment is a person's leave to add one passkey: a gesture that was made at a
// terminal, kept until the page is done.
type Enrolment struct {
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
	Presence []byte // what was typed, see gate.Personal
	Code     []byte // the recovery code, to end the passphrase with the first passkey; may be empty
}

// AddPasskey takes a gesture for one more passkey and returns the id of its
// enrolment, which the page finishes. Another one begun before is given up.
func (r *Registrar) AddPasskey(ctx context.Context, who identity.Caller, ask gate.Ask, in Adding) (string, error) {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	if r.State() != api.StateUnlocked {
		return "", open.ErrLocked
	}
	if err := r.human(opAdd, who, in.Source); err != nil {
		return "", err
	}
	roster := r.Gate.Book.Roster()
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
		if err := r.Gate.Slowly(func() error { return r.Gate.Book.Keys.CheckRecovery(roster, in.Code, r.Gate.Book.Place()) }); err != nil {
			return "", err
		}
	}
	g, err := r.Gate.Personal(ctx, r.Gate.Book, gate.Personal{Who: who, Ask: ask, Act: opAdd, Lines: []string{"a new passkey, " + name + ", may approve everything"}, Presence: in.Presence, Needs: roster.Open(canon.SlotPasskey)})
	if err != nil {
		return "", err
	}
	if roster.Version != r.Gate.Book.Roster().Version {
		g.Close()
		return "", fault.New(fault.Conflict, opAdd, name, "passphrases or vaults were changed meanwhile").WithHint("do it again")
	}
	if err := r.paged(ctx, who, g); err != nil {
		g.Close()
		return "", err
	}
	e := &Enrolment{name: name, roster: roster, gesture: g, ends: len(in.Code) > 0, challenge: make([]byte, 32), done: make(chan struct{}),
		end: r.Gate.Clock.SinceBoot() + enrolLife}
	if e.id, err = canon.NewID(r.Gate.Rand); err == nil {
		_, err = io.ReadFull(r.Gate.Rand, e.challenge)
	}
	if err != nil {
		g.Close()
		return "", err
	}
	r.GiveUp()
	r.enrol = e
	return e.id, nil
}

// Place chooses where the approval page shall be.
func (r *Registrar) Place() (origin string, err error) {
	if r.Page == nil {
		return "", fault.New(fault.Unavailable, "page", "", "this daemon has no approval page")
	}
	return r.Page()
}

// human is Human, and keeps a refusal.
func (r *Registrar) human(op string, who identity.Caller, source string) error {
	if err := r.Human(op, who, source); err != nil {
		return r.Gate.Refused(who, op, err)
	}
	return nil
}

// paged makes sure that the account has a page: homes of earlier releases have none.
func (r *Registrar) paged(ctx context.Context, who identity.Caller, g *open.Gesture) error {
	if r.Gate.Party().Origin != "" {
		return nil
	}
	origin, err := r.Place()
	if err != nil {
		return err
	}
	s, err := r.Gate.Book.Sign(g.Root().Sign, canon.TypeSetting, book.SettingPage, canon.Setting{V: 1, Name: book.SettingPage, Value: origin})
	if err != nil {
		return err
	}
	_, err = r.Gate.Book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite, Action: "page", Outcome: "written",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: origin}}})
	return err
}

// GiveUp ends an enrolment under way. The caller holds Gate.Acts.
func (r *Registrar) GiveUp() {
	if r.enrol != nil {
		r.enrol.gesture.Close()
		close(r.enrol.done)
		r.enrol = nil
	}
}

// Abandon gives up an enrolment that no page can finish: its gesture is not kept.
func (r *Registrar) Abandon(id string) {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	if r.enrol != nil && r.enrol.id == id {
		r.GiveUp()
	}
}

// enrolling is the enrolment of an id. The caller holds Gate.Acts.
func (r *Registrar) enrolling(id string) (*Enrolment, error) {
	e := r.enrol
	if e != nil && r.Gate.Clock.SinceBoot() >= e.end {
		r.GiveUp()
		e = nil
	}
	if e == nil || e.id != id || r.State() != api.StateUnlocked {
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
func (r *Registrar) Registration(id string) (Registration, error) {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	e, err := r.enrolling(id)
	if err != nil {
		return Registration{}, err
	}
	out := Registration{Party: r.Gate.Party(), Name: e.name, Challenge: e.challenge, Plan: e.plan()}
	for _, x := range e.roster.Authenticators {
		out.Exclude = append(out.Exclude, x.Credential)
	}
	return out, nil
}

// plan is what a new passkey evaluates: every compartment's salt, and the first
// ones once more, to see that they come out the same.
func (e *Enrolment) plan() [][]string {
	all := slices.Collect(slices.Chunk(e.roster.Everything(), slot.Salted))
	return append(all, all[0])
}

// Made checks a new passkey and begins the ceremony in which it shows what it gives.
func (r *Registrar) Made(id string, m approve.Made) (approve.Ceremony, error) {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	e, err := r.enrolling(id)
	if err != nil {
		return approve.Ceremony{}, err
	}
	if e.made != nil {
		return approve.Ceremony{}, fault.New(fault.Conflict, opAdd, e.name, "the passkey is made already").WithHint("begin again: thumbturn passkey add")
	}
	made, err := r.Gate.Party().Enrolled(e.challenge, m)
	if err != nil {
		return approve.Ceremony{}, err
	}
	if slices.ContainsFunc(e.roster.Authenticators, func(x canon.Authenticator) bool { return string(x.Credential) == string(made.Credential) }) {
		return approve.Ceremony{}, fault.New(fault.Exists, opAdd, e.name, "this passkey is enrolled already")
	}
	if made.ID, err = canon.NewID(r.Gate.Rand); err != nil {
		return approve.Ceremony{}, err
	}
	made.Name, made.Created = e.name, r.Gate.Clock.Now().UnixMilli()
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(r.Gate.Rand, nonce); err != nil {
		return approve.Ceremony{}, err
	}
	e.made = &made
	return r.Gate.Touches.Begin(approve.Ceremony{Challenge: canon.Digest("thumbturn/enrol/v1\x00", nonce, canon.Encode(made)), Plan: e.plan(), For: e})
}

// enrolled ends an enrolment: slots for the new passkey, opened once more before
// they count, and a roster that lists it.
func (r *Registrar) enrolled(ctx context.Context, c approve.Ceremony, e *Enrolment, touches []gate.Touched) (Enrolled, error) {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	if now, err := r.enrolling(e.id); err != nil || now != e {
		return Enrolled{}, fault.New(fault.NotFound, opAdd, "", "this enrolment is over").WithHint("begin again: thumbturn passkey add")
	}
	defer r.GiveUp()
	made := *e.made
	if len(touches) != len(c.Plan) {
		return Enrolled{}, fault.New(fault.Denied, opAdd, e.name, "a touch is missing")
	}
	gives := 0
	t := open.Touch{RPID: made.RPID, Credential: made.Credential, Challenge: c.Challenge, Plan: c.Plan}
	for _, x := range touches {
		if err := r.Gate.Party().Check(made, c.Challenge, x.Assertion); err != nil {
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
		if err := r.Gate.Book.Keys.Confirm(open.Roster{Roster: roster, Version: e.roster.Version + 1}, t, r.Gate.Book.Share, r.Gate.Book.Place()); err != nil {
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
	list, told, err := r.Gate.Changed(e.gesture, e.roster, roster)
	if err != nil {
		return Enrolled{}, err
	}
	_, err = r.Gate.Book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{{Type: canon.EventWrite, Action: opAdd, Outcome: "written",
		Kind: "page", Reason: said(out) + told}}})
	if err == nil {
		e.result = out
		r.Gate.Desk.Wake()
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
func (r *Registrar) Enrolled(ctx context.Context, id string) (Enrolled, error) {
	r.Gate.Acts.Lock()
	e, err := r.enrolling(id)
	r.Gate.Acts.Unlock()
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
func (r *Registrar) Passkeys() []Passkey {
	roster := r.Gate.Book.Roster()
	var out []Passkey
	for _, x := range roster.Authenticators {
		p := Passkey{Authenticator: x}
		for _, name := range roster.Opens(slot.Passkey(x.RPID, x.Credential)) {
			if v, err := r.Gate.Book.Vault("passkey list", name); err == nil {
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
// presence vault that it opened gets new keys. The last way to approve stays, and the
// last that a vault takes.
func (r *Registrar) RemovePasskey(ctx context.Context, who identity.Caller, ask gate.Ask, source, name string, presence []byte) error {
	r.Gate.Acts.Lock()
	defer r.Gate.Acts.Unlock()
	if r.State() != api.StateUnlocked {
		return open.ErrLocked
	}
	if err := r.human(opRemove, who, source); err != nil {
		return err
	}
	roster := r.Gate.Book.Roster()
	at := slices.IndexFunc(roster.Authenticators, func(x canon.Authenticator) bool { return x.ID == name || strings.EqualFold(x.Name, name) })
	if at < 0 {
		return fault.New(fault.NotFound, opRemove, name, "there is no such passkey").WithHint("`thumbturn passkey list` lists them")
	}
	gone := roster.Authenticators[at]
	others := slices.ContainsFunc(roster.Authenticators, func(x canon.Authenticator) bool { return x.PRF && x.ID != gone.ID })
	if gone.PRF && !others && !roster.HasPassphrase() && !r.Gate.Chip.Has(roster) {
		return fault.New(fault.Denied, opRemove, name, "it is the last way to approve anything").
			WithHint("add another passkey first, or a presence passphrase: thumbturn passphrase change --presence")
	}
	next := roster.RemovePasskey(gone)
	if err := r.Gate.Stranded(roster, next); err != nil {
		return err
	}
	g, err := r.Gate.Personal(ctx, r.Gate.Book, gate.Personal{Who: who, Ask: ask, Act: opRemove, Lines: []string{"the passkey " + gone.Name + " approves nothing any more"}, Presence: presence, Needs: roster.Changes(slot.Passkey(gone.RPID, gone.Credential))})
	if err != nil {
		return err
	}
	defer g.Close()
	list, told, err := r.Gate.Changed(g, roster, next)
	if err != nil {
		return err
	}
	_, err = r.Gate.Book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{{Type: canon.EventWrite, Action: opRemove, Outcome: "written",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: "passkey " + gone.Name + " (" + gone.ID + ") removed" + told}}})
	r.Gate.Desk.Wake()
	return err
}

package gate

import (
	"context"
	"net/url"
	"strings"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/policy"
)

// Personal is an act on the account itself, about which there is no policy: a person
// at a terminal does it, or nobody.
type Personal struct {
	Who      identity.Caller
	Ask      Ask
	Act      string   // "passkey add"
	Lines    []string // what is done, for the page
	Presence []byte   // what was typed, of the kind that Ask tells; empty where passkeys approve
	Needs    []string // compartments that it opens
}

// Personal checks what was typed by the roster of a book, ours or a copy's, and opens
// what is needed, with a finger where the settings ask for one; where nothing was
// typed it asks the page for a passkey. The caller closes the gesture, and holds Acts.
func (b *Gate) Personal(ctx context.Context, of *book.Book, p Personal) (g *open.Gesture, err error) {
	was, held := b.Book.Keys.Unlocked(), b.Book.Ledger.Held()
	if len(p.Presence) > 0 || !b.Book.Roster().Passkeys() {
		g, err = b.beside(ctx, of, p)
	} else {
		if g, err = b.onPage(ctx, p); err == nil && !g.Of(b.Book.Roster()) { // it may have lain there
			err = changed(p.Act)
		}
	}
	if err == nil && (b.Book.Keys.Unlocked() != was || b.Book.Ledger.Held() != held) {
		err = open.ErrLocked
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func changed(op string) error {
	return fault.New(fault.Conflict, op, "", "passphrases, passkeys or vaults were changed meanwhile").WithHint("do it again")
}

// beside is Personal by what was typed, with what is asked for beside it on record.
func (b *Gate) beside(ctx context.Context, of *book.Book, p Personal) (*open.Gesture, error) {
	g, note, err := b.typed(ctx, of, p.Ask.Typed, p.Presence, p.Needs, p.Ask.Tell)
	switch {
	case err != nil && !fault.Is(err, fault.Passphrase):
		return nil, b.Refused(p.Who, p.Act, err)
	case err == nil && note != "":
		ev := Did(p.Who, canon.EventDecision, p.Act, "done", "", "", "")
		ev.Reason = note
		b.Book.Ledger.Later(ev)
	}
	return g, err
}

// onPage is Personal by a passkey.
func (b *Gate) onPage(ctx context.Context, p Personal) (*open.Gesture, error) {
	b.Acts.Unlock()
	defer b.Acts.Lock()
	req, err := b.describe(p.Who, p.Ask, Act{Action: strings.ReplaceAll(p.Act, " ", "-"), Lines: p.Lines, Change: p.Lines})
	if err != nil {
		return nil, err
	}
	_, g, err := b.obtain(ctx, p.Who, p.Ask, req, policy.Verdict{Reason: "it takes a gesture of a person"}, p.Needs)
	return g, err
}

// Finger says whether a gesture by what a person typed takes a finger too, and how to
// wait for one, which gives no key; wait is nil where it takes none. An error is a
// setting that cannot be read, and refuses.
type Finger func() (wait func(ctx context.Context, tell func(string)) error, err error)

// matched is what the ledger says where a finger was asked for and matched; Windows Hello
// may have taken a face or its own PIN for one. It is the word of another service, and
// no evidence: so it stands beside that.
const matched = "a finger matched too, as the system's own service says"

// typed opens what is needed with what a person typed, by the roster of a book, and
// then waits for a finger where the settings ask for one; note is what to record of
// it. The caller holds Acts, which is given back while a finger is awaited: a lock
// does not wait for it.
func (b *Gate) typed(ctx context.Context, of *book.Book, kind canon.SlotKind, secret []byte, needs []string, tell func(string)) (g *open.Gesture, note string, err error) {
	if err := enough(of, kind, needs); err != nil {
		return nil, "", err
	}
	err = b.Slowly(func() (err error) {
		g, err = b.opened(of, kind, secret, needs)
		return err
	})
	if err != nil || b.Finger == nil {
		return g, "", err
	}
	wait, err := b.Finger()
	if err == nil && wait != nil {
		was := of.Roster().Version
		b.Acts.Unlock()
		err = wait(ctx, tell)
		b.Acts.Lock()
		if note = matched; err == nil && of.Roster().Version != was {
			err = changed("approve")
		}
	}
	if err != nil {
		g.Close()
		return nil, "", err
	}
	return g, note, nil
}

// opened is what typed opens. The caller sees to the pace.
func (b *Gate) opened(of *book.Book, kind canon.SlotKind, secret []byte, needs []string) (g *open.Gesture, err error) {
	switch kind {
	case "", canon.SlotPresence:
		return b.Book.Keys.Gesture(of.Roster(), secret, b.Book.Share, of.Place(), needs)
	case canon.SlotPIN:
		err = b.Chip.Open(of.Roster(), secret, func(kept []byte) (err error) {
			g, err = b.Book.Keys.PIN(of.Roster(), kept, b.Book.Share, of.Place(), needs)
			return err
		})
		return g, err
	}
	return nil, fault.New(fault.Usage, "approve", "", "nothing of that kind can be typed")
}

// Party is the account's page as passkeys know it; the zero Party where it has none.
func (b *Gate) Party() approve.Party {
	origin := b.Book.Roster().Page
	u, err := url.Parse(origin)
	if origin == "" || err != nil {
		return approve.Party{}
	}
	return approve.Party{Account: b.Book.Genesis().Account, RPID: u.Hostname(), Origin: origin}
}

// Signed are the vaults of a book as they were signed.
func Signed(b *book.Book) (out []canon.Vault) {
	for _, v := range b.Descriptors() {
		out = append(out, v.Vault)
	}
	return out
}

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
// what is needed; where nothing was typed it asks the page for a passkey. The
// caller closes the gesture, and holds Acts.
func (b *Gate) Personal(ctx context.Context, of *book.Book, p Personal) (g *open.Gesture, err error) {
	if len(p.Presence) > 0 || !b.Book.Roster().Passkeys() {
		err = b.Slowly(func() (err error) {
			g, err = b.typed(of, p.Ask.Typed, p.Presence, p.Needs)
			return err
		})
		return g, err
	}
	was := b.Book.Keys.Unlocked()
	b.Acts.Unlock()
	defer b.Acts.Lock()
	req, err := b.describe(p.Who, p.Ask, Act{Action: strings.ReplaceAll(p.Act, " ", "-"), Lines: p.Lines, Change: p.Lines})
	if err != nil {
		return nil, err
	}
	_, g, err = b.obtain(ctx, p.Who, p.Ask, req, policy.Verdict{Reason: "it takes a gesture of a person"}, p.Needs)
	if err == nil && b.Book.Keys.Unlocked() != was {
		g.Close()
		return nil, open.ErrLocked
	}
	return g, err
}

// typed opens what is needed with what a person typed, by the roster of a book. The
// caller sees to the pace.
func (b *Gate) typed(of *book.Book, kind canon.SlotKind, secret []byte, needs []string) (g *open.Gesture, err error) {
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

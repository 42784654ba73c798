package account

import (
	"bytes"
	"context"
	"fmt"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// Recover opens the account with the recovery code and replaces code, share,
// presence keys and both passphrases. It returns the closure that lends the new
// code.
func (a *Account) Recover(ctx context.Context, who identity.Caller, source string, code, unlock, presence []byte) (func(func([]byte) error) error, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready("recover"); err != nil {
		return nil, err
	}
	test := a.TestHome()
	if err := a.human("recover", who, source, test); err != nil {
		return nil, err
	}
	after, err := a.o.After()
	if err == nil {
		err = a.load(ctx)
	}
	if err != nil {
		return nil, err
	}
	commit, share, err := a.o.Device.NextShare(a.o.Rand)
	if err != nil {
		return nil, err
	}
	vaults := gate.Signed(a.book)
	var r *open.Recovered
	err = a.pace.Check(func() error {
		r, err = a.book.Keys.Recover(a.book.Roster(), vaults, code, unlock, presence, share, a.book.Place())
		return err
	})
	if err != nil {
		a.ledger.Later(canon.Event{Type: canon.EventUnlock, Action: "recover", Outcome: "failed", Kind: string(who.Kind()), Root: who.Root().String()})
		return nil, err
	}
	defer r.Gesture.Close()
	if err := a.fresh(unlock, presence); err != nil { // after the code, or anybody could try passphrases here
		unseen(r.Recovery)
		a.book.Keys.Lock()
		return nil, err
	}
	e := ledger.Entry{Events: []canon.Event{{Type: canon.EventUnlock, Action: "recover", Outcome: "done",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: "recovery code used: new code, share, vault keys and passphrases" + open.Lessened(vaults, r.Vaults)}}}
	s, err := a.book.Sign(r.Gesture.Root().Sign, canon.TypeRoster, "roster", r.Roster)
	e.Statements = append(e.Statements, s)
	for _, v := range r.Vaults {
		if err == nil {
			s, err = a.book.Sign(r.Gesture.Root().Sign, canon.TypeVault, v.ID, v)
			e.Statements = append(e.Statements, s)
		}
	}
	if err == nil {
		err = commit.Prepare() // both shares are on disk until the statements are
	}
	if err == nil {
		err = a.book.Opened()
	}
	if err == nil {
		_, err = a.book.Write(ctx, e)
	}
	if err != nil {
		unseen(r.Recovery)
		a.book.Keys.Lock()
		return nil, err
	}
	// It is done, and the code must be seen: what fails from here on, unlock makes
	// good. It marks the session, and of two shares keeps the one that opens.
	_ = commit.Commit()
	a.Settle()
	a.latch.Begin(after)
	_ = a.mark(who, test)
	return r.Recovery, nil
}

// Passphrase replaces the unlock or the presence passphrase. old is the one that
// is replaced; the presence passphrase signs the change either way. With a new presence
// passphrase the vaults that it opens get new keys; the session's key stays.
func (a *Account) Passphrase(ctx context.Context, who identity.Caller, ask broker.Ask, source, which string, presence, old, next []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.State() != api.StateUnlocked {
		return open.ErrLocked
	}
	if err := a.human("passphrase change", who, source, a.TestHome()); err != nil {
		return err
	}
	roster := a.book.Roster()
	var unlock, newPresence []byte
	needs := []string{"account"}
	switch which {
	case "unlock":
		unlock = next
		if err := a.pace.Check(func() error { return a.again(old) }); err != nil {
			return err
		}
		if bytes.Equal(next, presence) || a.book.Keys.IsPresence(roster, next, a.o.Device.LendShare, a.book.Place()) {
			return same()
		}
		if bytes.Equal(next, old) {
			return unchanged("passphrase change", which)
		}
	case "presence":
		newPresence = next
		if bytes.Equal(next, presence) {
			return unchanged("passphrase change", which)
		}
		if needs = roster.Open(canon.SlotPresence); roster.HasPassphrase() {
			needs = roster.Changes(slot.Way{Kind: canon.SlotPresence})
		}
		if eq, err := a.book.Keys.SameAsUnlock(roster, next, a.o.Device.LendShare); err != nil || eq {
			return same()
		}
	default:
		return fault.New(fault.Usage, "passphrase change", which, "choose unlock or presence")
	}
	g, err := a.gate.Personal(ctx, a.book, gate.Personal{Who: who, Ask: ask, Act: "passphrase change", Lines: []string{"a new " + which + " passphrase"}, Presence: presence, Needs: needs})
	if err != nil {
		return err
	}
	defer g.Close()
	var out canon.Roster
	if newPresence != nil && !roster.HasPassphrase() { // it had ended
		out, err = g.AddPassphrase(roster, newPresence)
	} else {
		out, err = g.Rekey(roster, map[canon.SlotKind][]byte{canon.SlotUnlock: unlock, canon.SlotPresence: newPresence})
	}
	var list []ledger.Signed
	told := ""
	if err == nil {
		list, told, err = a.gate.Changed(g, roster, out)
	}
	if err == nil {
		_, err = a.book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{{Type: canon.EventWrite,
			Action: "passphrase", Outcome: "written", Kind: string(who.Kind()), Root: who.Root().String(), Reason: which + " passphrase changed, input: " + source + told}}})
	}
	return err
}

// unseen wipes a recovery code that is of no use to anybody.
func unseen(code func(func([]byte) error) error) { _ = code(func([]byte) error { return nil }) }

func same() error {
	return fault.New(fault.Usage, "passphrase change", "", "the presence passphrase must differ from the unlock passphrase")
}

func unchanged(op, which string) error {
	return fault.New(fault.Usage, op, "", "the new "+which+" passphrase is the present one")
}

// fresh refuses new passphrases that are the present ones, as far as the present
// share can tell.
func (a *Account) fresh(unlock, presence []byte) error {
	roster := a.book.Roster()
	if eq, err := a.book.Keys.SameAsUnlock(roster, unlock, a.o.Device.LendShare); err == nil && eq {
		return unchanged("recover", "unlock")
	}
	if a.book.Keys.IsPresence(roster, presence, a.o.Device.LendShare, a.book.Place()) {
		return unchanged("recover", "presence")
	}
	return nil
}

// Restore accepts a database that is behind what this device has seen. It takes
// the presence passphrase, and leaves a signed statement that says from where to
// where.
func (a *Account) Restore(ctx context.Context, who identity.Caller, ask broker.Ask, source string, presence []byte) (api.Restored, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out api.Restored
	if a.State() != api.StateHeld {
		return out, fault.New(fault.Usage, "restore", "", "nothing is held: the database is the one this device has seen")
	}
	if err := a.here(); err != nil {
		return out, err
	}
	if err := a.human("restore", who, source, a.TestHome()); err != nil {
		return out, err
	}
	a.loaded = false
	if err := a.book.Load(ctx); err != nil {
		return out, fault.Wrap(fault.Held, "restore", "", err).WithHint("the statements themselves are damaged: put a good copy of the database in place")
	}
	a.loaded = true
	g, err := a.gate.Personal(ctx, a.book, gate.Personal{Who: who, Ask: ask, Act: "restore", Lines: []string{"accepts the database as it is, behind what this device has seen"}, Presence: presence, Needs: []string{"account"}})
	if err != nil {
		return out, err
	}
	defer g.Close()
	pin, err := a.o.Device.Pin()
	if err != nil {
		return out, err
	}
	head, _ := a.ledger.Head()
	out.From = fmt.Sprintf("%d statements, %d events", pin.Statements, pin.Events)
	out.To = fmt.Sprintf("%d statements, %d events", head.Statements, head.Events)
	if err := a.ledger.Restore(); err != nil {
		return out, err
	}
	if err := a.ledger.Begin(a.book.Genesis()); err != nil {
		return out, err
	}
	text := "rolled back from " + out.From + " to " + out.To
	s, err := a.book.Sign(g.Root().Sign, canon.TypeSetting, "restored", canon.Setting{V: 1, Name: "restored", Value: text})
	if err != nil {
		return out, err
	}
	_, err = a.book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite,
		Action: "restore", Outcome: "written", Kind: string(who.Kind()), Root: who.Root().String(), Reason: text}}})
	return out, err
}

package account

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

const opMove = "device move"

// Installation returns the public half of this device.
func (a *Account) Installation() canon.Installation {
	return canon.Installation{V: 1, ID: a.o.Device.ID(), DeviceKey: canon.Bytes(a.o.Device.Public()), DeviceKEM: a.o.Device.KEMPublic()}
}

// Move gives the ledger to another device, by the presence passphrase. The root
// key signs that the other one goes on where this one stops, and the share is
// sealed to it. From then on this device is held: what it would write the other
// one would not know of. Backup writes the package that the other one accepts, as
// often as it takes.
func (a *Account) Move(ctx context.Context, who identity.Caller, ask broker.Ask, source string, to canon.Installation, presence []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.State() != api.StateUnlocked:
		return open.ErrLocked
	case to.Check() != nil:
		return fault.New(fault.Usage, opMove, to.ID, "not the public half of a device").WithHint("`thumbturn device show --out FILE` on the other computer writes it")
	case to.ID == a.o.Device.ID():
		return fault.New(fault.Usage, opMove, to.ID, "is this very device").WithHint("`thumbturn device show --out FILE` belongs to the other computer")
	}
	if err := a.human(opMove, who, source, a.TestHome()); err != nil {
		return err
	}
	if r := a.book.Roster(); a.gate.Stranded(r, r.RemovePIN()) != nil {
		return fault.New(fault.Denied, opMove, to.ID, "a vault takes a PIN, and this one's stays with this computer's TPM").
			WithHint("add a passkey first, or let it take less: thumbturn vault edit --min-approval")
	}
	g, err := a.gate.Personal(ctx, a.book, gate.Personal{Who: who, Ask: ask, Act: opMove, Lines: []string{"the ledger goes over to device " + to.ID}, Presence: presence, Needs: []string{"account"}})
	if err != nil {
		return err
	}
	defer g.Close()
	defer a.ended(ctx)()
	if _, err := a.ledger.Append(ctx, ledger.Entry{Events: []canon.Event{{Type: canon.EventWrite, Action: opMove, Outcome: "written",
		Kind: string(who.Kind()), Root: who.Root().String(), Reason: "to device " + to.ID + ", code " + to.Code()}}}); err != nil {
		return err
	}
	a.ledger.Hold(gone(to))
	if err := a.depart(g, to); err != nil {
		a.ledger.Hold("")
		return err
	}
	a.who.Unmark()
	a.book.Keys.Lock()
	return nil
}

// depart signs the statement over the last head, which stays it since the ledger
// is held, and records the departure. The caller holds mu.
func (a *Account) depart(g *open.Gesture, to canon.Installation) error {
	_, _ = a.ledger.Append(context.Background(), ledger.Entry{}) // refused, once all that was accepted before is written
	_, note := a.ledger.Head()
	genesis := a.book.Genesis()
	now := a.o.Clock.Now().UnixMilli()
	s, err := a.book.Sign(g.Root().Sign, canon.TypeDevice, "device", canon.Device{V: 1, Device: to.ID, DeviceKey: to.DeviceKey,
		DeviceKEM: to.DeviceKEM, Head: string(note), Created: now})
	if err != nil {
		return err
	}
	m := canon.Move{V: 1, To: to, Body: s.Body(), Sig: s.Sig, Time: now}
	err = a.o.Device.LendShare(func(share []byte) (err error) {
		m.Share, err = sealed.Value(to.DeviceKEM, sealed.ShareContext(genesis.Account, to.ID), share)
		return err
	})
	if err != nil {
		return err
	}
	return a.o.Device.SetMoved(canon.Encode(m))
}

func gone(to canon.Installation) string {
	return "this vault has moved to device " + to.ID + ", code " + to.Code()
}

// away says where the ledger went; it is empty where the ledger is here.
func (a *Account) away() (string, error) {
	raw, err := a.o.Device.Moved()
	if err != nil || raw == nil {
		return "", err
	}
	var m canon.Move
	if canon.Decode(raw, &m) != nil || m.To.Check() != nil {
		return "", fault.New(fault.Tampered, "open", "device/moved", "is not what was written")
	}
	return gone(m.To), nil
}

// here refuses where the ledger has gone: what is restored would go on beside it.
func (a *Account) here() error {
	where, err := a.away()
	if err == nil && where != "" {
		err = fault.New(fault.Conflict, opPutBack, "", where).WithHint("`thumbturn device move --cancel` brings it back")
	}
	return err
}

// Stay takes a Move back, by the presence passphrase. Where the other device has
// accepted meanwhile, there are two ledgers from then on, and nobody can tell
// either of them: only the person knows.
func (a *Account) Stay(ctx context.Context, who identity.Caller, ask broker.Ask, source string, presence []byte) error {
	const op = opMove + " --cancel"
	a.mu.Lock()
	defer a.mu.Unlock()
	where, err := a.away()
	if err != nil {
		return err
	}
	if where == "" {
		return fault.New(fault.Usage, op, "", "this vault has not moved")
	}
	if err := a.human(op, who, source, a.TestHome()); err != nil {
		return err
	}
	if err := a.load(ctx); err != nil {
		return err
	}
	g, err := a.gate.Personal(ctx, a.book, gate.Personal{Who: who, Ask: ask, Act: "device stay", Lines: []string{"the ledger stays here: the move is taken back"}, Presence: presence, Needs: []string{"account"}})
	if err != nil {
		return err
	}
	defer g.Close()
	if a.ledger.Held() != where { // held for more than that: restore says what it does about it
		return a.o.Device.ClearMoved()
	}
	a.ledger.Hold("")
	if err = a.stayed(ctx, who, g); err == nil { // on record before it counts
		err = a.o.Device.ClearMoved()
	}
	if err != nil {
		a.ledger.Hold(where)
	}
	return err
}

func (a *Account) stayed(ctx context.Context, who identity.Caller, g *open.Gesture) error {
	text := "a move taken back: " + a.ledger.Device() + " goes on"
	s, err := a.book.Sign(g.Root().Sign, canon.TypeSetting, "moved", canon.Setting{V: 1, Name: "moved", Value: text})
	if err == nil {
		err = a.ledger.Begin(a.book.Genesis())
	}
	if err == nil {
		_, err = a.book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite,
			Action: opMove, Outcome: "cancelled", Kind: string(who.Kind()), Root: who.Root().String(), Reason: text}}})
	}
	return err
}

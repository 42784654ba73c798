// Package ways changes the ways into an account that need no page: the PIN of this
// device's TPM, and the recovery code. A person does it at a terminal, with a gesture.
// Nothing here opens a value.
package ways

import (
	"bytes"
	"context"
	"io"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/recipe"
	"github.com/thumbturn/thumbturn/internal/tpm"
)

const (
	opSet    = "pin set"
	opRemove = "pin remove"
)

// Keeper keeps the ways into one account. Its parts are set once, by whoever makes it.
type Keeper struct {
	Gate  *gate.Gate
	State func() string                                             // of the account
	Human func(op string, who identity.Caller, source string) error // refuses whoever must not act here
}

// may refuses whoever must not act on the account now. The caller holds Gate.Acts.
func (k *Keeper) may(op string, who identity.Caller, source string) error {
	if k.State() != api.StateUnlocked {
		return open.ErrLocked
	}
	return k.Human(op, who, source)
}

// SetPIN makes a PIN of this device's TPM open all that takes a gesture, but for vaults
// that take more. One that was set before opens nothing any more, and what it opened
// gets new keys. presence is what was typed for it, see
// gate.Personal.
//
// The TPM's blob is on the disk before the statement that names it, and that of the
// old PIN until after: whenever this is cut short, the PIN of the roster opens.
func (k *Keeper) SetPIN(ctx context.Context, who identity.Caller, ask gate.Ask, source string, presence, pin []byte) error {
	k.Gate.Acts.Lock()
	defer k.Gate.Acts.Unlock()
	if err := k.may(opSet, who, source); err != nil {
		return err
	}
	if err := recipe.CheckPIN(pin); err != nil {
		return fault.New(fault.Usage, opSet, "", err.Error())
	}
	if bytes.Equal(pin, presence) {
		return fault.New(fault.Usage, opSet, "", "the new PIN must differ from what was typed before")
	}
	if _, err := k.Gate.Chip.State(); err != nil { // before anybody is asked
		return err
	}
	roster := k.Gate.Book.Roster()
	g, err := k.Gate.Personal(ctx, k.Gate.Book, gate.Personal{Who: who, Ask: ask, Act: opSet, Lines: []string{"a new PIN of this device may approve everything"}, Presence: presence, Needs: roster.Open(canon.SlotPIN)})
	if err != nil {
		return err
	}
	defer g.Close()
	if roster.Version != k.Gate.Book.Roster().Version {
		return changed(opSet)
	}
	// After the gesture, or anybody could try passphrases here.
	if same, err := k.Gate.Book.Keys.SameAsUnlock(roster, pin, k.Gate.Book.Share); err != nil || same {
		return fault.New(fault.Usage, opSet, "", "the PIN must differ from the unlock passphrase")
	}
	next, err := k.sealed(g, roster, pin)
	if err != nil {
		return err
	}
	how := "PIN of this device's TPM set, input: "
	if _, ok := roster.PINSlot(); ok {
		how = "PIN of this device's TPM replaced, input: "
	}
	list, told, err := k.Gate.Changed(g, roster, next)
	if err == nil {
		_, err = k.Gate.Book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{did(who, opSet, how+source+told)}})
	}
	if err != nil { // which of the blobs counts, the next unlock tells
		return err
	}
	k.Settle()
	return nil
}

// sealed is the roster with slots for a new PIN, which open, and in place of those of
// an old one; what opens them is sealed by the TPM and on the disk.
func (k *Keeper) sealed(g *open.Gesture, roster open.Roster, pin []byte) (canon.Roster, error) {
	secret := make([]byte, tpm.SecretSize)
	defer clear(secret)
	if _, err := io.ReadFull(k.Gate.Rand, secret); err != nil {
		return canon.Roster{}, fault.Wrap(fault.Unavailable, opSet, "", err)
	}
	next, err := g.AddPIN(roster.With(roster.RemovePIN()), secret)
	if err != nil {
		return next, err
	}
	then := roster.With(next)
	then.Version++
	blob, err := k.Gate.Chip.Sealed(secret, pin, func(again []byte) error {
		test, err := k.Gate.Book.Keys.PIN(then, again, k.Gate.Book.Share, k.Gate.Book.Place(), roster.Open(canon.SlotPIN))
		test.Close()
		return err
	})
	if err == nil {
		id, _ := then.PINSlot()
		err = k.Gate.Chip.Device.SetBlob(id, blob)
	}
	return next, err
}

// RemovePIN takes the PIN away: its slots go, each presence vault that it opened gets
// new keys, and the TPM's blob is forgotten. The last way to approve stays, and the last
// that a vault takes.
func (k *Keeper) RemovePIN(ctx context.Context, who identity.Caller, ask gate.Ask, source string, presence []byte) error {
	k.Gate.Acts.Lock()
	defer k.Gate.Acts.Unlock()
	if err := k.may(opRemove, who, source); err != nil {
		return err
	}
	roster := k.Gate.Book.Roster()
	if _, ok := roster.PINSlot(); !ok {
		return fault.New(fault.NotFound, opRemove, "", "no PIN is set")
	}
	if !roster.HasPassphrase() && !roster.Passkeys() {
		return fault.New(fault.Denied, opRemove, "", "it is the last way to approve anything").
			WithHint("add a passkey first, or a presence passphrase: thumbturn passphrase change --presence")
	}
	next := roster.RemovePIN()
	if err := k.Gate.Stranded(roster, next); err != nil {
		return err
	}
	g, err := k.Gate.Personal(ctx, k.Gate.Book, gate.Personal{Who: who, Ask: ask, Act: opRemove, Lines: []string{"the PIN approves nothing any more"}, Presence: presence, Needs: roster.Changes(slot.PIN())})
	if err != nil {
		return err
	}
	defer g.Close()
	if roster.Version != k.Gate.Book.Roster().Version {
		return changed(opRemove)
	}
	list, told, err := k.Gate.Changed(g, roster, next)
	if err != nil {
		return err
	}
	if _, err := k.Gate.Book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{did(who, opRemove, "PIN removed, input: "+source+told)}}); err != nil {
		return err
	}
	k.Settle()
	return nil
}

// Settle forgets what the TPM sealed for PINs that are no more: after a change, and at
// unlock, where one was cut short. What is left where it fails opens nothing, and the
// next unlock tries again. The caller holds Gate.Acts.
func (k *Keeper) Settle() { _ = k.Gate.Chip.Settle(k.Gate.Book.Roster()) }

// PIN is how things are with the PIN and the TPM.
type PIN struct {
	Known bool // whether it is set: not while locked, before the account was read
	Set   bool
	Here  bool      // on this device, so that it can be asked for
	TPM   tpm.State // where Err is nil
	Err   error     // why there is none
}

// PIN tells how things are with the PIN and the TPM.
func (k *Keeper) PIN() PIN {
	roster := k.Gate.Book.Roster()
	out := PIN{Known: roster.Version > 0, Here: k.Gate.Chip.Has(roster)}
	_, out.Set = roster.PINSlot()
	out.TPM, out.Err = k.Gate.Chip.State()
	return out
}

// RenewRecovery replaces the recovery code, by a gesture. It returns the closure that
// lends the new one, once; the old one recovers nothing here any more, and presence
// vaults get new keys. Passphrases and share stay.
func (k *Keeper) RenewRecovery(ctx context.Context, who identity.Caller, ask gate.Ask, source string, presence []byte) (func(func([]byte) error) error, error) {
	const op = "recovery rotate"
	k.Gate.Acts.Lock()
	defer k.Gate.Acts.Unlock()
	if err := k.may(op, who, source); err != nil {
		return nil, err
	}
	old := k.Gate.Book.Roster()
	g, err := k.Gate.Personal(ctx, k.Gate.Book, gate.Personal{Who: who, Ask: ask, Act: op, Lines: []string{"a new recovery code"}, Presence: presence, Needs: old.Guarded()})
	if err != nil {
		return nil, err
	}
	defer g.Close()
	roster, code, err := g.Renew(old)
	if err != nil {
		return nil, err
	}
	list, told, err := k.Gate.Changed(g, old, roster)
	if err == nil {
		_, err = k.Gate.Book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{did(who, op, "new recovery code, input: "+source+told)}})
	}
	if err != nil {
		_ = code(func([]byte) error { return nil }) // nobody sees it: it is wiped
		return nil, err
	}
	return code, nil
}

func did(who identity.Caller, op, how string) canon.Event {
	return canon.Event{Type: canon.EventWrite, Action: op, Outcome: "written", Kind: string(who.Kind()), Root: who.Root().String(), Reason: how}
}

func changed(op string) error {
	return fault.New(fault.Conflict, op, "", "passphrases or vaults were changed meanwhile").WithHint("do it again")
}

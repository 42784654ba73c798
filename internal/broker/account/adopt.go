package account

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// RecoverFrom makes a backup of another device this one's, where that device is
// lost: by the recovery code, which needs no share. As with Recover there are new
// passphrases, presence keys and a new code afterwards; the share is this
// device's. The home must be empty.
//
// A device that is not lost after all goes on by itself, and the two ledgers part
// at the backup: nobody can tell either of them.
func (a *Account) RecoverFrom(ctx context.Context, who identity.Caller, source string, backup io.Reader, code, unlock, presence []byte) (Replacement, error) {
	return a.replace(ctx, backup, way{who: who, source: source, stray: true, follows: a.foreign,
		settle: func(ctx context.Context, c candidate, out *Replacement) error {
			return a.recovered(ctx, who, c, code, unlock, presence, out)
		}})
}

// Accept makes a ledger that another device moved here this home's. What the person
// had to say was said at that device; the passphrases stay what they were.
func (a *Account) Accept(ctx context.Context, who identity.Caller, source string, backup io.Reader) (Replacement, error) {
	return a.replace(ctx, backup, way{who: who, source: source, stray: true, follows: a.carried,
		settle: func(ctx context.Context, c candidate, out *Replacement) error { return a.accepted(ctx, who, c, out) }})
}

// foreign accepts a backup of another device, in an empty home.
func (a *Account) foreign(m archive.Manifest) error {
	pin, err := a.o.Device.Pin()
	switch {
	case err != nil:
		return err
	case m.Device == a.o.Device.ID():
		return fault.New(fault.Usage, opPutBack, m.Device, "the backup is of this very device").
			WithHint("thumbturn restore --from FILE; with a forgotten passphrase, thumbturn recover after it")
	case a.book.Genesis().Account != "" || pin.Statements != 0:
		return fault.New(fault.Exists, opPutBack, "", "this home has an account already").
			WithHint("a ledger of another device needs a home of its own: set THUMBTURN_HOME to a new folder, or see `thumbturn uninstall --plan`")
	}
	return nil
}

// carried accepts what was moved, in an empty home.
func (a *Account) carried(m archive.Manifest) error {
	if !m.Moved() {
		return fault.New(fault.Usage, opPutBack, "", "this is a plain backup, and was moved to no device").
			WithHint("where its device is: thumbturn restore --from FILE; where that is lost: thumbturn recover --from FILE")
	}
	return a.foreign(m)
}

// recovered opens the copy with the recovery code and writes into it that this
// device goes on with it.
func (a *Account) recovered(ctx context.Context, who identity.Caller, c candidate, code, unlock, presence []byte, out *Replacement) error {
	vaults := gate.Signed(c.Book)
	defer a.book.Keys.Lock() // the fresh process begins locked
	var r *open.Recovered
	err := a.pace.Check(func() (err error) {
		r, err = a.book.Keys.Recover(c.Book.Roster(), vaults, code, unlock, presence, a.o.Device.LendShare, c.Book.Place())
		return err
	})
	if err != nil {
		return err
	}
	defer r.Gesture.Close()
	if err = a.still(c.now); err == nil {
		err = a.inherit(ctx, who, c, r, out)
	}
	if err != nil {
		unseen(r.Recovery)
		return err
	}
	out.Code = r.Recovery
	return nil
}

// inherit writes into the copy what the recovery made, behind the statement that
// names this device.
func (a *Account) inherit(ctx context.Context, who identity.Caller, c candidate, r *open.Recovered, out *Replacement) error {
	if err := c.Book.Opened(); err != nil {
		return err
	}
	root, before := r.Gesture.Root().Sign, gate.Signed(c.Book)
	dev, err := c.Book.Sign(root, canon.TypeDevice, "device", a.heir(c))
	list := []ledger.Signed{dev}
	if err == nil {
		var s ledger.Signed
		s, err = c.Book.SignRoster(root, c.Book.Roster(), r.Roster)
		list = append(list, s)
	}
	for _, v := range r.Vaults {
		if err == nil {
			var s ledger.Signed
			s, err = c.Book.Sign(root, canon.TypeVault, v.ID, v)
			list = append(list, s)
		}
	}
	if err != nil {
		return err
	}
	return a.takeOver(ctx, who, c, "recovered", list, open.Lessened(before, r.Vaults), out)
}

// heir is this device as the one that goes on with a copy.
func (a *Account) heir(c candidate) canon.Device {
	d := a.Installation()
	return canon.Device{V: 1, Device: d.ID, DeviceKey: d.DeviceKey, DeviceKEM: d.DeviceKEM,
		Head: string(c.Note), Created: a.o.Clock.Now().UnixMilli()}
}

// accepted checks that the copy was moved to this device, at the very head that it
// has, keeps the share, and writes the statement.
func (a *Account) accepted(ctx context.Context, who identity.Caller, c candidate, out *Replacement) error {
	bad := func(msg string) error { return fault.New(fault.Tampered, opPutBack, archive.Move, msg) }
	raw, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(archive.Move)))
	if err != nil {
		return fault.Wrap(fault.Unavailable, opPutBack, archive.Move, err)
	}
	var m canon.Move
	var d canon.Device
	if canon.Decode(raw, &m) != nil || m.V != 1 {
		return bad("it is not what was written")
	}
	if m.To.ID != a.o.Device.ID() {
		return fault.New(fault.Denied, opPutBack, m.To.ID, "it was moved to another device than this one").
			WithHint("`thumbturn device show` shows this one")
	}
	s, err := canon.ParseStatement(m.Body)
	if err != nil || s.Type != canon.TypeDevice || canon.Decode(s.Payload, &d) != nil ||
		!ed25519.Verify(ed25519.PublicKey(c.Genesis.Root), canon.SigningBytes(m.Body), m.Sig) {
		return bad("the root key did not sign it")
	}
	want := a.heir(c)
	if want.Created = d.Created; string(canon.Encode(want)) != string(canon.Encode(d)) {
		return bad("it names other keys than this device's, or another head than that of the database")
	}
	if err := a.still(c.now); err != nil {
		return err
	}
	if err := open.OpenShare(a.o.Device.LendKEM, c.Genesis.Account, d.Device, m.Share, a.o.Device.TakeShare); err != nil {
		if fault.KindOf(err) == fault.Internal {
			return bad("the share does not open here")
		}
		return err
	}
	return a.takeOver(ctx, who, c, "moved here", []ledger.Signed{{Statement: s, Sig: m.Sig}}, "", out)
}

// takeOver writes the statements by which this device goes on with a copy. The event
// says how that came, and what else came with it.
func (a *Account) takeOver(ctx context.Context, who identity.Caller, c candidate, how string, list []ledger.Signed, and string, out *Replacement) error {
	from, err := ledger.Owner(ctx, c.Book.Store)
	if err != nil {
		return err
	}
	out.From = "device " + from.Device
	out.To = fmt.Sprintf("device %s, %d statements, %d events", a.o.Device.ID(), c.Head.Statements, c.Head.Events)
	_, err = c.Book.Write(ctx, ledger.Entry{Statements: list, Events: []canon.Event{{Type: canon.EventWrite, Action: "device",
		Outcome: "written", Kind: string(who.Kind()), Root: who.Root().String(), Reason: how + " from " + out.From + " to " + out.To + and}}})
	return err
}

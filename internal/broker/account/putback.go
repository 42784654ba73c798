package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/spare"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

const opPutBack = "restore"

// Replacement is a database that is ready to take the place of the home's.
type Replacement struct {
	api.Restored
	// Swap must be called once account and database are closed; a fresh process
	// goes on from there.
	Swap func() error
	// Code lends the new recovery code, once; nil where there is none.
	Code func(use func(code []byte) error) error
}

// PutBack makes a backup of this device the home's database: where there is none,
// or over one that the backup continues. It takes the presence passphrase, and the
// database put back says so by a signed statement.
func (a *Account) PutBack(ctx context.Context, who identity.Caller, ask broker.Ask, source string, backup io.Reader, presence []byte) (Replacement, error) {
	return a.replace(ctx, backup, way{who: who, source: source, follows: a.mine, settle: func(ctx context.Context, c candidate, out *Replacement) error {
		return a.restored(ctx, who, ask, source, presence, c, out)
	}})
}

// way is on what grounds a backup becomes this home's database.
type way struct {
	who     identity.Caller
	source  string
	stray   bool // the backup is of another device, whose ledger this one takes over
	follows func(archive.Manifest) error
	settle  func(ctx context.Context, c candidate, out *Replacement) error // writes the statements that make it this home's
}

// candidate is a checked backup, and what it was compared with.
type candidate struct {
	spare.Copy
	dir string      // its unpacked parts
	now ledger.Head // of the home
}

// replace prepares a backup to be the home's database.
//
// Nothing in place is touched before all is checked. The ledger is then held,
// so that nothing is written that would be lost.
func (a *Account) replace(ctx context.Context, backup io.Reader, w way) (out Replacement, err error) {
	if !a.copying.TryLock() {
		return out, busy(opPutBack)
	}
	dir, err := a.shelf.Folder()
	if err != nil {
		a.copying.Unlock()
		return out, err
	}
	defer func() { // with a swap to come, nobody may clean up the folder
		if err != nil {
			_ = os.RemoveAll(dir)
			a.copying.Unlock()
		}
	}()
	m, err := spare.Unpack(dir, backup)
	if err != nil {
		return out, err
	}
	if err = w.follows(m); err != nil {
		return out, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// What the backup says of itself spares work; settle looks at what is signed.
	if err = a.human(opPutBack, w.who, w.source, m.TestHome && (a.book.Genesis().Account == "" || a.TestHome())); err != nil {
		return out, err
	}
	before := a.ledger.Held()
	pin, err := a.prepare(ctx, w, dir, &out)
	if err != nil {
		a.ledger.Hold(before)
		return out, err
	}
	out.Swap = func() error { return a.shelf.Swap(dir, m, pin) }
	return out, nil
}

// mine refuses the backup of another device or account, by what it says of
// itself; whether that is true is checked later.
func (a *Account) mine(m archive.Manifest) error {
	g := a.book.Genesis()
	gone := a.here()
	switch {
	case gone != nil:
		return gone
	case g.Account != "" && g.Account != m.Account:
		return fault.New(fault.Denied, opPutBack, m.Account, "the backup is of another account than this home")
	case m.Device != a.o.Device.ID():
		return fault.New(fault.Denied, opPutBack, m.Device, "the backup is of another device: this one has not the share that opens it").
			WithHint("restore it where its device folder is; on a new computer, with the recovery code: thumbturn recover --from FILE")
	}
	return nil
}

// prepare checks the unpacked database against the home and the person, holds the
// ledger, and has the statements written into the copy that say what happened. It
// returns the pin of the copy. The caller holds mu.
func (a *Account) prepare(ctx context.Context, w way, dir string, out *Replacement) (device.Pin, error) {
	now, _ := a.ledger.Head()
	seen, err := a.o.Device.Pin()
	if err != nil {
		return seen, err
	}
	path := filepath.Join(dir, filepath.FromSlash(archive.Database))
	db, err := sqlite.Open(path, sqlite.Options{}) // brings an older one up to date
	if err != nil {
		return seen, err
	}
	var from *ledger.Key
	if w.stray {
		var k ledger.Key
		k, err = ledger.Owner(ctx, db)
		from = &k
	}
	wit := &spare.Witness{}
	var c spare.Copy
	if err == nil {
		c, err = a.shelf.Open(ctx, db, wit, from)
	}
	if err == nil {
		if err = a.follows(ctx, db, c, now, seen); err == nil {
			// The flag of the backup counts: a device signed it, and each slot confirms it.
			err = a.human(opPutBack, w.who, w.source, c.Genesis.TestHome)
		}
		if err == nil {
			err = c.Ledger.Begin(c.Genesis)
		}
		if err == nil {
			err = w.settle(ctx, candidate{c, dir, now}, out)
		}
		err = errors.Join(err, c.Ledger.Close())
	}
	err = errors.Join(err, db.Close())
	if err == nil {
		err = spare.Whole(path)
	}
	wit.Last.Roster = max(wit.Last.Roster, seen.Roster)
	return wit.Last, err
}

// still holds the ledger and refuses where it is not at the head any more that was
// compared with the backup.
func (a *Account) still(now ledger.Head) error {
	a.ledger.Hold("a backup is being put back")
	_, _ = a.ledger.Append(context.Background(), ledger.Entry{}) // refused, once all that was accepted before is written
	if then, _ := a.ledger.Head(); then != now {
		return fault.New(fault.Conflict, opPutBack, "", "this home was changed meanwhile").WithHint("try again")
	}
	return nil
}

const byHand = "to go back all the same, stop the daemon and move the files of the data folder away yourself, then restore"

// follows refuses a backup that is older than the home, that went another way,
// or whose passphrases were replaced since.
func (a *Account) follows(ctx context.Context, db *sqlite.DB, c spare.Copy, now ledger.Head, seen device.Pin) error {
	if now.Statements > c.Head.Statements || now.Events > c.Head.Events {
		return fault.New(fault.Conflict, opPutBack, "", fmt.Sprintf("this home is newer than the backup: it has %d statements and %d events, the backup %d and %d",
			now.Statements, now.Events, c.Head.Statements, c.Head.Events)).
			WithHint(byHand)
	}
	if uint64(c.Book.Roster().Version) < seen.Roster {
		return fault.New(fault.Denied, opPutBack, "", "passphrases, the recovery code or the presence vaults were changed after this backup, and what was replaced must not come back").
			WithHint("use a backup that was made after the last such change")
	}
	if now.Statements == 0 {
		return nil
	}
	l, err := ledger.Open(ctx, ledger.Options{Store: db, Signer: a.o.Device.Public(), Rand: a.o.Rand, Now: a.o.Clock.Now,
		Device: &spare.Witness{Device: a.o.Device, Seen: device.Pin{Statements: uint64(now.Statements), Link: now.Link, Events: uint64(now.Events), Root: now.Root}}})
	if err != nil {
		return err
	}
	why := l.Held()
	if err := l.Close(); err != nil {
		return err
	}
	if why != "" {
		return fault.New(fault.Conflict, opPutBack, "", "the backup does not continue this home, which went another way since").WithHint(byHand)
	}
	return nil
}

// restored checks the gesture, holds the ledger, which must still be at the head
// that the copy was compared with, and writes statement and event into the copy.
func (a *Account) restored(ctx context.Context, who identity.Caller, ask broker.Ask, source string, presence []byte, c candidate, out *Replacement) error {
	g, err := a.gate.Personal(ctx, c.Book, gate.Personal{Who: who, Ask: ask, Act: "restore", Lines: []string{"puts a backup in the place of the database"}, Presence: presence, Needs: []string{"account"}})
	if err != nil {
		return err
	}
	defer g.Close()
	if err := a.still(c.now); err != nil {
		return err
	}
	seen, err := a.o.Device.Pin()
	if err != nil {
		return err
	}
	out.From = fmt.Sprintf("%d statements, %d events", seen.Statements, seen.Events)
	out.To = fmt.Sprintf("%d statements, %d events", c.Head.Statements, c.Head.Events)
	text := "a backup put back: from " + out.From + " to " + out.To
	s, err := c.Book.Sign(g.Root().Sign, canon.TypeSetting, "restored", canon.Setting{V: 1, Name: "restored", Value: text})
	if err != nil {
		return err
	}
	_, err = c.Book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite,
		Action: "restore", Outcome: "written", Kind: string(who.Kind()), Root: who.Root().String(), Reason: text}}})
	return err
}

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
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

const opPutBack = "restore"

// replaced is the name under which a database that a backup took the place of
// stays in the data folder. A purge does not reach it: it is the person's to keep
// or to delete.
const replaced = "replaced.db"

// Beside is the path of that database; empty where there is none.
func (a *Account) Beside() string {
	path := filepath.Join(a.o.Files.Data, replaced)
	if _, err := os.Lstat(path); err != nil {
		return ""
	}
	return path
}

// PutBack makes a backup the home's database: where there is none, or over one
// that the backup continues. It takes the presence passphrase, and the database
// put back says so by a signed statement.
//
// Nothing in place is touched before all is checked. The ledger is then held,
// so that nothing is written that would be lost, and the returned swap must be
// called once account and database are closed; a fresh process goes on from
// there.
func (a *Account) PutBack(ctx context.Context, who identity.Caller, source string, backup io.Reader, presence []byte) (out api.Restored, swap func() error, err error) {
	if !a.copying.TryLock() {
		return out, nil, busy(opPutBack)
	}
	dir, err := a.copyFolder()
	if err != nil {
		a.copying.Unlock()
		return out, nil, err
	}
	defer func() { // with a swap to come, nobody may clean up the folder
		if err != nil {
			_ = os.RemoveAll(dir)
			a.copying.Unlock()
		}
	}()
	m, err := unpack(dir, backup)
	if err != nil {
		return out, nil, err
	}
	if err = a.mine(m); err != nil {
		return out, nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// What the backup says of itself spares work; restored looks at what is signed.
	if err = a.human(opPutBack, who, source, m.TestHome && (a.book.Genesis().Account == "" || a.TestHome())); err != nil {
		return out, nil, err
	}
	before := a.ledger.Held()
	pin, err := a.putBack(ctx, who, source, filepath.Join(dir, filepath.FromSlash(archive.Database)), presence, &out)
	if err != nil {
		a.ledger.Hold(before)
		return out, nil, err
	}
	return out, func() error { return a.swap(dir, m, pin) }, nil
}

// unpack writes the parts of a backup into a folder.
func unpack(dir string, backup io.Reader) (archive.Manifest, error) {
	return archive.Read(backup, func(p archive.Part, r io.Reader) error {
		to := filepath.Join(dir, filepath.FromSlash(p.Name))
		err := os.MkdirAll(filepath.Dir(to), 0o700)
		var f *os.File
		if err == nil {
			f, err = os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		}
		if err == nil {
			_, err = io.Copy(f, r)
			err = errors.Join(err, f.Sync(), f.Close())
		}
		if err != nil {
			return fault.Wrap(fault.Unavailable, opPutBack, p.Name, err)
		}
		return nil
	})
}

// mine refuses the backup of another device or account, by what it says of
// itself; whether that is true is checked later.
func (a *Account) mine(m archive.Manifest) error {
	g := a.book.Genesis()
	switch {
	case g.Account != "" && g.Account != m.Account:
		return fault.New(fault.Denied, opPutBack, m.Account, "the backup is of another account than this home")
	case m.Device != a.o.Device.ID():
		return fault.New(fault.Denied, opPutBack, m.Device, "the backup is of another device: this one has not the share that opens it").
			WithHint("restore it where its device folder is")
	}
	return nil
}

// putBack checks the unpacked database against the home and the person, holds
// the ledger, and writes the statement that says what happened into the copy. It
// returns the pin of the copy. The caller holds mu.
func (a *Account) putBack(ctx context.Context, who identity.Caller, source, path string, presence []byte, out *api.Restored) (device.Pin, error) {
	now, _ := a.ledger.Head()
	seen, err := a.o.Device.Pin()
	if err != nil {
		return seen, err
	}
	db, err := sqlite.Open(path, sqlite.Options{}) // brings an older one up to date
	if err != nil {
		return seen, err
	}
	w := &witness{}
	c, err := a.openCopy(ctx, db, w)
	if err == nil {
		err = a.follows(ctx, db, c, now, seen)
		if err == nil {
			err = a.restored(ctx, who, source, presence, c, now, out)
		}
		err = errors.Join(err, c.ledger.Close())
	}
	err = errors.Join(err, db.Close())
	if err == nil {
		err = whole(path)
	}
	w.last.Roster = seen.Roster
	return w.last, err
}

// whole refuses a closed database whose last writes still lie in its log, as on a
// full disk: the file alone is put in place, and would be an older one.
func whole(path string) error {
	fi, err := os.Stat(path + "-wal")
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && fi.Size() == 0:
		return nil
	case err != nil:
		return fault.Wrap(fault.Unavailable, opPutBack, "", err)
	}
	return fault.New(fault.Unavailable, opPutBack, "", "the copy could not be written out; nothing was put back").
		WithHint("is the disk of the data folder full? free some space and try again")
}

const byHand = "to go back all the same, stop the daemon and move the files of the data folder away yourself, then restore"

// follows refuses a backup that is older than the home, that went another way,
// or whose passphrases were replaced since.
func (a *Account) follows(ctx context.Context, db *sqlite.DB, c copyOf, now ledger.Head, seen device.Pin) error {
	if now.Statements > c.head.Statements || now.Events > c.head.Events {
		return fault.New(fault.Conflict, opPutBack, "", fmt.Sprintf("this home is newer than the backup: it has %d statements and %d events, the backup %d and %d",
			now.Statements, now.Events, c.head.Statements, c.head.Events)).
			WithHint(byHand)
	}
	if uint64(c.book.Roster().Version) < seen.Roster {
		return fault.New(fault.Denied, opPutBack, "", "passphrases, the recovery code or the presence vaults were changed after this backup, and what was replaced must not come back").
			WithHint("use a backup that was made after the last such change")
	}
	if now.Statements == 0 {
		return nil
	}
	l, err := ledger.Open(ctx, ledger.Options{Store: db, Signer: a.o.Device.Public(), Rand: a.o.Rand, Now: a.o.Clock.Now,
		Device: &witness{Device: a.o.Device, seen: device.Pin{Statements: uint64(now.Statements), Link: now.Link, Events: uint64(now.Events), Root: now.Root}}})
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

// restored checks the gesture, holds the ledger, which must still be at now, and
// writes statement and event into the copy.
func (a *Account) restored(ctx context.Context, who identity.Caller, source string, presence []byte, c copyOf, now ledger.Head, out *api.Restored) error {
	// The flag of the backup counts: our device signed it, and each slot confirms it.
	if err := a.human(opPutBack, who, source, c.genesis.TestHome); err != nil {
		return err
	}
	var g *open.Gesture
	err := a.slowly(func() (err error) {
		g, err = a.book.Keys.Gesture(c.book.Roster(), presence, a.o.Device.LendShare, c.book.Place(), []string{"account"})
		return err
	})
	if err != nil {
		return err
	}
	defer g.Close()
	a.ledger.Hold("a backup is being put back")
	_, _ = a.ledger.Append(ctx, ledger.Entry{}) // refused, once all that was accepted before is written
	if then, _ := a.ledger.Head(); then != now {
		return fault.New(fault.Conflict, opPutBack, "", "this home was changed meanwhile").WithHint("try again")
	}
	seen, err := a.o.Device.Pin()
	if err != nil {
		return err
	}
	if err := c.ledger.Begin(c.genesis); err != nil {
		return err
	}
	out.From = fmt.Sprintf("%d statements, %d events", seen.Statements, seen.Events)
	out.To = fmt.Sprintf("%d statements, %d events", c.head.Statements, c.head.Events)
	text := "a backup put back: from " + out.From + " to " + out.To
	s, err := c.book.Sign(g.Root().Sign, canon.TypeSetting, "restored", canon.Setting{V: 1, Name: "restored", Value: text})
	if err != nil {
		return err
	}
	_, err = c.book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Events: []canon.Event{{Type: canon.EventWrite,
		Action: "restore", Outcome: "written", Kind: string(who.Kind()), Root: who.Root().String(), Reason: text}}})
	return err
}

// swap puts the checked files in place and sets the pin to them. A crash in
// between leaves the database of before under another name, or a held home; both
// can be restored again.
func (a *Account) swap(dir string, m archive.Manifest, pin device.Pin) error {
	fail := func(err error) error { return fault.Wrap(fault.Unavailable, opPutBack, a.o.Files.Data, err) }
	name := filepath.Base(archive.Database)
	at := func(name string) string { return filepath.Join(a.o.Files.Data, name) }
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(at(replaced + suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fail(err)
		}
		if err := os.Rename(at(name+suffix), at(replaced+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fail(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, filepath.FromSlash(archive.Database)), at(name)); err != nil {
		return fail(err)
	}
	for _, p := range m.Parts[1:] {
		if err := a.putDraft(filepath.Join(dir, filepath.FromSlash(p.Name))); err != nil {
			return fail(err)
		}
	}
	_ = os.RemoveAll(dir)
	if err := atomicfile.SyncDir(a.o.Files.Data); err != nil {
		return fail(err)
	}
	return a.o.Device.RestorePin(pin)
}

// putDraft puts a file of config back where none stands: what a person has
// written since is theirs.
func (a *Account) putDraft(from string) error {
	to := filepath.Join(a.o.Files.Config, filepath.Base(from))
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return atomicfile.Write(to, b, 0o600)
}

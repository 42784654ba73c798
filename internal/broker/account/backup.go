package account

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// Files are the places of a home that a backup takes, and the way to a copy of
// the database. The device's folder is not among them.
type Files struct {
	Data   string
	Config string
	Copy   func(ctx context.Context, path string) error // writes a consistent copy of the database
}

// Folders of copies that are being made, in the data folder: what a crash leaves
// of them is removed by the next one.
const copyPrefix = ".copy-"

// Backup writes data and config as one archive, without the share. The copy is
// opened and checked before the first byte of it leaves.
//
// Who may have it: while unlocked, whoever may list names, since a policy that
// hides names means to hide what there is. While locked no policy runs, and a
// backup is given to whoever may speak to the daemon at all: names and values in
// it are sealed, and a job at night must not need an open vault. What it does
// show is the policy's text, ids, counts and times.
func (a *Account) Backup(ctx context.Context, who identity.Caller, w io.Writer) error {
	if !a.copying.TryLock() {
		return busy("backup")
	}
	defer a.copying.Unlock()
	if who.Kind() == "" {
		return fault.New(fault.Denied, "backup", "", "nobody asks")
	}
	if a.State() == api.StateUnlocked {
		if err := a.broker.MayRead(who); err != nil {
			return err
		}
	}
	if a.State() != api.StateHeld {
		ev := canon.Event{Type: canon.EventWrite, Action: "backup", Outcome: "copied", Kind: string(who.Kind()), Agent: who.Label(), Root: who.Root().String()}
		if _, err := a.ledger.Append(ctx, ledger.Entry{Events: []canon.Event{ev}}); err != nil {
			return err
		}
	}
	dir, err := a.copyFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "copy.db")
	if err := a.o.Files.Copy(ctx, path); err != nil {
		return err
	}
	m, err := a.describeCopy(ctx, path)
	if err != nil {
		return fault.Wrap(fault.Tampered, "backup", "", err).WithHint("the database is not sound, and a backup of it would not be; `thumbturn audit verify` says more")
	}
	config, err := a.configParts(&m)
	if err != nil {
		return err
	}
	return archive.Write(w, m, func(name string) (io.ReadCloser, error) {
		if name == archive.Database {
			return os.Open(path)
		}
		return io.NopCloser(bytes.NewReader(config[name])), nil
	})
}

func busy(op string) error {
	return fault.New(fault.Conflict, op, "", "another backup or restore is under way").WithHint("try again")
}

// copyFolder makes a folder for a copy, and removes what a crash left of others.
// The caller holds copying.
func (a *Account) copyFolder() (string, error) {
	old, _ := filepath.Glob(filepath.Join(a.o.Files.Data, copyPrefix+"*"))
	for _, d := range old {
		_ = os.RemoveAll(d)
	}
	dir, err := os.MkdirTemp(a.o.Files.Data, copyPrefix) // 0700
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "backup", a.o.Files.Data, err)
	}
	return dir, nil
}

// describeCopy opens a copy of our database, checks it, and makes its manifest.
func (a *Account) describeCopy(ctx context.Context, path string) (archive.Manifest, error) {
	var m archive.Manifest
	db, err := sqlite.OpenReadOnly(path, sqlite.Options{})
	if err != nil {
		return m, err
	}
	c, err := a.openCopy(ctx, db, &witness{})
	if err == nil {
		err = c.ledger.Close()
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return m, err
	}
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	part, err := archive.Sum(archive.Database, f)
	return archive.Manifest{V: archive.Version, Account: c.genesis.Account, Device: c.genesis.Device, TestHome: c.genesis.TestHome,
		Statements: c.head.Statements, Events: c.head.Events, Head: string(c.note), Time: a.o.Clock.Now().UnixMilli(), Parts: []archive.Part{part}}, err
}

// configParts reads the plain files of config and adds them to the manifest.
// They are few and small; what does not fit is no file of ours.
func (a *Account) configParts(m *archive.Manifest) (map[string][]byte, error) {
	out := map[string][]byte{}
	list, err := os.ReadDir(a.o.Files.Config) // in the order of names
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "backup", a.o.Files.Config, err)
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !archive.Fits(e.Name(), info.Size()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(a.o.Files.Config, e.Name()))
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "backup", e.Name(), err)
		}
		name := archive.Config + e.Name()
		part, err := archive.Sum(name, bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		m.Parts, out[name] = append(m.Parts, part), b
	}
	return out, nil
}

// copyOf is a checked copy of a database, open as a ledger of its own.
type copyOf struct {
	genesis canon.Genesis
	head    ledger.Head
	note    []byte
	ledger  *ledger.Ledger
	book    *book.Book
}

// openCopy opens a copy of this device's database as a ledger that the device
// has not pinned, and verifies it: the head's signature, that it continues what
// w has seen, the chain and every signature in it, the tree, and the bytes of
// all that the latest manifests name. It needs no key. The caller closes the
// ledger.
func (a *Account) openCopy(ctx context.Context, st store.Store, w *witness) (copyOf, error) {
	w.Device = a.o.Device
	l, err := ledger.Open(ctx, ledger.Options{Store: st, Device: w, Signer: a.o.Device.Public(), Rand: a.o.Rand, Now: a.o.Clock.Now})
	if err != nil {
		return copyOf{}, err
	}
	c := copyOf{ledger: l, book: &book.Book{Ledger: l, Store: st, Keys: a.book.Keys, Share: a.o.Device.LendShare, Clock: a.o.Clock, Rand: a.o.Rand}}
	c.head, c.note = l.Head()
	if err := c.verify(ctx); err != nil {
		return c, errors.Join(err, l.Close())
	}
	if c.genesis = c.book.Genesis(); c.genesis.Device != a.o.Device.ID() {
		return c, errors.Join(fault.New(fault.Tampered, opCopy, "genesis", "the first statement is not this device's"), l.Close())
	}
	return c, nil
}

const opCopy = "check copy"

func (c copyOf) verify(ctx context.Context) error {
	if why := c.ledger.Held(); why != "" {
		return fault.New(fault.Tampered, opCopy, "", why)
	}
	if c.ledger.Empty() {
		return fault.New(fault.Tampered, opCopy, "", "there is no account in it")
	}
	if err := c.book.Load(ctx); err != nil {
		return err
	}
	if err := c.ledger.Leaves(ctx); err != nil {
		return err
	}
	return c.book.Records(ctx, func(h canon.Hash, ref string) error {
		if _, err := c.book.Check(ctx, h, ref); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// witness is the device as a copy's ledger sees it: it signs, but what it has
// seen is what it is told, and the device's own pin stays as it is.
type witness struct {
	*device.Device
	seen device.Pin
	last device.Pin // of the copy; read it once its ledger is closed
}

func (w *witness) Pin() (device.Pin, error)             { return w.seen, nil }
func (w *witness) SetPin(p device.Pin, sync bool) error { w.last = p; return nil }
func (w *witness) RestorePin(p device.Pin) error        { w.last = p; return nil }

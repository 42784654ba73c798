// Package spare is copies of a home's database and drafts: how one is made and
// described, how a foreign one is unpacked and checked to the last signature, and
// how it takes the place of what is there. It opens nothing; whether a copy may
// take the place is for its importers to say.
package spare

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
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

// Shelf is where the copies of one home are made.
type Shelf struct {
	Files
	Device *device.Device
	Keys   *open.Keyring // lent to the books of copies
	Clock  approve.Clock
	Rand   io.Reader
}

// Folder makes a folder for a copy, and removes what a crash left of others: so
// its importer makes one copy at a time.
func (s Shelf) Folder() (string, error) {
	old, _ := fs.Glob(os.DirFS(s.Data), copyPrefix+"*")
	for _, d := range old {
		_ = os.RemoveAll(filepath.Join(s.Data, d))
	}
	dir, err := os.MkdirTemp(s.Data, copyPrefix) // 0700
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "copy", s.Data, err)
	}
	return dir, nil
}

// Describe opens a copy of our database, checks it, and makes its manifest.
func (s Shelf) Describe(ctx context.Context, path string) (archive.Manifest, error) {
	var m archive.Manifest
	db, err := sqlite.OpenReadOnly(path, sqlite.Options{})
	if err != nil {
		return m, err
	}
	c, err := s.Open(ctx, db, &Witness{}, nil)
	if err == nil {
		err = c.Ledger.Close()
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
	return archive.Manifest{V: archive.Version, Account: c.Genesis.Account, Device: s.Device.ID(), TestHome: c.Genesis.TestHome,
		Statements: c.Head.Statements, Events: c.Head.Events, Head: string(c.Note), Time: s.Clock.Now().UnixMilli(), Parts: []archive.Part{part}}, err
}

// Parts reads the plain files of config, and the move of a ledger that went to
// another device, and adds them to the manifest. They are few and small; what does
// not fit is no file of ours.
func (s Shelf) Parts(m *archive.Manifest) (map[string][]byte, error) {
	out := map[string][]byte{}
	list, err := os.ReadDir(s.Config) // in the order of names
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.Unavailable, "copy", s.Config, err)
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !archive.Fits(e.Name(), info.Size()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(s.Config, e.Name()))
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "copy", e.Name(), err)
		}
		if err := add(m, out, archive.Config+e.Name(), b); err != nil {
			return nil, err
		}
	}
	moved, err := s.Device.Moved()
	if err == nil && moved != nil {
		err = add(m, out, archive.Move, moved)
	}
	return out, err
}

func add(m *archive.Manifest, parts map[string][]byte, name string, b []byte) error {
	part, err := archive.Sum(name, bytes.NewReader(b))
	m.Parts, parts[name] = append(m.Parts, part), b
	return err
}

// Copy is a checked copy of a database, open as a ledger of its own.
type Copy struct {
	Genesis canon.Genesis
	Head    ledger.Head
	Note    []byte // the signed head, whole
	Ledger  *ledger.Ledger
	Book    *book.Book
}

// Open opens a copy of a database as a ledger that the device has not pinned,
// and verifies it: the head's signature, that it continues what w has seen, the
// chain and every signature in it, the tree, and the bytes of all that the latest
// manifests name. It is this device's, or with from the one of a device that this
// one shall follow. It needs no key. The caller closes the ledger.
func (s Shelf) Open(ctx context.Context, st store.Store, w *Witness, from *ledger.Key) (Copy, error) {
	w.Device = s.Device
	l, err := ledger.Open(ctx, ledger.Options{Store: st, Device: w, From: from, Signer: s.Device.Public(), Rand: s.Rand, Now: s.Clock.Now})
	if err != nil {
		return Copy{}, err
	}
	c := Copy{Ledger: l, Book: &book.Book{Ledger: l, Store: st, Keys: s.Keys, Share: s.Device.LendShare, Clock: s.Clock, Rand: s.Rand}}
	c.Head, c.Note = l.Head()
	if err := c.verify(ctx); err != nil {
		return c, errors.Join(err, l.Close())
	}
	c.Genesis = c.Book.Genesis()
	return c, nil
}

const (
	op     = "restore"
	opCopy = "check copy"
)

func (c Copy) verify(ctx context.Context) error {
	if why := c.Ledger.Held(); why != "" {
		return fault.New(fault.Tampered, opCopy, "", why)
	}
	if c.Ledger.Empty() {
		return fault.New(fault.Tampered, opCopy, "", "there is no account in it")
	}
	if err := c.Book.Load(ctx); err != nil {
		return err
	}
	if err := c.Ledger.Leaves(ctx); err != nil {
		return err
	}
	return c.Book.Records(ctx, func(h canon.Hash, ref string) error {
		if _, err := c.Book.Check(ctx, h, ref); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// Witness is the device as a copy's ledger sees it: it signs, but what it has
// seen is what it is told, and the device's own pin stays as it is.
type Witness struct {
	*device.Device
	Seen device.Pin
	Last device.Pin // of the copy; read it once its ledger is closed
}

func (w *Witness) Pin() (device.Pin, error)             { return w.Seen, nil }
func (w *Witness) SetPin(p device.Pin, sync bool) error { w.Last = p; return nil }
func (w *Witness) RestorePin(p device.Pin) error        { w.Last = p; return nil }

// Unpack writes the parts of a backup into a folder.
func Unpack(dir string, backup io.Reader) (archive.Manifest, error) {
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
			return fault.Wrap(fault.Unavailable, op, p.Name, err)
		}
		return nil
	})
}

// Whole refuses a closed database whose last writes still lie in its log, as on a
// full disk: the file alone is put in place, and would be an older one.
func Whole(path string) error {
	fi, err := os.Stat(path + "-wal")
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && fi.Size() == 0:
		return nil
	case err != nil:
		return fault.Wrap(fault.Unavailable, op, "", err)
	}
	return fault.New(fault.Unavailable, op, "", "the copy could not be written out; nothing was put back").
		WithHint("is the disk of the data folder full? free some space and try again")
}

// replaced is the name under which a database that a backup took the place of
// stays in the data folder. A purge does not reach it: it is the person's to keep
// or to delete.
const replaced = "replaced.db"

// Beside is the path of that database; empty where there is none.
func (s Shelf) Beside() string {
	path := filepath.Join(s.Data, replaced)
	if _, err := os.Lstat(path); err != nil {
		return ""
	}
	return path
}

// Swap puts the checked files in place and sets the pin to them. A crash in
// between leaves the database of before under another name, or a held home; both
// can be restored again.
func (s Shelf) Swap(dir string, m archive.Manifest, pin device.Pin) error {
	fail := func(err error) error { return fault.Wrap(fault.Unavailable, op, s.Data, err) }
	name := filepath.Base(archive.Database)
	at := func(name string) string { return filepath.Join(s.Data, name) }
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
		if p.Name == archive.Move {
			continue
		}
		if err := s.putDraft(filepath.Join(dir, filepath.FromSlash(p.Name))); err != nil {
			return fail(err)
		}
	}
	_ = os.RemoveAll(dir)
	if err := atomicfile.SyncDir(s.Data); err != nil {
		return fail(err)
	}
	return s.Device.RestorePin(pin)
}

// putDraft puts a file of config back where none stands: what a person has
// written since is theirs.
func (s Shelf) putDraft(from string) error {
	to := filepath.Join(s.Config, filepath.Base(from))
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return atomicfile.Write(to, b, 0o600)
}

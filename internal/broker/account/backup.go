package account

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

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
	dir, err := a.shelf.Folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "copy.db")
	if err := a.shelf.Copy(ctx, path); err != nil {
		return err
	}
	m, err := a.shelf.Describe(ctx, path)
	if err != nil {
		return fault.Wrap(fault.Tampered, "backup", "", err).WithHint("the database is not sound, and a backup of it would not be; `thumbturn audit verify` says more")
	}
	parts, err := a.shelf.Parts(&m)
	if err != nil {
		return err
	}
	return archive.Write(w, m, func(name string) (io.ReadCloser, error) {
		if name == archive.Database {
			return os.Open(path)
		}
		return io.NopCloser(bytes.NewReader(parts[name])), nil
	})
}

func busy(op string) error {
	return fault.New(fault.Conflict, op, "", "another backup or restore is under way").WithHint("try again")
}

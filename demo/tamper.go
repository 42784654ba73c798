package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/demo/leak"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

const (
	ownRef   = "op://dev/Billing/credential" // in a standard vault: the person uses it without a gesture
	ownFile  = "own.env"                     // names it
	otherRef = "op://dev/Mailer/credential"

	// notNamed is how a row is refused that is not the one on record.
	notNamed = "its record is not the one the manifest names"
)

// tampering is the last act: whoever can write the database, but has neither
// passphrase nor passkey nor this device, spoils it while the daemon is down. Between two
// spoilings the damage is undone in place: going back to a copy would be a
// rollback, since each start of the daemon is on record too.
func (s *stage) tampering(ctx context.Context) error {
	keys := "the passphrases"
	if s.chromium != "" {
		keys = "the passphrase, the passkey"
	}
	s.story.chapter("Somebody writes to the database", "the daemon is down and the file is theirs; "+keys+" and the device are not")
	old, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := s.unlock(); err != nil {
		return err
	}
	// Of the same length, so that nothing but the cryptography tells the rows apart.
	if _, err := s.person.must(strings.Repeat("x", len(s.key))+"\n", "set", otherRef); err != nil {
		return err
	}
	vault, err := s.vault()
	if err != nil {
		return err
	}
	if err := s.stopped(ctx); err != nil {
		return err
	}
	one, two, err := s.records(ctx, vault)
	if err != nil {
		return err
	}
	flipped := bytes.Clone(one)
	flipped[len(flipped)/2] ^= 1
	if err := s.spoil(ctx, "a flipped byte", func(db []byte) []byte { return bytes.ReplaceAll(db, one, flipped) }); err != nil {
		return err
	}
	if err := s.spoil(ctx, "a swapped row", func(db []byte) []byte { return swap(bytes.ReplaceAll(db, flipped, one), one, two) }); err != nil {
		return err
	}
	now, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := s.rollback(ctx, old); err != nil {
		return err
	}
	return s.restored(ctx, swap(now, one, two))
}

// swap exchanges two rows' bytes of one length, wherever they stand: a page that
// was split keeps an old copy.
func swap(db, one, two []byte) []byte {
	aside := bytes.Repeat([]byte{0xA5}, len(one))
	db = bytes.ReplaceAll(db, one, aside)
	db = bytes.ReplaceAll(db, two, one)
	return bytes.ReplaceAll(db, aside, two)
}

// vault is the id of the vault that the references name.
func (s *stage) vault() (string, error) {
	out, err := s.person.must("", "vault", "list", "--format", "json")
	if err != nil {
		return "", err
	}
	var list []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return "", fmt.Errorf("vault list: %w", err)
	}
	for _, v := range list {
		if v.Name == "dev" {
			return v.ID, nil
		}
	}
	return "", errors.New("there is no vault dev")
}

// records returns the sealed values of the two items. The daemon is down.
func (s *stage) records(ctx context.Context, vault string) (one, two []byte, err error) {
	db, err := sqlite.OpenReadOnly(s.database(), sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	var found [][]byte
	err = db.List(ctx, vault, store.Record, func(b store.Blob) error {
		found = append(found, bytes.Clone(b.Bytes))
		return nil
	})
	if err == nil && (len(found) != 2 || len(found[0]) != len(found[1]) || bytes.Equal(found[0], found[1])) {
		err = fmt.Errorf("there are %d sealed values, not two of one length", len(found))
	}
	if err != nil {
		return nil, nil, err
	}
	return found[0], found[1], nil
}

func (s *stage) database() string { return filepath.Join(s.home, "data", "thumbturn.db") }

// snapshot stops the daemon and reads the database, which is one file then.
func (s *stage) snapshot(ctx context.Context) ([]byte, error) {
	if err := s.stopped(ctx); err != nil {
		return nil, err
	}
	// A reader leaves an empty log behind.
	if fi, err := os.Stat(s.database() + "-wal"); err == nil && fi.Size() > 0 {
		return nil, errors.New("the stopped daemon left its database in more than one file")
	}
	return os.ReadFile(s.database())
}

// replace puts other bytes in the place of the database.
func (s *stage) replace(ctx context.Context, with []byte) error {
	if _, err := s.snapshot(ctx); err != nil {
		return err
	}
	return os.WriteFile(s.database(), with, 0o600)
}

// use is the call of before, now by the person, with the key of the standard vault
// and so without any prompt. The
// second result says whether the key reached the API.
func (s *stage) use() (answered, bool) {
	before := s.servers.Invoices()
	a := s.person.typed("", "run", "--env-file", ownFile, "--", "sh", "call.sh")
	return a, s.servers.Invoices() > before
}

// spoil changes the database and shows that the value is not released and that
// the check of the ledger names it.
func (s *stage) spoil(ctx context.Context, what string, change func([]byte) []byte) error {
	good, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	bad := change(good)
	if bytes.Equal(good, bad) {
		return fmt.Errorf("%s: the row is not in the file", what)
	}
	if err := s.replace(ctx, bad); err != nil {
		return err
	}
	if err := s.unlock(); err != nil {
		return err
	}
	a, used := s.use()
	verify := s.person.typed("", "audit", "verify")
	s.story.prove(a.Code == 1 && !used && strings.Contains(a.Err, notNamed) &&
		verify.Code == 1 && all(verify.Out, "PROBLEM", s.item, notNamed),
		what+" is detected: nothing is released, and the check names the item",
		leak.Hidden(fmt.Sprintf("%+v\n%+v", a, verify), s.key))
	return nil
}

// rollback puts an older database in the place of the present one. It is
// genuine in every byte; only what the device has seen since gives it away.
func (s *stage) rollback(ctx context.Context, old []byte) error {
	if err := s.replace(ctx, old); err != nil {
		return err
	}
	p := s.person
	unlock := p.typed("", "unlock", "--passphrase-file", p.file("unlock")) // may fail: nothing opens here
	status := p.typed("", "status")
	a, used := s.use()
	s.story.prove(a.Code != 0 && !used && all(status.Out, "held", "rolled back"),
		"a database rolled back is detected: the daemon holds it and releases nothing",
		leak.Hidden(fmt.Sprintf("%+v\n%+v\n%+v", unlock, status, a), s.key))
	return nil
}

// restored puts the good database back, and all is well.
func (s *stage) restored(ctx context.Context, good []byte) error {
	if err := s.replace(ctx, good); err != nil {
		return err
	}
	if err := s.unlock(); err != nil {
		return err
	}
	a, used := s.use()
	s.story.prove(a.Code == 0 && used, "put back as it was, it works again", leak.Hidden(fmt.Sprintf("%+v", a), s.key))
	verify := s.person.typed("", "audit", "verify")
	s.story.prove(verify.Code == 0 && strings.Contains(verify.Out, "everything agrees"),
		"the ledger verifies: every statement, event and record", fmt.Sprintf("%+v", verify))
	if s.chromium != "" {
		s.proven()
	}
	return nil
}

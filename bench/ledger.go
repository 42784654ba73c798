package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

const (
	ledgerRounds = 4
	ledgerRound  = 800 * time.Millisecond
	appended     = 256 // bytes that the floor appends and syncs
	manyClients  = 16
)

// ledgerRows compares durable intents with the least that makes anything
// durable: one append and one fsync on the same file system, turn by turn.
func ledgerRows(ctx context.Context, dir string) (rows []table.Row, err error) {
	l, closeAll, err := openLedger(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	f, err := os.OpenFile(filepath.Join(dir, "floor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line := make([]byte, appended)
	floor := func(int) error {
		if _, err := f.Write(line); err != nil {
			return err
		}
		return f.Sync()
	}
	intend := func(int) error {
		id, err := canon.NewID(rand.Reader)
		if err != nil {
			return err
		}
		_, err = l.Intend(ctx, intent(id), id)
		return err
	}
	var base, one, many []float64
	for range ledgerRounds {
		for _, m := range []struct {
			to      *[]float64
			clients int
			f       func(int) error
		}{{&base, 1, floor}, {&one, 1, intend}, {&many, manyClients, intend}} {
			r, err := table.During(ledgerRound, m.clients, m.f)
			if err != nil {
				return nil, err
			}
			*m.to = append(*m.to, r)
		}
	}
	b := table.Median(base)
	r1, r16 := table.Median(one)/b, table.Median(many)/b
	return []table.Row{
		{"durable intents, 1 client", table.Rate(table.Median(one)), "append+fsync " + table.Rate(b), table.Times(r1), ">= 0.70x", table.Met(r1 >= 0.7)},
		{fmt.Sprintf("durable intents, %d clients", manyClients), table.Rate(table.Median(many)), "append+fsync " + table.Rate(b), table.Times(r16), ">= 4x", table.Met(r16 >= 4)},
	}, nil
}

// intent has the size of a real one: a request of one reference and the
// evidence of its caller.
func intent(id string) canon.Event {
	digest := canon.Digest("bench\x00", []byte(id))
	raw := fmt.Appendf(nil, `{"id":%q,"pad":"%0900d"}`, id, 0)
	return canon.Event{Request: id, Digest: &digest, Action: "hold", Outcome: "allowed", Kind: "person",
		Refs: []string{"op://bench/run/token"}, Raw: raw}
}

func openLedger(ctx context.Context, dir string) (*ledger.Ledger, func() error, error) {
	data, dev := filepath.Join(dir, "data"), filepath.Join(dir, "device")
	for _, d := range []string{dir, data, dev} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, nil, err
		}
	}
	d, err := device.Create(dev, data, rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(filepath.Join(data, "bench.db"), sqlite.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	l, err := ledger.Open(ctx, ledger.Options{Store: db, Device: d, Signer: d.Public(), Rand: rand.Reader, Now: time.Now})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close(), d.Close())
	}
	closeAll := func() error { return errors.Join(l.Close(), db.Close(), d.Close()) }
	key, err := sealed.KEM().GenerateKey()
	if err == nil {
		err = l.Begin(canon.Genesis{Account: "bench", Device: d.ID(), LedgerKEM: key.PublicKey().Bytes()})
	}
	if err == nil {
		// The head is pinned once there is a statement, as in any real home.
		s := canon.Statement{Type: canon.TypeSetting, Subject: "bench", Version: 1,
			Payload: canon.Encode(canon.Setting{V: 1, Name: "bench", Value: "1"})}
		_, err = l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{{Statement: s}}})
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return l, closeAll, nil
}

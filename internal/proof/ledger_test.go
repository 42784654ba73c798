package proof_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/proof"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// pinned is a device in memory.
type pinned struct {
	*log
	pin device.Pin
}

func (p *pinned) ID() string                          { return p.name }
func (p *pinned) Sign(msg []byte) []byte              { return ed25519.Sign(p.device, msg) }
func (p *pinned) Pin() (device.Pin, error)            { return p.pin, nil }
func (p *pinned) SetPin(pin device.Pin, _ bool) error { p.pin = pin; return nil }
func (p *pinned) RestorePin(pin device.Pin) error     { p.pin = pin; return nil }

// TestRealLedger verifies what the ledger itself wrote and proved.
func TestRealLedger(t *testing.T) {
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l, random := sample(0), &recorder{}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "l.db"), sqlite.Options{})
	must(err)
	defer func() { _ = db.Close() }()
	led, err := ledger.Open(ctx, ledger.Options{Store: db, Device: &pinned{log: l}, Signer: l.device.Public().(ed25519.PublicKey), Rand: random, Now: time.Now})
	must(err)
	defer func() { _ = led.Close() }()
	kem, err := sealed.KEM().GenerateKey()
	must(err)
	must(led.Begin(canon.Genesis{Account: account, Device: l.name, LedgerKEM: kem.PublicKey().Bytes()}))
	for _, s := range l.statements {
		parsed, err := canon.ParseStatement(s.body)
		must(err)
		evs := []canon.Event{{V: 1, Type: canon.EventWrite, Time: 1, Reason: "<&>"}, {V: 1, Type: canon.EventUnlock, Time: 2}}
		_, err = led.Append(ctx, ledger.Entry{Statements: []ledger.Signed{{Statement: parsed, Sig: s.sig}}, Events: evs})
		must(err)
		for _, ev := range evs {
			l.events = append(l.events, event{random.salt(len(l.events)), canon.Encode(ev)})
		}
	}
	head, note := led.Head()
	if head.Events != 16 || head.Statements != 8 {
		t.Fatal(head)
	}
	r, err := proof.Verify(bytes.NewReader(file(l.linesUnder(string(note)))), proof.Options{})
	must(err)
	if r.Events != 16 || r.Statements != 8 || r.Root != canon.RootFingerprint(l.root.Public().(ed25519.PublicKey)) {
		t.Error(r)
	}
	for n := range head.Events {
		_, note, path, err := led.Prove(n)
		must(err)
		rec := l.receipt(int(n))
		rec.Head, rec.Path = string(note), []string{}
		for _, h := range path {
			rec.Path = append(rec.Path, h.String())
		}
		if _, err := proof.Receipt([]byte(marshal(rec)), l.device.Public().(ed25519.PublicKey)); err != nil {
			t.Errorf("event %d: %v", n, err)
		}
	}
}

// recorder remembers the randomness that it gave: the event key, and then the
// salt of each event, which otherwise only the ciphertext holds.
type recorder struct{ bytes.Buffer }

func (r *recorder) Read(b []byte) (int, error) {
	n, err := rand.Read(b)
	r.Write(b[:n])
	return n, err
}

func (r *recorder) salt(n int) []byte { return r.Bytes()[32+32*n : 64+32*n] }

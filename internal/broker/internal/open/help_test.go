package open

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"path/filepath"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

func sha(b []byte) canon.Hash { return sha256.Sum256(b) }

type clock struct{}

func (clock) Now() time.Time           { return time.Now() }
func (clock) SinceBoot() time.Duration { return time.Hour }

// paper is a device that keeps nothing.
type paper struct{ key ed25519.PrivateKey }

func (paper) ID() string                    { return "d" }
func (p paper) Sign(b []byte) []byte        { return ed25519.Sign(p.key, b) }
func (paper) Pin() (device.Pin, error)      { return device.Pin{}, nil }
func (paper) SetPin(device.Pin, bool) error { return nil }
func (paper) RestorePin(p device.Pin) error { return nil }

// testLedger is a real ledger, so that intents are real.
func testLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "l.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	l, err := ledger.Open(context.Background(), ledger.Options{Store: db, Device: paper{key},
		Signer: key.Public().(ed25519.PublicKey), Rand: rand.Reader, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); _ = db.Close() })
	kem, _ := sealed.KEM().GenerateKey()
	if err := l.Begin(canon.Genesis{Account: "a", Device: "d", LedgerKEM: kem.PublicKey().Bytes()}); err != nil {
		t.Fatal(err)
	}
	return l
}

package open

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Where the passphrase has ended, the PIN alone opens all there is, what is made
// later too, and can bring a passphrase back; never the session.
func TestPINAlone(t *testing.T) {
	t.Parallel()
	w := found(t)
	secret := bytes.Repeat([]byte{7}, 32)
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), w.roster.Guarded())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	next, err := g.AddPIN(w.roster, secret)
	if err != nil {
		t.Fatal(err)
	}
	both := Roster{Roster: next, Version: 2}
	if id, ok := both.PINSlot(); !ok || !canon.IsID(id) || !both.HasPassphrase() {
		t.Fatalf("%q, %v", id, ok)
	}
	if _, ok := (Roster{Roster: both.RemovePIN()}).PINSlot(); ok {
		t.Error("it is there after its removal")
	}
	alone := Roster{Roster: both.EndPassphrase(), Version: 3}
	if _, err := w.k.Gesture(alone, presencePass, share(1), w.place(), nil); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "the PIN approves") {
		t.Errorf("the passphrase: %v", err)
	}
	if _, err := w.k.PIN(w.roster, secret, share(1), w.place(), nil); !fault.Is(err, fault.Denied) {
		t.Errorf("before it is set: %v", err)
	}
	if _, err := w.k.PIN(alone, secret, share(1), w.place(), []string{"session"}); err == nil {
		t.Error("it opens the session")
	}
	for what, s := range map[string]Share{"another secret": share(1), "another share": share(2)} {
		wrong := bytes.Clone(secret)
		if what == "another secret" {
			wrong[0]++
		}
		if _, err := w.k.PIN(alone, wrong, s, w.place(), nil); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s: %v", what, err)
		}
	}
	p, err := w.k.PIN(alone, secret, share(1), w.place(), alone.Guarded())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Root().Sign([]byte("x")); err != nil {
		t.Error(err)
	}
	id, _ := canon.NewID(rand.Reader)
	_, later, err := p.NewVault(alone.Roster, id, "later", canon.TierPresence, "")
	if err != nil {
		t.Fatal(err)
	}
	grown := Roster{Roster: later, Version: 4}
	p2, err := w.k.PIN(grown, secret, share(1), w.place(), grown.Guarded())
	if err != nil {
		t.Fatal(err)
	}
	defer p2.Close()
	back, err := p2.AddPassphrase(grown, presencePass)
	if err != nil {
		t.Fatal(err)
	}
	g2, err := w.k.Gesture(Roster{Roster: back, Version: 5}, presencePass, share(1), w.place(), grown.Guarded())
	g2.Close()
	err2 := w.opensNot(p2, grown)
	if err = errors.Join(err, err2); err != nil {
		t.Error(err)
	}
}

// opensNot rotates the keys of what a PIN opened, and tries it once more.
func (w *world) opensNot(g *Gesture, r Roster) error {
	out, _, err := g.Rotate(r, r.RemovePIN(), []canon.Vault{w.vaults[canon.TierPresence]})
	if err != nil {
		return err
	}
	if p, err := w.k.PIN(Roster{Roster: out, Version: r.Version + 1}, bytes.Repeat([]byte{7}, 32), share(1), w.place(), nil); err == nil {
		p.Close()
		return errors.New("a removed PIN opens")
	}
	return nil
}

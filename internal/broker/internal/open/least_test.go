package open

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// What the descriptor takes counts where a value opens, whatever the gesture had a slot
// for; a word that is not known, or is no word for the tier, opens nothing.
func TestLeastWhereItOpens(t *testing.T) {
	t.Parallel()
	w := found(t)
	l := testLedger(t)
	secret := []byte("the value")
	id := w.vaults[canon.TierPresence].ID
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{id}) // there is a slot
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, c := range []struct {
		tier  canon.Tier
		word  canon.Least
		opens bool
	}{
		{canon.TierPresence, canon.LeastPresence, true}, {canon.TierPresence, canon.LeastUnlock, true}, {canon.TierPresence, canon.LeastPIN, false},
		{canon.TierPresence, canon.LeastPasskey, false}, {canon.TierPresence, "", false}, {canon.TierPresence, "thumb", false},
		{canon.TierStandard, canon.LeastUnlock, true}, {canon.TierStandard, canon.LeastPresence, false}, {canon.TierStandard, canon.LeastPasskey, false},
		{canon.TierStandard, "", false}, {canon.TierStandard, "thumb", false},
	} {
		v := w.vaults[c.tier]
		v.MinApproval = c.word
		if err := w.k.AddVault(v, w.g.Account); err != nil {
			t.Fatal(err)
		}
		rec := w.record(c.tier, secret)
		p, err := w.permit(l, w.raw(rec), policy.Ask, g, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		err = w.k.Open(context.Background(), p, rec, func(b []byte) error { got = bytes.Clone(b); return nil })
		if c.opens != bytes.Equal(got, secret) || !c.opens && !fault.Is(err, fault.Denied) {
			t.Errorf("%s that takes %q: %q, %v", c.tier, c.word, got, err)
		}
	}
	// A roster that knows what the vault takes lets no slot of a weaker way open it.
	for word, opens := range map[canon.Least]bool{canon.LeastPresence: true, canon.LeastPIN: false, canon.LeastPasskey: false, "": false, "thumb": false} {
		r := w.roster
		r.Least = slot.Least{id: word}
		g, err := w.k.Gesture(r, presencePass, share(1), w.place(), []string{id})
		if (err == nil) != opens || !opens && !fault.Is(err, fault.Denied) {
			t.Errorf("a vault that takes %q: %v", word, err)
		}
		g.Close()
		if g, err = w.k.Gesture(r, presencePass, share(1), w.place(), []string{"account"}); err != nil {
			t.Errorf("the account, beside it: %v", err)
		}
		g.Close()
	}
}

// A long value of an epoch before streams by the gesture of now, as whole ones open.
func TestStreamOfBefore(t *testing.T) {
	t.Parallel()
	w, l, ctx := found(t), testLedger(t), context.Background()
	text := bytes.Repeat([]byte("0123456789abcdef"), 10000)
	id := w.vaults[canon.TierPresence].ID
	old, _ := w.long(canon.TierPresence, text)
	g := w.gesture()
	defer g.Close()
	next, v, err := g.Retake(w.roster, w.vaults[canon.TierPresence], canon.LeastPresence)
	if err != nil {
		t.Fatal(err)
	}
	w.vaults[canon.TierPresence], w.roster = v, Roster{Roster: next, Version: w.roster.Version + 1}
	if err := w.k.AddVault(v, w.g.Account); err != nil {
		t.Fatal(err)
	}
	fresh, _ := w.long(canon.TierPresence, text)
	if old.Epoch != 1 || fresh.Epoch != 2 {
		t.Fatalf("epochs %d and %d", old.Epoch, fresh.Epoch)
	}
	now, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	read := func(r Record) (got []byte, err error) {
		p, err := w.permit(l, w.raw(r), policy.Ask, now, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = w.k.Stream(ctx, p, r, func(x sealed.Text) error {
			return x.Each(func(b []byte) error { got = append(got, b...); return nil })
		})
		return got, err
	}
	for _, r := range []Record{old, fresh} {
		if got, err := read(r); err != nil || !bytes.Equal(got, text) {
			t.Errorf("of epoch %d: %d bytes, %v", r.Epoch, len(got), err)
		}
		for _, epoch := range []int64{0, 3 - r.Epoch, 3} {
			wrong := r
			wrong.Epoch = epoch
			if got, err := read(wrong); !fault.Is(err, fault.Tampered) {
				t.Errorf("of epoch %d, as of %d: %d bytes, %v", r.Epoch, epoch, len(got), err)
			}
		}
	}
}

// A gesture of before a vault's keys changed opens nothing any more, and is told so:
// that is no tampering.
func TestGestureOfBefore(t *testing.T) {
	t.Parallel()
	w := found(t)
	l := testLedger(t)
	v := w.vaults[canon.TierPresence]
	rec := w.record(canon.TierPresence, []byte("old"))
	g := w.gesture()
	defer g.Close()
	p, err := w.permit(l, w.raw(rec), policy.Ask, g, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, moved, err := g.Rotate(w.roster, w.roster.EndPassphrase(), []canon.Vault{v})
	if err != nil || len(moved) != 1 {
		t.Fatal(err)
	}
	if err := w.k.AddVault(moved[0], w.g.Account); err != nil {
		t.Fatal(err)
	}
	err = w.k.Open(context.Background(), p, rec, func([]byte) error { return errors.New("it opened") })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
	if c, _ := (Roster{Roster: next}).Compartment(v.ID); len(c.Seeds) != 1 {
		t.Errorf("sealed to %d slots, not to that of the recovery code alone", len(c.Seeds))
	}
	g2 := &Gesture{k: w.k, at: g.at, seeds: map[string]lend{}} // that did not open it
	if _, _, err := g2.Retake(w.roster, v, canon.LeastPasskey); !fault.Is(err, fault.Denied) {
		t.Errorf("by a gesture that did not open the vault: %v", err)
	}
}

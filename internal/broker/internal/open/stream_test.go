package open

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// long seals a text in pieces, kept in a map.
func (w *world) long(tier canon.Tier, text []byte) (Record, map[canon.Hash][]byte) {
	v, pieces := w.vaults[tier], map[canon.Hash][]byte{}
	at := sealed.Context{Type: sealed.TypeValue, Account: w.g.Account, Vault: v.ID, Epoch: v.Epoch, Item: "i", Field: "f", Revision: 1}
	list, err := sealed.Long(v.Public, at, sealed.Text{Size: int64(len(text)), Each: func(use func([]byte) error) error {
		for c := range slices.Chunk(text, sealed.ChunkSize) {
			if err := use(c); err != nil {
				return err
			}
		}
		return nil
	}}, func(name canon.Hash, b []byte) error { pieces[name] = b; return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	r := Record{Subject: canon.Subject{Ref: "op://v/i/f", Vault: v.ID, Item: "i", Field: "f", Revision: 1, Tier: tier, Record: sha(list)},
		Epoch: v.Epoch, Bytes: list, Piece: func(_ context.Context, name canon.Hash) ([]byte, error) { return pieces[name], nil }}
	return r, pieces
}

func TestStream(t *testing.T) {
	t.Parallel()
	w, l, ctx := found(t), testLedger(t), context.Background()
	text := bytes.Repeat([]byte("0123456789abcdef"), 10000)
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{w.vaults[canon.TierPresence].ID})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	fails := errors.New("the sink fails")
	for _, tier := range []canon.Tier{canon.TierStandard, canon.TierPresence} {
		r, _ := w.long(tier, text)
		p, err := w.permit(l, w.raw(r), policy.Ask, g, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.k.Open(ctx, p, r, func([]byte) error { t.Error("opened whole"); return nil }); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s, whole: %v", tier, err)
		}
		p, _ = w.permit(l, w.raw(r), policy.Ask, g, nil)
		var got []byte
		err = w.k.Stream(ctx, p, r, func(x sealed.Text) error {
			if x.Size != int64(len(text)) {
				t.Errorf("%d bytes announced", x.Size)
			}
			if err := x.Each(func(b []byte) error { got = append(got, b...); return nil }); err != nil {
				return err
			}
			if err := x.Each(func([]byte) error { t.Error("lent twice"); return nil }); !fault.Is(err, fault.Denied) {
				t.Errorf("lent twice: %v", err)
			}
			return nil
		})
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes: %v", tier, len(got), err)
		}
		if err := w.k.Stream(ctx, p, r, func(sealed.Text) error { t.Error("opened twice"); return nil }); !fault.Is(err, fault.Denied) {
			t.Errorf("a permit was used twice: %v", err)
		}
		p, _ = w.permit(l, w.raw(r), policy.Ask, g, nil)
		if err := w.k.Stream(ctx, p, r, func(x sealed.Text) error { return x.Each(func([]byte) error { return fails }) }); err != fails {
			t.Errorf("%s, the sink's own error: %v", tier, err)
		}
		if err := w.k.Stream(ctx, Permit{}, r, func(sealed.Text) error { t.Error("opened"); return nil }); !fault.Is(err, fault.Denied) {
			t.Errorf("the zero permit: %v", err)
		}
	}
}

// Nothing is lent of a value of which any piece is wrong; one that goes wrong
// between the two passes ends the second where it is met.
func TestStreamOfDamage(t *testing.T) {
	t.Parallel()
	w, l, ctx := found(t), testLedger(t), context.Background()
	text := bytes.Repeat([]byte{7}, 3*sealed.ChunkSize+5)
	lost := fault.New(fault.Tampered, "open", "op://v/i/f", "it is gone")
	_, names, _ := sealed.List(func() []byte { r, _ := w.long(canon.TierStandard, text); return r.Bytes }())
	if len(names) != 4 {
		t.Fatalf("%d pieces", len(names))
	}
	for name, spoil := range map[string]func(r *Record, names []canon.Hash, pieces map[canon.Hash][]byte){
		"last piece flipped": func(_ *Record, n []canon.Hash, p map[canon.Hash][]byte) { p[n[3]][10] ^= 1 },
		"pieces exchanged":   func(_ *Record, n []canon.Hash, p map[canon.Hash][]byte) { p[n[0]], p[n[1]] = p[n[1]], p[n[0]] },
		"piece missing":      func(_ *Record, n []canon.Hash, p map[canon.Hash][]byte) { delete(p, n[2]) },
		"piece lost": func(r *Record, _ []canon.Hash, _ map[canon.Hash][]byte) {
			r.Piece = func(context.Context, canon.Hash) ([]byte, error) { return nil, lost }
		},
		"no way to pieces": func(r *Record, _ []canon.Hash, _ map[canon.Hash][]byte) { r.Piece = nil },
		"list cut":         func(r *Record, _ []canon.Hash, _ map[canon.Hash][]byte) { r.Bytes = r.Bytes[:len(r.Bytes)-1] },
		"list cut and named": func(r *Record, _ []canon.Hash, _ map[canon.Hash][]byte) {
			r.Bytes = r.Bytes[:len(r.Bytes)-32]
			r.Record = sha(r.Bytes)
		},
		"other field":   func(r *Record, _ []canon.Hash, _ map[canon.Hash][]byte) { r.Field = "g" },
		"a whole value": func(r *Record, _ []canon.Hash, _ map[canon.Hash][]byte) { *r = w.record(canon.TierStandard, text) },
	} {
		r, pieces := w.long(canon.TierStandard, text)
		_, names, _ := sealed.List(r.Bytes)
		spoil(&r, names, pieces)
		p, err := w.permit(l, w.raw(r), policy.Allow, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.k.Stream(ctx, p, r, func(sealed.Text) error { t.Errorf("%s: lent", name); return nil }); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		between func(n []canon.Hash, p map[canon.Hash][]byte)
		want    fault.Kind
		chunks  int
	}{
		"flipped between": {func(n []canon.Hash, p map[canon.Hash][]byte) {
			p[n[2]] = append(bytes.Clone(p[n[2]][:50]), p[n[2]][49:]...)
		}, fault.Tampered, 2},
		"locked between": {func([]canon.Hash, map[canon.Hash][]byte) { w.k.Lock() }, fault.Locked, 0},
	} {
		if err := w.again(unlockPass); err != nil {
			t.Fatal(err)
		}
		r, pieces := w.long(canon.TierStandard, text)
		_, names, _ := sealed.List(r.Bytes)
		p, err := w.permit(l, w.raw(r), policy.Allow, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = w.k.Stream(ctx, p, r, func(x sealed.Text) error {
			c.between(names, pieces)
			return x.Each(func([]byte) error { n++; return nil })
		})
		if !fault.Is(err, c.want) || n != c.chunks {
			t.Errorf("%s: %d chunks: %v", name, n, err)
		}
	}
}

// Package pieces is how a long value gets into the store and out of it again:
// sealed chunk by chunk, in pieces that are committed before the manifest which
// makes them current (spec/record.md §4.2).
//
// A mark says that a write is under way. It comes with the first pieces and goes
// in the transaction of the manifest, so what is found under a mark at the start
// of the daemon belongs to nobody. Nothing here opens anything.
package pieces

import (
	"context"
	"crypto/sha256"
	"io"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
)

const (
	// batch is how many pieces share a transaction: 2 MiB, all that is held of a
	// value.
	batch = 32
	// erased is how many are erased at a time: erasing takes room too, and a disk
	// that is nearly full has little.
	erased = 64
	// markSize is the length of a mark, random bytes.
	markSize = 32
)

// Intake is a long value in pieces that no manifest names yet.
type Intake struct {
	List []byte // the record
	Mark store.Hash

	ledger *ledger.Ledger
	store  store.Store
	names  []store.Hash
}

// Write seals a text to a public key and commits its pieces. c says where. On an
// error it has erased what it committed, as far as the store lets it.
func Write(ctx context.Context, l *ledger.Ledger, st store.Store, rand io.Reader, public []byte, c sealed.Context, text sealed.Text) (*Intake, error) {
	in := &Intake{ledger: l, store: st}
	mark := make([]byte, markSize)
	if _, err := io.ReadFull(rand, mark); err != nil {
		return nil, fault.Wrap(fault.Internal, "seal", c.Field, err)
	}
	in.Mark = sha256.Sum256(mark)
	held := []store.Blob{{Hash: in.Mark, Kind: store.Mark, Item: c.Item, Bytes: mark}}
	flush := func() error {
		_, err := l.Append(ctx, ledger.Entry{Blobs: held})
		held = nil
		return err
	}
	list, err := sealed.Long(public, c, text, func(name canon.Hash, piece []byte) error {
		in.names = append(in.names, store.Hash(name))
		held = append(held, store.Blob{Hash: store.Hash(name), Kind: store.Piece, Vault: c.Item, Item: c.Item, Bytes: piece})
		if len(held) < batch {
			return nil
		}
		return flush()
	})
	if err == nil && len(held) > 0 {
		err = flush()
	}
	if err != nil {
		in.Discard(ctx)
		return nil, err
	}
	in.List = list
	return in, nil
}

// Discard erases the pieces again, unless a manifest made them current: then the
// mark is gone. What it cannot erase, the next start does.
func (in *Intake) Discard(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if in.store.Blobs(ctx, []store.Hash{in.Mark}, func(store.Blob) error { return nil }) != nil {
		return
	}
	_ = erase(ctx, in.ledger, in.names, in.Mark)
}

// erase erases pieces in steps, and the mark with the last one.
func erase(ctx context.Context, l *ledger.Ledger, names []store.Hash, mark store.Hash) error {
	for len(names) > erased {
		if _, err := l.Append(ctx, ledger.Entry{Erase: names[:erased]}); err != nil {
			return err
		}
		names = names[erased:]
	}
	_, err := l.Append(ctx, ledger.Entry{Erase: append(names[:len(names):len(names)], mark)})
	return err
}

// Sweep erases what writes that broke off have left. It is for the start of the
// daemon, when no write can be under way; it needs no key.
func Sweep(ctx context.Context, l *ledger.Ledger, st store.Store) error {
	var marks []store.Blob
	err := st.List(ctx, "", store.Mark, func(b store.Blob) error {
		marks = append(marks, b)
		return ctx.Err()
	})
	if err != nil || len(marks) == 0 {
		return err
	}
	for _, m := range marks {
		named, err := namedBy(ctx, st, m.Item)
		if err != nil {
			return err
		}
		var loose []store.Hash
		err = st.List(ctx, m.Item, store.Piece, func(b store.Blob) error {
			if !named[b.Hash] {
				loose = append(loose, b.Hash)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		if err := erase(ctx, l, loose, m.Hash); err != nil {
			return err
		}
	}
	return nil
}

// namedBy returns the pieces that the lists of an item's manifests name, of all
// its revisions.
func namedBy(ctx context.Context, st store.Store, item string) (map[store.Hash]bool, error) {
	out := map[store.Hash]bool{}
	err := st.Statements(ctx, 0, func(row store.Statement) error {
		s, err := canon.ParseStatement(row.Body)
		if err != nil || s.Type != canon.TypeItem || s.Subject != item {
			return err
		}
		var m canon.Item
		if err := canon.Decode(s.Payload, &m); err != nil {
			return fault.New(fault.Tampered, "sweep", item, "malformed manifest")
		}
		for _, r := range m.Values() {
			names, err := Of(ctx, st, r.Hash)
			if err != nil {
				return err
			}
			for _, n := range names {
				out[n] = true
			}
		}
		return nil
	})
	return out, err
}

// Of returns the pieces that a record lists: none where it is no list, or was
// erased.
func Of(ctx context.Context, st store.Store, record canon.Hash) (names []store.Hash, err error) {
	err = st.Blobs(ctx, []store.Hash{store.Hash(record)}, func(b store.Blob) error {
		if !sealed.IsList(b.Bytes) {
			return nil
		}
		_, list, err := sealed.List(b.Bytes)
		for _, n := range list {
			names = append(names, store.Hash(n))
		}
		return err
	})
	if fault.Is(err, fault.Tampered) { // missing
		return nil, nil
	}
	return names, err
}

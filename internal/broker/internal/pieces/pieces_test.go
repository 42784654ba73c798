package pieces

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// paper is a device that keeps nothing.
type paper struct{ key ed25519.PrivateKey }

func (paper) ID() string                    { return "d" }
func (p paper) Sign(b []byte) []byte        { return ed25519.Sign(p.key, b) }
func (paper) Pin() (device.Pin, error)      { return device.Pin{}, nil }
func (paper) SetPin(device.Pin, bool) error { return nil }
func (paper) RestorePin(device.Pin) error   { return nil }

// counting is a store that tells how large commits are, and fails when told to.
type counting struct {
	store.Store
	most  int   // blobs in one commit
	left  int   // commits with blobs until one fails; below 0 never
	fails error // of erasing, too
}

func (c *counting) Commit(ctx context.Context, b store.Batch) error {
	c.most = max(c.most, len(b.Blobs))
	if len(b.Blobs) > 0 {
		if c.left--; c.left == -1 {
			return fault.New(fault.Unavailable, "commit", "", "the disk is full")
		}
	}
	if len(b.Erase) > 0 && c.fails != nil {
		return c.fails
	}
	return c.Store.Commit(ctx, b)
}

type world struct {
	t   *testing.T
	st  *counting
	l   *ledger.Ledger
	pub []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "l.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	w := &world{t: t, st: &counting{Store: db, left: -2}}
	w.l, err = ledger.Open(t.Context(), ledger.Options{Store: w.st, Device: paper{key}, Signer: key.Public().(ed25519.PublicKey), Rand: rand.Reader, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.l.Close(); _ = db.Close() })
	kem, _ := sealed.KEM().GenerateKey()
	w.pub = kem.PublicKey().Bytes()
	return w
}

// text lends n chunks and one byte, and then fails with err.
func text(n int, err error) sealed.Text {
	return sealed.Text{Size: int64(n)*sealed.ChunkSize + 1, Each: func(use func([]byte) error) error {
		for range n {
			if err := use(make([]byte, sealed.ChunkSize)); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		return use([]byte{1})
	}}
}

func (w *world) write(item string, x sealed.Text) (*Intake, error) {
	return Write(w.t.Context(), w.l, w.st, rand.Reader, w.pub, sealed.Context{Type: sealed.TypeValue, Vault: "v", Item: item, Field: "f"}, x)
}

func (w *world) want(item string, pieces, marks int, when string) {
	w.t.Helper()
	count := func(vault string, kind store.BlobKind) (n int) {
		if err := w.st.List(w.t.Context(), vault, kind, func(store.Blob) error { n++; return nil }); err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	if p, m := count(item, store.Piece), count("", store.Mark); p != pieces || m != marks {
		w.t.Errorf("%s: %d pieces and %d marks, want %d and %d", when, p, m, pieces, marks)
	}
}

// manifest makes a list current, as a book does: record, statement and the end of
// the mark in one entry.
func (w *world) manifest(item string, in *Intake) {
	w.t.Helper()
	h := canon.Hash(sha256.Sum256(in.List))
	s := canon.Statement{Type: canon.TypeItem, Subject: item, Payload: canon.Encode(canon.Item{V: 1, Vault: "v", State: canon.StateCurrent,
		Records: []canon.FieldHash{{Field: "f", Hash: h}}})}
	v, parent := w.l.Version(s.Key())
	s.Version, s.Parent = v+1, parent
	_, err := w.l.Append(w.t.Context(), ledger.Entry{Statements: []ledger.Signed{{Statement: s}}, Erase: []store.Hash{in.Mark},
		Blobs: []store.Blob{{Hash: store.Hash(h), Kind: store.Record, Vault: "v", Item: item, Bytes: in.List}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	w := newWorld(t)
	in, err := w.write("i", text(3*batch, nil))
	if err != nil {
		t.Fatal(err)
	}
	w.want("i", 3*batch+1, 1, "written")
	if w.st.most > batch {
		t.Errorf("%d blobs in one commit", w.st.most)
	}
	w.manifest("i", in)
	w.want("i", 3*batch+1, 0, "current")
	in.Discard(t.Context())
	w.want("i", 3*batch+1, 0, "current, and discarded by mistake")
	names, err := Of(t.Context(), w.st, sha256.Sum256(in.List))
	if err != nil || !slices.Equal(names, in.names) || len(names) != 3*batch+1 {
		t.Errorf("%d names: %v", len(names), err)
	}
	for _, none := range []canon.Hash{{1}, canon.Hash(in.names[0])} { // missing; no list
		if names, err := Of(t.Context(), w.st, none); err != nil || len(names) != 0 {
			t.Errorf("%d names: %v", len(names), err)
		}
	}
	next, err := w.write("i", text(1, nil))
	if err != nil {
		t.Fatal(err)
	}
	next.Discard(t.Context())
	w.want("i", 3*batch+1, 0, "another one discarded")
}

func TestWriteFails(t *testing.T) {
	cut := errors.New("cut off")
	for name, x := range map[string]struct {
		text sealed.Text
		left int
		pub  bool
	}{
		"at once": {text(0, cut), -2, false}, "in the middle": {text(batch+5, cut), -2, false}, "by the store at once": {text(batch, nil), 0, false},
		"by the store later": {text(3*batch, nil), 2, false}, "at the last piece": {text(batch-1, nil), 1, false}, "no key": {text(1, nil), -2, true},
		"too long": {sealed.Text{Size: sealed.MaxLong + 1, Each: text(1, nil).Each}, -2, false},
	} {
		w := newWorld(t)
		if w.st.left = x.left; x.pub {
			w.pub = nil
		}
		if in, err := w.write("i", x.text); err == nil || in != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.want("i", 0, 0, name)
	}
	w := newWorld(t)
	if _, err := Write(t.Context(), w.l, w.st, bytes.NewReader(nil), w.pub, sealed.Context{}, text(1, nil)); err == nil {
		t.Error("a mark without randomness")
	}
}

// What broke off is swept, of all items, and nothing that a manifest ever named.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	if err := Sweep(t.Context(), w.l, w.st); err != nil {
		t.Fatal(err)
	}
	for _, item := range []string{"i", "i", "j", "k"} { // i has an earlier revision too
		in, err := w.write(item, text(2, nil))
		if err != nil {
			t.Fatal(err)
		}
		w.manifest(item, in)
	}
	w.st.fails = errors.New("nothing can be erased")
	if _, err := w.write("i", text(erased+3, errors.New("cut off"))); err == nil {
		t.Fatal("written")
	}
	w.st.fails = nil
	for _, item := range []string{"i", "new"} {
		if _, err := w.write(item, text(1, nil)); err != nil { // as if killed before the manifest
			t.Fatal(err)
		}
	}
	w.want("i", 6+2*batch-1+2, 3, "before") // the mark is one of the first batch
	w.st.fails = errors.New("not yet")
	if err := Sweep(t.Context(), w.l, w.st); err == nil {
		t.Error("swept, though nothing can be erased")
	}
	w.st.fails = nil
	for range 2 {
		if err := Sweep(t.Context(), w.l, w.st); err != nil {
			t.Fatal(err)
		}
		w.want("i", 6, 0, "after")
		w.want("j", 3, 0, "another item")
		w.want("new", 0, 0, "an item that never was")
	}
}

package sealed

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// lend makes a Text of bytes.
func lend(b []byte) Text {
	return Text{Size: int64(len(b)), Each: func(use func([]byte) error) error {
		for c := range slices.Chunk(b, ChunkSize) {
			if err := use(bytes.Clone(c)); err != nil {
				return err
			}
		}
		return nil
	}}
}

func long(t interface{ Fatal(...any) }, key hpke.PrivateKey, ctx Context, text []byte) (list []byte, pieces map[canon.Hash][]byte) {
	pieces = map[canon.Hash][]byte{}
	list, err := Long(key.PublicKey().Bytes(), ctx, lend(text), func(name canon.Hash, b []byte) error {
		if name != sha256.Sum256(b) {
			t.Fatal("a piece under another name")
		}
		pieces[name] = bytes.Clone(b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, pieces
}

var errName = errors.New("another name")

// openLong is the read half, written again.
func openLong(key hpke.PrivateKey, ctx Context, list []byte, pieces map[canon.Hash][]byte) ([]byte, error) {
	enc, names, err := List(list)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(enc, key, KDF(), AEAD(), ctx.Info())
	if err != nil {
		return nil, err
	}
	var out []byte
	for i, name := range names {
		if sha256.Sum256(pieces[name]) != name {
			return nil, errName
		}
		last := i == len(names)-1
		ct, err := Piece(pieces[name], last)
		if err != nil {
			return nil, err
		}
		p, err := r.Open(ChunkAAD(FormList, uint64(i), last), ct)
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
	}
	return out, nil
}

func TestLong(t *testing.T) {
	key, err := KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	ctx := Context{Type: TypeValue, Account: "a", Vault: "v", Epoch: 1, Item: "i", Field: "f", Revision: 2}
	rapid.Check(t, func(t *rapid.T) {
		text := bytes.Repeat([]byte{rapid.Byte().Draw(t, "b")}, rapid.OneOf(rapid.IntRange(1, 3*ChunkSize+9),
			rapid.SampledFrom([]int{1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize})).Draw(t, "n"))
		list, pieces := long(t, key, ctx, text)
		if !IsList(list) || len(pieces) != (len(text)+ChunkSize-1)/ChunkSize {
			t.Fatalf("%d bytes make %d pieces", len(text), len(pieces))
		}
		got, err := openLong(key, ctx, list, pieces)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes do not come back: %v", len(text), err)
		}
	})
	keep := func(canon.Hash, []byte) error { return nil }
	lie := func(size int64) Text { return Text{Size: size, Each: lend(make([]byte, ChunkSize+1)).Each} }
	cut := Text{Size: ChunkSize, Each: func(use func([]byte) error) error { return use(make([]byte, 5)) }}
	none := Text{Size: 5, Each: func(use func([]byte) error) error { return use(nil) }}
	for name, text := range map[string]Text{"empty": lie(0), "negative": lie(-1), "over the limit": lie(MaxLong + 1), "shorter": lie(ChunkSize),
		"longer": lie(ChunkSize + 2), "a short chunk": cut, "an empty chunk": none} {
		if _, err := Long(key.PublicKey().Bytes(), ctx, text, keep); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
	if _, err := Long(key.PublicKey().Bytes()[1:], ctx, lend([]byte{1}), keep); err == nil {
		t.Error("a cut public key was accepted")
	}
	full := errors.New("full")
	if _, err := Long(key.PublicKey().Bytes(), ctx, lend([]byte{1}), func(canon.Hash, []byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("what keeps no piece: %v", err)
	}
}

// Whatever is done to the list or to a piece is found: by the form, by the name,
// or by the cipher.
func TestTamperedLists(t *testing.T) {
	key, _ := KEM().GenerateKey()
	ctx := Context{Type: TypeValue, Item: "i"}
	list, pieces := long(t, key, ctx, make([]byte, 2*ChunkSize+5))
	other, otherPieces := long(t, key, ctx, make([]byte, 2*ChunkSize+5))
	_, names, _ := List(list)
	_, others, _ := List(other)
	for n, b := range otherPieces {
		pieces[n] = b
	}
	head := list[:HeadSize+EncSize]
	listed := func(ns ...canon.Hash) []byte {
		b := bytes.Clone(head)
		for _, n := range ns {
			b = append(b, n[:]...)
		}
		return b
	}
	// stored puts changed bytes into the store, under their own name.
	stored := func(b []byte) canon.Hash {
		n := canon.Hash(sha256.Sum256(b))
		pieces[n] = b
		return n
	}
	flipped := bytes.Clone(pieces[names[1]])
	flipped[100] ^= 1
	a, b, c := names[0], names[1], names[2]
	for name, x := range map[string]struct {
		list []byte
		want error // nil: authentication
	}{
		"cut before the last":  {listed(a, b), nil},
		"cut inside":           {list[:len(list)-1], ErrFormat},
		"no piece":             {listed(), ErrFormat},
		"reordered":            {listed(b, a, c), nil},
		"exchanged":            {listed(a, others[1], c), nil},
		"repeated":             {listed(a, a, b, c), nil},
		"extended":             {listed(a, b, c, c), ErrFormat}, // a short piece in the middle
		"extended by a full":   {listed(a, b, c, b), ErrFormat},
		"a flipped bit":        {listed(a, stored(flipped), c), nil},
		"a cut piece":          {listed(a, stored(pieces[b][:900]), c), ErrFormat},
		"a cut last piece":     {listed(a, b, stored(pieces[c][:HeadSize+TagSize+1])), nil},
		"an empty last piece":  {listed(a, b, stored(pieces[c][:HeadSize+TagSize])), ErrFormat},
		"a long piece":         {listed(a, stored(append(bytes.Clone(pieces[b]), 0)), c), ErrFormat},
		"a list for a piece":   {listed(a, stored(list), c), ErrFormat},
		"of another form":      {append(Head(FormChunks), list[HeadSize:]...), ErrFormat},
		"a piece that is lost": {listed(a, canon.Hash{9}, c), errName},
		"another key":          {append(bytes.Clone(other[:HeadSize+EncSize]), list[HeadSize+EncSize:]...), nil},
		"too many":             {append(bytes.Clone(head), make([]byte, (MaxLong/ChunkSize+1)*sha256.Size)...), ErrFormat},
	} {
		_, err := openLong(key, ctx, x.list, pieces)
		if err == nil || x.want != nil && !errors.Is(err, x.want) || x.want == nil && (errors.Is(err, ErrFormat) || errors.Is(err, errName)) {
			t.Errorf("%s: got %v, want %v", name, err, x.want)
		}
	}
	if _, err := openLong(key, Context{Type: TypeValue, Item: "j"}, list, pieces); err == nil {
		t.Error("opened at another place")
	}
	if _, err := openLong(key, ctx, list, pieces); err != nil {
		t.Error(err)
	}
}

func FuzzList(f *testing.F) {
	f.Add(append(Head(FormList), make([]byte, EncSize+2*sha256.Size)...))
	f.Add(append(Head(FormList), make([]byte, EncSize)...))
	f.Add(append(Head(FormPiece), make([]byte, TagSize+1)...))
	f.Add([]byte{1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if enc, names, err := List(b); err == nil && (len(enc) != EncSize || len(names) < 1 || HeadSize+EncSize+len(names)*sha256.Size != len(b) || !IsList(b)) {
			t.Fatalf("%d names of %d bytes", len(names), len(b))
		}
		if ct, err := Piece(b, true); err == nil && (len(ct) <= TagSize || len(ct) > ChunkSize+TagSize) {
			t.Fatalf("a piece of %d bytes", len(ct))
		}
	})
}

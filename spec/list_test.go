package spec_test

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
	"testing/cryptotest"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

var errRecord = errors.New("record")

// openList opens form 6: fetch gives the blob of a name, if there is one. It is
// record.md §4 written once more, as record_test.go is the rest.
func openList(seed []byte, p place, list []byte, fetch func([32]byte) []byte) ([]byte, error) {
	_, rest, err := leading(list, 6)
	if err != nil {
		return nil, err
	}
	if n := len(rest) - 1120; n < 32 || n > 4096*32 || n%32 != 0 {
		return nil, errFormat
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(rest[:1120], key, hpke.HKDFSHA256(), hpke.AES256GCM(), p.info())
	if err != nil {
		return nil, errOpen
	}
	var out []byte
	rest = rest[1120:]
	for i := uint64(0); len(rest) > 0; i++ {
		name := [32]byte(rest)
		rest = rest[32:]
		b := fetch(name)
		if sha256.Sum256(b) != name {
			return nil, errRecord
		}
		_, ct, err := leading(b, 7)
		if err != nil {
			return nil, err
		}
		if len(ct) < 17 || len(ct) > 65536+16 || len(rest) > 0 && len(ct) != 65536+16 {
			return nil, errFormat
		}
		aad := append(binary.BigEndian.AppendUint64([]byte{1, 1, 6}, i), 0)
		if len(rest) == 0 {
			aad[11] = 1
		}
		part, err := r.Open(aad, ct)
		if err != nil {
			return nil, errOpen
		}
		out = append(out, part...)
	}
	return out, nil
}

// listVector is a list with its pieces. With Of, the pieces are some of another
// one's, in the order of Take, the list names them, and Edit says what was done
// to its bytes or a piece's before they were named.
type listVector struct {
	Name    string        `json:"name"`
	Seed    canon.Bytes   `json:"seed"`
	Context place         `json:"context"`
	List    canon.Bytes   `json:"list,omitempty"`
	Pieces  []canon.Bytes `json:"pieces,omitempty"`
	Of      string        `json:"of,omitempty"`
	Take    []int         `json:"take,omitempty"`
	Edit    []listEdit    `json:"edit,omitempty"`
	Size    int           `json:"size"`             // of the plaintext
	SHA256  string        `json:"sha256,omitempty"` // of the plaintext
	Want    string        `json:"want"`
}

// listEdit cuts or lengthens bytes to Length where that is not 0, and changes bit
// 0 of the byte at Flip. Piece is a place in Take, -1 the list, after it named the
// pieces; with Stale, so is the piece: its name is that of the bytes before.
type listEdit struct {
	Piece  int  `json:"piece"`
	Length int  `json:"length,omitempty"`
	Flip   *int `json:"flip,omitempty"`
	Stale  bool `json:"stale,omitempty"`
}

func (e listEdit) apply(b []byte) []byte {
	b = bytes.Clone(b)
	if e.Length > len(b) {
		b = append(b, make([]byte, e.Length-len(b))...)
	} else if e.Length > 0 {
		b = b[:e.Length]
	}
	if e.Flip != nil {
		b[*e.Flip] ^= 1
	}
	return b
}

// build gives the list of a derived vector and the blobs by their names.
func (v listVector) build(of listVector) ([]byte, map[[32]byte][]byte) {
	blobs := map[[32]byte][]byte{}
	if v.Of == "" {
		for _, b := range v.Pieces {
			blobs[sha256.Sum256(b)] = b
		}
		return v.List, blobs
	}
	list := bytes.Clone(of.List[:1123])
	for at, i := range v.Take {
		b := []byte(of.Pieces[i])
		stale := sha256.Sum256(b)
		name := stale
		for _, e := range v.Edit {
			if e.Piece == at {
				if b = e.apply(b); !e.Stale {
					name = sha256.Sum256(b)
				}
			}
		}
		blobs[name] = b
		list = append(list, name[:]...)
	}
	for _, e := range v.Edit {
		if e.Piece == -1 {
			list = e.apply(list)
		}
	}
	return list, blobs
}

func makeLists(t *testing.T) []listVector {
	seed := bytes.Repeat([]byte{1}, 32)
	key, err := sealed.KEM().NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	p := place{Type: "value", Account: account, Vault: vaultID, Epoch: 1, Item: itemID, Field: "disk_img", Revision: 1}
	var out []listVector
	sizes := map[string]int{"one piece": 27, "full pieces": 131072, "three pieces": 131100}
	for _, name := range sorted(sizes) {
		n := sizes[name]
		v := listVector{Name: name, Seed: seed, Context: p, Size: n, Want: "ok"}
		text := sealed.Text{Size: int64(n), Each: func(use func([]byte) error) error {
			for at := 0; at < n; at += sealed.ChunkSize {
				if err := use(pattern(n)[at:min(n, at+sealed.ChunkSize)]); err != nil {
					return err
				}
			}
			return nil
		}}
		list, err := sealed.Long(key.PublicKey().Bytes(), context(p), text, func(_ canon.Hash, b []byte) error {
			v.Pieces = append(v.Pieces, bytes.Clone(b))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(pattern(n))
		v.List, v.SHA256 = list, hex.EncodeToString(sum[:])
		out = append(out, v)
	}
	change := func(name, want string, take []int, edit ...listEdit) {
		out = append(out, listVector{Name: name, Seed: seed, Context: p, Of: "three pieces", Take: take, Edit: edit, Want: want})
	}
	all, at := []int{0, 1, 2}, func(n int) *int { return &n }
	change("last piece missing", "open", []int{0, 1})
	change("first piece missing", "open", []int{1, 2})
	change("pieces swapped", "open", []int{1, 0, 2})
	change("piece repeated", "open", []int{0, 0, 1, 2})
	change("a full piece behind the last", "format", []int{0, 1, 2, 1})
	change("no piece", "format", []int{})
	change("list cut", "format", all, listEdit{Piece: -1, Length: 1123 + 95})
	change("list with bytes behind", "format", all, listEdit{Piece: -1, Length: 1123 + 97})
	change("list too long", "format", all, listEdit{Piece: -1, Length: 1123 + 4097*32})
	change("list of another form", "format", all, listEdit{Piece: -1, Flip: at(2)})
	change("key changed", "open", all, listEdit{Piece: -1, Flip: at(3)})
	change("name changed", "record", all, listEdit{Piece: -1, Flip: at(1123 + 32)})
	change("piece changed in the store", "record", all, listEdit{Piece: 1, Flip: at(99), Stale: true})
	change("piece changed and named", "open", all, listEdit{Piece: 1, Flip: at(99)})
	change("piece cut and named", "format", all, listEdit{Piece: 1, Length: 900})
	change("piece lengthened and named", "format", all, listEdit{Piece: 1, Length: 3 + 65536 + 16 + 1})
	change("last piece cut and named", "open", all, listEdit{Piece: 2, Length: 3 + 17})
	change("last piece empty", "format", all, listEdit{Piece: 2, Length: 3 + 16})
	change("piece of another form", "format", all, listEdit{Piece: 0, Flip: at(2)})
	last := len(out)
	change("other field", "open", all)
	out[last].Context.Field = "token"
	change("other revision", "open", all)
	out[last+1].Context.Revision = 2
	change("other reader", "open", all)
	out[last+2].Seed = bytes.Repeat([]byte{2}, 32)
	return out
}

func TestVectorLists(t *testing.T) {
	if *update {
		cryptotest.SetGlobalRandom(t, 2)
	}
	list := vectors(t, "record/lists.json", func() []listVector { return makeLists(t) })
	by := map[string]listVector{}
	for _, v := range list {
		by[v.Name] = v
	}
	refused := 0
	for _, v := range list {
		record, blobs := v.build(by[v.Of])
		got, err := openList(v.Seed, v.Context, record, func(name [32]byte) []byte { return blobs[name] })
		if class(err) != v.Want {
			t.Errorf("%s: got %v, want %s", v.Name, err, v.Want)
		}
		if err != nil {
			refused++
			continue
		}
		if sum := sha256.Sum256(got); len(got) != v.Size || hex.EncodeToString(sum[:]) != v.SHA256 {
			t.Errorf("%s: opened to other bytes", v.Name)
		}
	}
	if refused == 0 || refused == len(list) {
		t.Errorf("%d of %d vectors are refused", refused, len(list))
	}
}

package spec_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

var update = flag.Bool("update", false, "write the generated vectors anew")

const (
	account = "0123456789abcdefghjkmnpqr0"
	device  = "zyxwvtsrqpnmkjhgfedcba9870"
	vaultID = "00000000000000000000000004"
	itemID  = "00000000000000000000000008"
)

func load(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("vectors", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// vectors returns the list in a file; with -update, after writing it anew.
func vectors[T any](t *testing.T, name string, generate func() []T) []T {
	t.Helper()
	if *update {
		b, err := json.MarshalIndent(generate(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("vectors", filepath.FromSlash(name)), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out []T
	load(t, name, &out)
	if len(out) == 0 {
		t.Fatalf("%s holds no vector", name)
	}
	return out
}

// sorted returns the names of cases, so that a list comes out the same each time.
func sorted[T any](cases map[string]T) []string { return slices.Sorted(maps.Keys(cases)) }

// class is how a vector names an outcome.
func class(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func context(p place) sealed.Context {
	return sealed.Context{Type: p.Type, Account: p.Account, Vault: p.Vault, Epoch: p.Epoch, Item: p.Item, Field: p.Field, Revision: p.Revision, Slot: p.Slot}
}

type contextVector struct {
	Context place  `json:"context"`
	Info    string `json:"info"` // hexadecimal
}

func TestVectorContexts(t *testing.T) {
	list := vectors(t, "record/contexts.json", func() []contextVector {
		var out []contextVector
		for _, p := range []place{
			{Type: "value", Account: account, Vault: vaultID, Epoch: 1, Item: itemID, Field: "token", Revision: 3},
			{Type: "meta", Account: account, Vault: vaultID, Epoch: 1, Item: itemID},
			{Type: "vault-name", Account: account, Vault: vaultID, Epoch: 2},
			{Type: "grant", Account: account, Vault: vaultID, Epoch: 1, Item: itemID},
			{Type: "vault-seed", Account: account, Vault: vaultID, Epoch: 1},
			{Type: "index-key", Account: account, Vault: vaultID, Epoch: 1},
			{Type: "ledger-seed", Account: account},
			{Type: "event-key", Account: account, Slot: device},
			{Type: "seed", Account: account, Vault: "session", Slot: itemID},
			{Type: "share", Account: account, Slot: itemID},
		} {
			out = append(out, contextVector{p, hex.EncodeToString(context(p).Info())})
		}
		return out
	})
	for _, v := range list {
		if got := hex.EncodeToString(v.Context.info()); got != v.Info || hex.EncodeToString(context(v.Context).Info()) != v.Info {
			t.Errorf("%s: %s", v.Context.Type, got)
		}
	}
}

type paddingVector struct {
	Name   string      `json:"name"`
	Padded canon.Bytes `json:"padded"`
	Plain  canon.Bytes `json:"plain,omitempty"`
	Want   string      `json:"want"`
}

func TestVectorPadding(t *testing.T) {
	list := vectors(t, "record/padding.json", func() []paddingVector {
		at := func(n int, b byte) []byte { p := make([]byte, n); p[n-1] = b; return p }
		good := func(name string, plain []byte) paddingVector {
			return paddingVector{name, sealed.Pad(plain), plain, "ok"}
		}
		return []paddingVector{good("empty", []byte{}), good("short", []byte("title")), good("one left", bytes.Repeat([]byte{7}, 255)),
			good("full block", bytes.Repeat([]byte{7}, 256)), good("ends in the mark", []byte{1, 0x80}), good("ends in zeros", []byte{1, 0, 0}),
			{"no bytes", []byte{}, nil, "format"}, {"no mark", make([]byte, 256), nil, "format"}, {"no block", at(255, 0x80), nil, "format"},
			{"other end", at(256, 0x81), nil, "format"}, {"a block too many", append(at(256, 0x80), make([]byte, 256)...), nil, "format"}}
	})
	for _, v := range list {
		got, err := unpad(v.Padded)
		theirs, terr := sealed.Unpad(v.Padded)
		if class(err) != v.Want || (terr == nil) != (v.Want == "ok") {
			t.Errorf("%s: got %v and %v, want %s", v.Name, err, terr, v.Want)
		}
		if err == nil && (!bytes.Equal(got, v.Plain) || !bytes.Equal(theirs, v.Plain)) {
			t.Errorf("%s: got %x and %x", v.Name, got, theirs)
		}
	}
}

// valueVector is a sealed value. With Of, its bytes are ranges of another
// one's, one after the other, with bit 0 of the byte at Flip changed.
type valueVector struct {
	Name    string      `json:"name"`
	Seed    canon.Bytes `json:"seed"`
	Context place       `json:"context"`
	Bytes   canon.Bytes `json:"bytes,omitempty"`
	Of      string      `json:"of,omitempty"`
	Take    [][2]int    `json:"take,omitempty"`
	Flip    *int        `json:"flip,omitempty"`
	Size    int         `json:"size"`             // of the plaintext
	SHA256  string      `json:"sha256,omitempty"` // of the plaintext
	Want    string      `json:"want"`
}

// pattern is a plaintext of n bytes.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func makeValues(t *testing.T) []valueVector {
	seed := bytes.Repeat([]byte{1}, 32)
	key, err := sealed.KEM().NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	p := place{Type: "value", Account: account, Vault: vaultID, Epoch: 1, Item: itemID, Field: "token", Revision: 1}
	var out []valueVector
	sizes := map[string]int{"empty": 0, "small": 27, "one chunk": 65536, "two chunks": 65537, "three chunks": 131100}
	for _, name := range sorted(sizes) {
		n := sizes[name]
		ct, err := sealed.Value(key.PublicKey().Bytes(), context(p), pattern(n))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(pattern(n))
		out = append(out, valueVector{Name: name, Seed: seed, Context: p, Bytes: ct, Size: n, SHA256: hex.EncodeToString(sum[:]), Want: "ok"})
	}
	change := func(name, of, want string, edit func(*valueVector)) {
		v := valueVector{Name: name, Seed: seed, Context: p, Of: of, Want: want}
		edit(&v)
		out = append(out, v)
	}
	flip := func(at int) func(*valueVector) { return func(v *valueVector) { v.Flip = &at } }
	change("other version", "small", "format", flip(0))
	change("other suite", "small", "format", flip(1))
	change("no such form", "small", "format", flip(2))
	change("nearly nothing", "small", "format", func(v *valueVector) { v.Take = [][2]int{{0, 2}} })
	change("too short", "small", "format", func(v *valueVector) { v.Take = [][2]int{{0, 1130}} })
	change("key changed", "small", "open", flip(3))
	change("text changed", "small", "open", flip(1124))
	change("text cut", "small", "open", func(v *valueVector) { v.Take = [][2]int{{0, 1160}} })
	cases := map[string]func(*place){
		"other account": func(p *place) { p.Account = device }, "other vault": func(p *place) { p.Vault = itemID },
		"other epoch": func(p *place) { p.Epoch = 2 }, "other item": func(p *place) { p.Item = vaultID },
		"other field": func(p *place) { p.Field = "username" }, "other revision": func(p *place) { p.Revision = 2 },
		"other type": func(p *place) { p.Type = "vault-seed" },
	}
	for _, name := range sorted(cases) {
		edit := cases[name]
		change(name, "small", "open", func(v *valueVector) { edit(&v.Context) })
	}
	change("other reader", "small", "open", func(v *valueVector) { v.Seed = bytes.Repeat([]byte{2}, 32) })
	const head, step = 1123, 65536 + 16
	a, b, c := [2]int{head, head + step}, [2]int{head + step, head + 2*step}, [2]int{head + 2*step, head + 2*step + 28 + 16}
	ranges := map[string][][2]int{"last chunk missing": {a, b}, "chunks swapped": {b, a, c}, "chunk repeated": {a, a, b, c},
		"chunk missing": {a, c}, "all chunks missing but the last": {c}}
	for _, name := range sorted(ranges) {
		take := ranges[name]
		change(name, "three chunks", "open", func(v *valueVector) { v.Take = append([][2]int{{0, head}}, take...) })
	}
	return out
}

func TestVectorValues(t *testing.T) {
	if *update {
		cryptotest.SetGlobalRandom(t, 1)
	}
	list := vectors(t, "record/values.json", func() []valueVector { return makeValues(t) })
	by := map[string]valueVector{}
	for _, v := range list {
		by[v.Name] = v
	}
	refused := 0
	for _, v := range list {
		ct := []byte(v.Bytes)
		if v.Of != "" {
			refused++
			if ct = by[v.Of].Bytes; len(v.Take) > 0 {
				ct = nil
				for _, r := range v.Take {
					ct = append(ct, by[v.Of].Bytes[r[0]:r[1]]...)
				}
			}
			if ct = bytes.Clone(ct); v.Flip != nil {
				ct[*v.Flip] ^= 1
			}
		}
		got, err := openValue(v.Seed, v.Context, ct)
		if class(err) != v.Want {
			t.Errorf("%s: got %v, want %s", v.Name, err, v.Want)
		}
		if sum := sha256.Sum256(got); err == nil && (len(got) != v.Size || hex.EncodeToString(sum[:]) != v.SHA256) {
			t.Errorf("%s: opened to other bytes", v.Name)
		}
	}
	if refused == 0 || refused == len(list) {
		t.Errorf("%d of %d vectors are refused", refused, len(list))
	}
}

type headerVector struct {
	Name   string `json:"name"`
	Header string `json:"header"` // the JSON text
	Want   string `json:"want"`
}

func makeHeaders() []headerVector {
	kdf := canon.KDF{Memory: 65536, Time: 3, Threads: 4, Salt: bytes.Repeat([]byte{9}, 16)}
	base := canon.SlotHeader{V: 1, Suite: 1, Account: account, Device: device, ID: itemID, Kind: canon.SlotUnlock, Compartment: "session", KDF: kdf, Created: 1}
	var out []headerVector
	add := func(name, want string, edit func(*canon.SlotHeader)) {
		h := base
		edit(&h)
		out = append(out, headerVector{name, string(canon.Encode(h)), want})
	}
	recovery := func(h *canon.SlotHeader) { h.Kind, h.Compartment, h.KDF = canon.SlotRecovery, "recovery", canon.KDF{} }
	add("unlock", "ok", func(*canon.SlotHeader) {})
	add("presence", "ok", func(h *canon.SlotHeader) { h.Kind, h.Compartment = canon.SlotPresence, vaultID })
	add("recovery", "ok", recovery)
	add("largest", "ok", func(h *canon.SlotHeader) { h.KDF.Memory, h.KDF.Time, h.KDF.Threads = 524288, 12, 16 })
	cases := map[string]func(*canon.SlotHeader){
		"version": func(h *canon.SlotHeader) { h.V = 2 }, "suite": func(h *canon.SlotHeader) { h.Suite = 2 },
		"kind unknown": func(h *canon.SlotHeader) { h.Kind = "passkey" }, "kind empty": func(h *canon.SlotHeader) { h.Kind = "" },
		"memory small": func(h *canon.SlotHeader) { h.KDF.Memory = 65535 }, "memory large": func(h *canon.SlotHeader) { h.KDF.Memory = 524289 },
		"time small": func(h *canon.SlotHeader) { h.KDF.Time = 2 }, "time large": func(h *canon.SlotHeader) { h.KDF.Time = 13 },
		"threads none": func(h *canon.SlotHeader) { h.KDF.Threads = 0 }, "threads many": func(h *canon.SlotHeader) { h.KDF.Threads = 17 },
		"salt short": func(h *canon.SlotHeader) { h.KDF.Salt = h.KDF.Salt[:15] }, "account": func(h *canon.SlotHeader) { h.Account = "x" },
		"device": func(h *canon.SlotHeader) { h.Device = "" }, "id": func(h *canon.SlotHeader) { h.ID = strings.ToUpper(account) },
		"compartment":             func(h *canon.SlotHeader) { h.Compartment = "" },
		"recovery that stretches": func(h *canon.SlotHeader) { recovery(h); h.KDF.Memory = 65536 },
	}
	for _, name := range sorted(cases) {
		edit := cases[name]
		add(name, "slot-header", edit)
	}
	good := out[0].Header
	texts := map[string]string{"unknown member": strings.Replace(good, `"created"`, `"pin":1,"created"`, 1),
		"white space": strings.Replace(good, `,"suite"`, `, "suite"`, 1), "repeated member": strings.Replace(good, `"suite":1`, `"suite":1,"suite":1`, 1),
		"other order": `{"suite":1,"v":1` + strings.TrimPrefix(good, `{"v":1,"suite":1`), "bytes behind": good + " "}
	for _, name := range sorted(texts) {
		text := texts[name]
		out = append(out, headerVector{name, text, "format"})
	}
	return out
}

func TestVectorSlotHeaders(t *testing.T) {
	for _, v := range vectors(t, "record/slot-headers.json", makeHeaders) {
		var h canon.SlotHeader
		got := "ok"
		if canon.Decode([]byte(v.Header), &h) != nil {
			got = "format"
		} else if sealed.CheckSlot(h) != nil {
			got = "slot-header"
		}
		if got != v.Want {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Want)
		}
	}
}

type statementVector struct {
	N    int64       `json:"n"`
	Body string      `json:"body"`
	Sig  canon.Bytes `json:"sig"`
	Hash canon.Hash  `json:"hash"`
	Link canon.Hash  `json:"link"`
	Root canon.Bytes `json:"root"` // public key that signed
}

func makeStatements() []statementVector {
	root := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	var prev, parent canon.Hash
	var out []statementVector
	for n := range int64(3) {
		s := canon.Statement{Type: canon.TypeSetting, Subject: "colour", Version: n + 1, Parent: parent,
			Payload: canon.Encode(canon.Setting{V: 1, Name: "colour", Value: "<&>\u2028 " + strings.Repeat("blue ", int(n))})}
		v := statementVector{N: n, Body: string(s.Body()), Root: canon.Bytes(root.Public().(ed25519.PublicKey))}
		if n != 1 {
			v.Sig = ed25519.Sign(root, canon.SigningBytes(s.Body()))
		}
		v.Hash = canon.HashBody(s.Body())
		v.Link = canon.Link(prev, n, s.Body(), v.Sig)
		out, prev, parent = append(out, v), v.Link, v.Hash
	}
	return out
}

func TestVectorStatements(t *testing.T) {
	prev := make([]byte, 32)
	sum := func(domain string, parts ...[]byte) []byte {
		h := sha256.Sum256(append([]byte("thumbturn/"+domain+"/v1\x00"), bytes.Join(parts, nil)...))
		return h[:]
	}
	for _, v := range vectors(t, "record/statements.json", makeStatements) {
		hash := sum("statement", []byte(v.Body))
		link := sum("link", prev, []byte{0, 0, 0, 0, 0, 0, 0, byte(v.N)}, hash, sum("root-signature", v.Sig))
		if diff := cmp.Diff([]string{v.Hash.String(), v.Link.String()}, []string{hex.EncodeToString(hash), hex.EncodeToString(link)}); diff != "" {
			t.Errorf("statement %d: %s", v.N, diff)
		}
		if len(v.Sig) > 0 && !ed25519.Verify(ed25519.PublicKey(v.Root), append([]byte("thumbturn/root-signature/v1\x00"), hash...), v.Sig) {
			t.Errorf("statement %d: signature", v.N)
		}
		prev = link
	}
}

var errIncomplete = errors.New("incomplete")

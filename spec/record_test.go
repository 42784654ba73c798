package spec_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// This file is record.md written in Go once more, reading only. Of the program
// it borrows the JSON shapes of statements, nothing that opens or derives.

var (
	errFormat = errors.New("format")
	errOpen   = errors.New("open")
	errSecret = errors.New("secret")
	errSlot   = errors.New("slot")
)

func tuple(parts ...string) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

// place is a context in the order of record.md §3.
type place struct {
	Type     string `json:"type"`
	Account  string `json:"account"`
	Vault    string `json:"vault"`
	Epoch    int64  `json:"epoch"`
	Item     string `json:"item"`
	Field    string `json:"field"`
	Revision int64  `json:"revision"`
	Slot     string `json:"slot"`
}

func (p place) info() []byte {
	return tuple("thumbturn", "1", "1", p.Type, p.Account, p.Vault, strconv.FormatInt(p.Epoch, 10), p.Item, p.Field,
		strconv.FormatInt(p.Revision, 10), p.Slot)
}

func leading(b []byte, forms ...byte) (byte, []byte, error) {
	if len(b) < 3 || b[0] != 1 || b[1] != 1 || !bytes.Contains(forms, b[2:3]) {
		return 0, nil, errFormat
	}
	return b[2], b[3:], nil
}

// openValue opens forms 1 and 2.
func openValue(seed []byte, p place, ct []byte) ([]byte, error) {
	form, rest, err := leading(ct, 1, 2)
	if err != nil {
		return nil, err
	}
	if len(rest) < 1120+16 || form == 1 && len(rest) > 1120+65536+16 {
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
	out := []byte{}
	rest = rest[1120:]
	for i := uint64(0); ; i++ {
		n := min(len(rest), 65536+16)
		aad := append(binary.BigEndian.AppendUint64([]byte{1, 1, form}, i), 0)
		if n == len(rest) {
			aad[11] = 1
		}
		part, err := r.Open(aad, rest[:n])
		if err != nil {
			return nil, errOpen
		}
		out = append(out, part...)
		if rest = rest[n:]; len(rest) == 0 {
			return out, nil
		}
	}
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return g
}

// openMeta opens form 3.
func openMeta(key []byte, p place, ct []byte) ([]byte, error) {
	_, rest, err := leading(ct, 3)
	if err != nil || len(rest) < 12+16 {
		return nil, errFormat
	}
	padded, err := gcm(key).Open(nil, rest[:12], rest[12:], append([]byte{1, 1, 3}, p.info()...))
	if err != nil {
		return nil, errOpen
	}
	return unpad(padded)
}

func unpad(b []byte) ([]byte, error) {
	at := bytes.LastIndexByte(b, 0x80)
	if len(b)%256 != 0 || at < 0 || len(b)-at > 256 || len(bytes.TrimRight(b[at+1:], "\x00")) != 0 {
		return nil, errFormat
	}
	return b[:at], nil
}

// slotWant is what whoever opens a slot already knows.
type slotWant struct {
	root   [32]byte
	test   bool
	roster int64
}

// openSlot opens form 5 and returns the slot seed.
func openSlot(s canon.Slot, secret, share []byte, want slotWant) ([]byte, error) {
	var h canon.SlotHeader
	if canon.Decode(s.Header, &h) != nil {
		return nil, errFormat
	}
	salt := share
	if h.Kind == "recovery" {
		salt = nil
	} else {
		secret = argon2.IDKey(secret, h.KDF.Salt, h.KDF.Time, h.KDF.Memory, h.KDF.Threads, 32)
	}
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		return nil, err
	}
	commit, err := hkdf.Expand(sha256.New, prk, "commitment\x00"+string(s.Header), 32)
	if err != nil || !bytes.Equal(commit, s.Commitment[:]) {
		return nil, errSecret
	}
	kek, err := hkdf.Expand(sha256.New, prk, "kek\x00"+string(s.Header), 32)
	if err != nil {
		return nil, err
	}
	_, rest, err := leading(s.Sealed, 5)
	if err != nil || len(rest) != 12+73+16 {
		return nil, errFormat
	}
	text, err := gcm(kek).Open(nil, rest[:12], rest[12:], s.Header)
	if err != nil {
		return nil, errOpen
	}
	test := byte(0)
	if want.test {
		test = 1
	}
	if !bytes.Equal(text[:32], want.root[:]) || text[32] != test || int64(binary.BigEndian.Uint64(text[33:])) > want.roster {
		return nil, errSlot
	}
	return text[41:], nil
}

func tag(index []byte, label, text string) canon.Hash {
	key := sha256.Sum256(append([]byte("thumbturn/tag/v1\x00"), index...))
	m := hmac.New(sha256.New, key[:])
	m.Write(tuple(label, text))
	return canon.Hash(m.Sum(nil))
}

// home is a whole test home as it was recorded.
type home struct {
	Device     string        `json:"device"`
	Share      canon.Bytes   `json:"share"`
	Unlock     string        `json:"unlock"`
	Presence   string        `json:"presence"`
	Recovery   string        `json:"recovery"`
	Statements []canon.Bytes `json:"statements"`
	Blobs      []canon.Bytes `json:"blobs"`
	Events     []struct {
		N      uint64      `json:"n"`
		Leaf   canon.Hash  `json:"leaf"`
		Key    canon.Hash  `json:"key"`
		Sealed canon.Bytes `json:"sealed"`
	} `json:"events"`
	Values []struct{ Vault, Title, Field, Value string } `json:"values"`

	genesis canon.Genesis
	roster  canon.Roster
	vaults  []canon.Vault
	items   map[string]canon.Item
	blobs   map[canon.Hash][]byte
}

func loadHome(t *testing.T) *home {
	t.Helper()
	h := &home{items: map[string]canon.Item{}, blobs: map[canon.Hash][]byte{}}
	load(t, "record/home.json", h)
	for _, b := range h.Blobs {
		h.blobs[sha256.Sum256(b)] = b
	}
	for _, body := range h.Statements {
		s, err := canon.ParseStatement(body)
		if err != nil {
			t.Fatal(err)
		}
		switch s.Type {
		case canon.TypeGenesis:
			err = canon.Decode(s.Payload, &h.genesis)
		case canon.TypeRoster:
			err = canon.Decode(s.Payload, &h.roster)
		case canon.TypeVault:
			var v canon.Vault
			err = canon.Decode(s.Payload, &v)
			h.vaults = append(h.vaults, v)
		case canon.TypeItem:
			var it canon.Item
			err = canon.Decode(s.Payload, &it)
			h.items[s.Subject] = it
		}
		if err != nil {
			t.Fatalf("%s: %v", s.Key(), err)
		}
	}
	if len(h.vaults) == 0 || len(h.items) == 0 || len(h.Values) == 0 || len(h.Events) == 0 {
		t.Fatal("the recorded home is empty")
	}
	return h
}

func (h *home) want() slotWant {
	return slotWant{sha256.Sum256(append([]byte("thumbturn/root/v1\x00"), h.genesis.Root...)), h.genesis.TestHome, 1}
}

// slot returns the first slot of a kind and compartment.
func (h *home) slot(t *testing.T, kind canon.SlotKind, compartment string) (canon.Slot, string) {
	t.Helper()
	for _, s := range h.roster.Slots {
		var hd canon.SlotHeader
		if err := json.Unmarshal(s.Header, &hd); err != nil {
			t.Fatal(err)
		}
		if hd.Kind == kind && hd.Compartment == compartment {
			return s, hd.ID
		}
	}
	t.Fatalf("no slot %s for %s", kind, compartment)
	return canon.Slot{}, ""
}

// compartment opens a compartment's seed by a slot and its secret.
func (h *home) compartment(t *testing.T, name string, kind canon.SlotKind, of string, secret []byte) []byte {
	t.Helper()
	s, id := h.slot(t, kind, of)
	seed, err := openSlot(s, secret, h.Share, h.want())
	if err != nil {
		t.Fatalf("slot %s/%s: %v", kind, of, err)
	}
	for _, c := range h.roster.Compartments {
		for _, x := range c.Seeds {
			if c.Name == name && x.To == id {
				out, err := openValue(seed, place{Type: "seed", Account: h.genesis.Account, Vault: name, Slot: id}, x.Bytes)
				if err != nil {
					t.Fatalf("compartment %s: %v", name, err)
				}
				return out
			}
		}
	}
	t.Fatalf("no seed of %s for slot %s", name, id)
	return nil
}

func code(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(s, "-", "")[:32])
	if err != nil || len(b) != 20 {
		t.Fatalf("recovery code: %v, %d bytes", err, len(b))
	}
	return b
}

func (h *home) open(t *testing.T, key, index []byte, v canon.Vault) map[string]string {
	t.Helper()
	got := map[string]string{}
	for id, it := range h.items {
		if it.Vault != v.ID {
			continue
		}
		raw, err := openMeta(index, place{Type: "meta", Account: h.genesis.Account, Vault: v.ID, Epoch: it.Epoch, Item: id}, h.blobs[it.Meta])
		if err != nil {
			t.Fatalf("metadata of %s: %v", id, err)
		}
		var m struct {
			Title  string   `json:"title"`
			URLs   []string `json:"urls"`
			Fields []struct{ ID, Label string }
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		if tag(index, "title", strings.ToLower(m.Title)) != it.Title || tag(index, "binding", strings.Join(m.URLs, "\n")) != it.Binding {
			t.Errorf("%s: title or binding tag differs", m.Title)
		}
		for _, r := range it.Records {
			text, err := openValue(key, place{Type: "value", Account: h.genesis.Account, Vault: v.ID, Epoch: r.Epoch,
				Item: id, Field: r.Field, Revision: r.Revision}, h.blobs[r.Hash])
			if err != nil {
				t.Fatalf("value %s of %s: %v", r.Field, m.Title, err)
			}
			for _, f := range m.Fields {
				if f.ID == r.Field {
					got[m.Title+"/"+f.Label] = string(text)
				}
			}
		}
	}
	return got
}

// TestVectorHome goes from a passphrase down to the values of a home that the
// program wrote.
func TestVectorHome(t *testing.T) {
	h := loadHome(t)
	session := h.compartment(t, "session", canon.SlotUnlock, "session", []byte(h.Unlock))
	rec := code(t, h.Recovery)
	if !bytes.Equal(session, h.compartment(t, "session", canon.SlotRecovery, "recovery", rec)) {
		t.Error("the recovery code opens another session key")
	}
	if !bytes.Equal(h.compartment(t, "account", canon.SlotPresence, "account", []byte(h.Presence)), h.compartment(t, "account", canon.SlotRecovery, "recovery", rec)) {
		t.Error("presence passphrase and recovery code open different root keys")
	}
	got := map[string]string{}
	for _, v := range h.vaults {
		at := place{Type: "index-key", Account: h.genesis.Account, Vault: v.ID, Epoch: 1}
		index, err := openValue(session, at, v.IndexKey)
		if err != nil || canon.Hash(sha256.Sum256(append([]byte("thumbturn/index-key/v1\x00"), index...))) != v.IndexHash {
			t.Fatalf("index key: %v", err)
		}
		at.Type = "vault-name"
		name, err := openMeta(index, at, v.Name)
		if err != nil || tag(index, "vault-name", string(name)) != v.NameTag {
			t.Fatalf("vault name: %v", err)
		}
		reader := session
		if v.Tier == canon.TierPresence {
			reader = h.compartment(t, v.ID, canon.SlotPresence, v.ID, []byte(h.Presence))
		}
		at.Type, at.Epoch = "vault-seed", v.Epoch
		key, err := openValue(reader, at, v.Seed)
		if err != nil {
			t.Fatalf("vault key: %v", err)
		}
		for k, x := range h.open(t, key, index, v) {
			got[string(name)+"/"+k] = x
		}
	}
	for _, w := range h.Values {
		if k := w.Vault + "/" + w.Title + "/" + w.Field; got[k] != w.Value {
			t.Errorf("%s = %q, want %q", k, got[k], w.Value)
		}
	}
	h.events(t, session)
}

func (h *home) events(t *testing.T, session []byte) {
	t.Helper()
	seed, err := openValue(session, place{Type: "ledger-seed", Account: h.genesis.Account}, h.genesis.LedgerSeed)
	if err != nil {
		t.Fatalf("ledger seed: %v", err)
	}
	for _, e := range h.Events {
		key, err := openValue(seed, place{Type: "event-key", Account: h.genesis.Account, Slot: h.Device}, h.blobs[e.Key])
		if err != nil {
			t.Fatalf("event key: %v", err)
		}
		_, rest, err := leading(e.Sealed, 4)
		if err != nil {
			t.Fatal(err)
		}
		n := strconv.FormatUint(e.N, 10)
		aad := append([]byte{1, 1, 4}, tuple("thumbturn", "event", h.Device, n, string(e.Leaf[:]))...)
		text, err := gcm(key).Open(nil, binary.BigEndian.AppendUint64(make([]byte, 4), e.N), rest, aad)
		if err != nil {
			t.Fatalf("event %s: %v", n, err)
		}
		if sum := sha256.Sum256(append([]byte("thumbturn/event/v1\x00"), text...)); canon.Hash(sum) != e.Leaf || text[32] != '{' {
			t.Errorf("event %s is not that of its leaf", n)
		}
	}
}

// TestVectorHomeRefused changes what opens the recorded home, one thing at a
// time.
func TestVectorHomeRefused(t *testing.T) {
	h := loadHome(t)
	s, _ := h.slot(t, canon.SlotRecovery, "recovery")
	rec := code(t, h.Recovery)
	header := append(json.RawMessage(nil), s.Header...)
	longer := bytes.Replace(header, []byte(`"created":1`), []byte(`"created":2`), 1)
	for name, c := range map[string]struct {
		change func(*canon.Slot, *slotWant, *[]byte)
		want   error
	}{
		"as it is":       {func(*canon.Slot, *slotWant, *[]byte) {}, nil},
		"other secret":   {func(_ *canon.Slot, _ *slotWant, x *[]byte) { *x = make([]byte, 20) }, errSecret},
		"other header":   {func(s *canon.Slot, _ *slotWant, _ *[]byte) { s.Header = longer }, errSecret},
		"commitment":     {func(s *canon.Slot, _ *slotWant, _ *[]byte) { s.Commitment[0] ^= 1 }, errSecret},
		"form":           {func(s *canon.Slot, _ *slotWant, _ *[]byte) { s.Sealed[2] = 3 }, errFormat},
		"cut":            {func(s *canon.Slot, _ *slotWant, _ *[]byte) { s.Sealed = s.Sealed[:90] }, errFormat},
		"sealed changed": {func(s *canon.Slot, _ *slotWant, _ *[]byte) { s.Sealed[40] ^= 1 }, errOpen},
		"other root":     {func(_ *canon.Slot, w *slotWant, _ *[]byte) { w.root[0] ^= 1 }, errSlot},
		"no test home":   {func(_ *canon.Slot, w *slotWant, _ *[]byte) { w.test = false }, errSlot},
		"older roster":   {func(_ *canon.Slot, w *slotWant, _ *[]byte) { w.roster = 0 }, errSlot},
	} {
		x, w, secret := s, h.want(), rec
		x.Header, x.Sealed = append(json.RawMessage(nil), s.Header...), append(canon.Bytes(nil), s.Sealed...)
		c.change(&x, &w, &secret)
		if _, err := openSlot(x, secret, nil, w); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

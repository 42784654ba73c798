package sealed

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"testing"

	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/canon"
)

func TestPadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		p := Pad(b)
		if len(p)%padBlock != 0 {
			t.Fatalf("%d bytes", len(p))
		}
		got, err := Unpad(p)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%x: %v", got, err)
		}
	})
	for _, bad := range [][]byte{nil, {0x80}, make([]byte, 256), bytes.Repeat([]byte{1}, 256)} {
		if _, err := Unpad(bad); err == nil {
			t.Errorf("%d bytes of bad padding accepted", len(bad))
		}
	}
}

// open is the read half, written again here: the package itself has none.
func open(t *testing.T, key hpke.PrivateKey, ctx Context, b []byte) ([]byte, error) {
	t.Helper()
	form, rest, err := Form(b)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(rest[:EncSize], key, KDF(), AEAD(), ctx.Info())
	if err != nil {
		return nil, err
	}
	rest = rest[EncSize:]
	var out []byte
	for i := uint64(0); ; i++ {
		n := min(len(rest), ChunkSize+TagSize)
		p, err := r.Open(ChunkAAD(form, i, n == len(rest)), rest[:n])
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
		if rest = rest[n:]; len(rest) == 0 {
			return out, nil
		}
	}
}

func TestValue(t *testing.T) {
	key, err := KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	pub := key.PublicKey().Bytes()
	ctx := Context{Type: TypeValue, Account: "a", Vault: "v", Epoch: 1, Item: "i", Field: "f", Revision: 2}
	for _, n := range []int{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 2*ChunkSize + 5, 10 << 20} {
		text := make([]byte, n)
		_, _ = rand.Read(text)
		ct, err := Value(pub, ctx, text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := open(t, key, ctx, ct)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes do not come back: %v", n, err)
		}
	}
	if _, err := Value(pub, ctx, make([]byte, MaxValue+1)); err == nil {
		t.Error("a value over the limit was sealed")
	}
	if _, err := Value(pub[1:], ctx, nil); err == nil {
		t.Error("a cut public key was accepted")
	}
}

func TestContextSeparatesEveryPart(t *testing.T) {
	base := Context{"t", "a", "v", 1, "i", "f", 1, "s"}
	for i, c := range []Context{{"T", "a", "v", 1, "i", "f", 1, "s"}, {"t", "A", "v", 1, "i", "f", 1, "s"}, {"t", "a", "V", 1, "i", "f", 1, "s"},
		{"t", "a", "v", 2, "i", "f", 1, "s"}, {"t", "a", "v", 1, "I", "f", 1, "s"}, {"t", "a", "v", 1, "i", "F", 1, "s"},
		{"t", "a", "v", 1, "i", "f", 2, "s"}, {"t", "a", "v", 1, "i", "f", 1, "S"}, {"t", "a", "v", 1, "if", "", 1, "s"}} {
		if bytes.Equal(c.Info(), base.Info()) {
			t.Errorf("context %d is not told apart", i)
		}
	}
}

func TestTamperedChunksDoNotOpen(t *testing.T) {
	key, _ := KEM().GenerateKey()
	ctx := Context{Type: TypeValue}
	text := make([]byte, 3*ChunkSize)
	ct, err := Value(key.PublicKey().Bytes(), ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	part := ChunkSize + TagSize
	at := HeadSize + EncSize
	swap := bytes.Clone(ct)
	copy(swap[at:at+part], ct[at+part:at+2*part])
	copy(swap[at+part:at+2*part], ct[at:at+part])
	for name, bad := range map[string][]byte{"cut": ct[:at+2*part], "swapped": swap, "cut inside": ct[:len(ct)-1]} {
		if _, err := open(t, key, ctx, bad); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := open(t, key, Context{Type: TypeMeta}, ct); err == nil {
		t.Error("opened at another place")
	}
}

func TestEventSealer(t *testing.T) {
	key, _ := KEM().GenerateKey()
	s, err := NewEventSealer(rand.Reader, key.PublicKey().Bytes(), "acc", "dev")
	if err != nil {
		t.Fatal(err)
	}
	leaf, a, err := s.Seal(1, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	again, b, _ := s.Seal(2, []byte("body"))
	if leaf == again || bytes.Equal(a, b) || bytes.Contains(a, []byte("body")) {
		t.Error("equal events must not look alike")
	}
	if k, err := open(t, key, Context{Type: TypeEventKey, Account: "acc", Slot: "dev"}, s.Blob); err != nil || len(k) != 32 {
		t.Errorf("the event key does not open: %v", err)
	}
}

func TestCheckSlot(t *testing.T) {
	id, _ := canon.NewID(rand.Reader)
	good := canon.SlotHeader{V: 1, Suite: 1, Account: id, Device: id, ID: id, Kind: canon.SlotUnlock, Compartment: "session",
		KDF: canon.KDF{Memory: MinMemory, Time: MinTime, Threads: 4, Salt: make([]byte, SlotSalt)}}
	if err := CheckSlot(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*canon.SlotHeader){
		"version": func(h *canon.SlotHeader) { h.V = 2 }, "suite": func(h *canon.SlotHeader) { h.Suite = 0 },
		"denial of service": func(h *canon.SlotHeader) { h.KDF.Memory = 64 << 20 }, "downgrade": func(h *canon.SlotHeader) { h.KDF.Time = 1 },
		"threads": func(h *canon.SlotHeader) { h.KDF.Threads = 0 }, "salt": func(h *canon.SlotHeader) { h.KDF.Salt = nil },
		"kind": func(h *canon.SlotHeader) { h.Kind = "" }, "stretched code": func(h *canon.SlotHeader) { h.Kind = canon.SlotRecovery },
		"nowhere": func(h *canon.SlotHeader) { h.Compartment = "" },
	} {
		h := good
		if spoil(&h); CheckSlot(h) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A passkey's slot, and no other, names its passkey; nothing random is stretched.
func TestCheckSlotByKind(t *testing.T) {
	id, _ := canon.NewID(rand.Reader)
	kdf := canon.KDF{Memory: MinMemory, Time: MinTime, Threads: 4, Salt: make([]byte, SlotSalt)}
	for _, kind := range []canon.SlotKind{canon.SlotUnlock, canon.SlotPresence, canon.SlotRecovery, canon.SlotPasskey, canon.SlotPIN, "other", ""} {
		for _, stretched := range []bool{false, true} {
			for _, rpid := range []string{"", "vault.localhost"} {
				for _, credential := range []string{"", "c"} {
					h := canon.SlotHeader{V: Version, Suite: Suite, Account: id, Device: id, ID: id, Kind: kind, Compartment: "account", RPID: rpid, Credential: canon.Bytes(credential)}
					if stretched {
						h.KDF = kdf
					}
					typed, passkey := kind == canon.SlotUnlock || kind == canon.SlotPresence, kind == canon.SlotPasskey
					known := typed || passkey || kind == canon.SlotRecovery || kind == canon.SlotPIN
					want := known && stretched == typed && passkey == (rpid != "") && passkey == (credential != "")
					if got := CheckSlot(h) == nil; got != want {
						t.Errorf("%q, stretched %v, %q, %q: %v", kind, stretched, rpid, credential, got)
					}
				}
			}
		}
	}
	good := canon.SlotHeader{V: Version, Suite: Suite, Account: id, Device: id, ID: id, Kind: canon.SlotPasskey, Compartment: "account", RPID: "r", Credential: canon.Bytes("c")}
	for name, spoil := range map[string]func(*canon.SlotHeader){
		"memory": func(h *canon.SlotHeader) { h.KDF.Memory = 1 }, "time": func(h *canon.SlotHeader) { h.KDF.Time = 1 },
		"threads": func(h *canon.SlotHeader) { h.KDF.Threads = 1 }, "salt": func(h *canon.SlotHeader) { h.KDF.Salt = []byte{1} },
		"id": func(h *canon.SlotHeader) { h.ID = "" }, "account": func(h *canon.SlotHeader) { h.Account = "a" }, "device": func(h *canon.SlotHeader) { h.Device = "d" },
	} {
		h := good
		if spoil(&h); CheckSlot(h) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add([]byte{1, 1, 1, 2, 3})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		form, rest, err := Form(b)
		if err == nil && (form < FormSingle || form > FormPiece || len(rest) != len(b)-HeadSize) {
			t.Fatalf("form %d", form)
		}
	})
}

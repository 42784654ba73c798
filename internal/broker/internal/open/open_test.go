package open

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

var (
	unlockPass   = []byte("unlock passphrase of the test")
	presencePass = []byte("presence passphrase of the test")
)

func share(b byte) Share {
	return func(use func([]byte) error) error { return use(bytes.Repeat([]byte{b}, 32)) }
}

type world struct {
	t      *testing.T
	k      *Keyring
	g      canon.Genesis
	roster Roster
	vaults map[canon.Tier]canon.Vault
	code   []byte
}

func (w *world) place() Place {
	return Place{Account: w.g.Account, Device: w.g.Device, Root: canon.RootFingerprint(w.g.Root), TestHome: w.g.TestHome}
}

func found(t *testing.T) *world {
	t.Helper()
	k, err := New(rand.Reader, func() {})
	if err != nil {
		t.Fatal(err)
	}
	acc, _ := canon.NewID(rand.Reader)
	dev, _ := canon.NewID(rand.Reader)
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	f, err := k.Found(acc, Device{ID: dev, Key: pub}, true, unlockPass, presencePass, share(1), 7)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Gesture.Close()
	w := &world{t: t, k: k, g: f.Genesis, vaults: map[canon.Tier]canon.Vault{}}
	r := f.Roster
	for _, tier := range []canon.Tier{canon.TierStandard, canon.TierPresence} {
		id, _ := canon.NewID(rand.Reader)
		v, next, err := f.Gesture.NewVault(r, id, "name "+string(tier), tier, "")
		if err != nil {
			t.Fatal(err)
		}
		w.vaults[tier], r = v, next
		if err := k.AddVault(v, acc); err != nil {
			t.Fatal(err)
		}
	}
	w.roster = Roster{Roster: r, Version: 1}
	_ = f.Recovery(func(b []byte) error { w.code = bytes.Clone(b); return nil })
	return w
}

// again locks and opens everything anew.
func (w *world) again(pass []byte) error {
	w.k.Lock()
	if err := w.k.Unlock(w.roster, pass, share(1), w.place()); err != nil {
		return err
	}
	for _, v := range w.vaults {
		if err := w.k.AddVault(v, w.g.Account); err != nil {
			return err
		}
	}
	return nil
}

func TestUnlock(t *testing.T) {
	t.Parallel()
	w := found(t)
	if err := w.again(unlockPass); err != nil {
		t.Fatal(err)
	}
	w.k.Lock()
	for name, c := range map[string]struct {
		pass  []byte
		share Share
		want  fault.Kind
		spoil func(*Roster, *Place)
	}{
		"wrong":          {[]byte("x"), share(1), fault.Passphrase, nil},
		"presence":       {presencePass, share(1), fault.Passphrase, nil},
		"other share":    {unlockPass, share(2), fault.Passphrase, nil},
		"other root":     {unlockPass, share(1), fault.Tampered, func(_ *Roster, p *Place) { p.Root[0]++ }},
		"test flag":      {unlockPass, share(1), fault.Tampered, func(_ *Roster, p *Place) { p.TestHome = false }},
		"roster rolled":  {unlockPass, share(1), fault.Tampered, func(r *Roster, _ *Place) { r.Version = 0 }},
		"no slot":        {unlockPass, share(1), fault.Tampered, func(r *Roster, _ *Place) { r.Slots = nil }},
		"slot changed":   {unlockPass, share(1), fault.Tampered, func(r *Roster, _ *Place) { r.Slots[0].Sealed[20] ^= 1 }},
		"header changed": {unlockPass, share(1), fault.Tampered, func(r *Roster, _ *Place) { r.Slots[0].Header = append([]byte(" "), r.Slots[0].Header...) }},
		"seed of another": {unlockPass, share(1), fault.Tampered, func(r *Roster, _ *Place) {
			r.Compartments[0].Seeds[0].Bytes[1500%len(r.Compartments[0].Seeds[0].Bytes)] ^= 1
		}},
		"compartment moved": {unlockPass, share(1), fault.Tampered, func(r *Roster, _ *Place) { r.Compartments[0].Name = "account" }},
	} {
		r := Roster{Version: w.roster.Version}
		_ = json.Unmarshal(canon.Encode(w.roster.Roster), &r.Roster)
		p := w.place()
		if c.spoil != nil {
			c.spoil(&r, &p)
		}
		if err := w.k.Unlock(r, c.pass, c.share, p); !fault.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if w.k.Unlocked() {
			t.Fatalf("%s: unlocked", name)
		}
	}
}

func TestFoundRefusesEqualPassphrases(t *testing.T) {
	t.Parallel()
	k, _ := New(rand.Reader, func() {})
	id, _ := canon.NewID(rand.Reader)
	if _, err := k.Found(id, Device{ID: id}, false, unlockPass, unlockPass, share(1), 1); !fault.Is(err, fault.Usage) {
		t.Errorf("equal passphrases: %v", err)
	}
}

func TestGestureOpensWhatIsNamed(t *testing.T) {
	t.Parallel()
	w := found(t)
	presence := w.vaults[canon.TierPresence].ID
	if _, err := w.k.Gesture(w.roster, unlockPass, share(1), w.place(), nil); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the unlock passphrase approved: %v", err)
	}
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), nil)
	if err != nil || len(g.seeds) != 0 {
		t.Fatalf("a gesture for nothing opened %d compartments: %v", len(g.seeds), err)
	}
	if _, err := g.Root().Sign([]byte("x")); !fault.Is(err, fault.Denied) {
		t.Errorf("it signed: %v", err)
	}
	g.Close()
	g, err = w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{presence})
	if err != nil || len(g.seeds) != 1 || g.seeds["account"] != nil {
		t.Fatalf("an approval for one vault opened %d: %v", len(g.seeds), err)
	}
	g.Close()
	if err := g.seeds[presence](func([]byte) error { return nil }); !fault.Is(err, fault.Locked) {
		t.Errorf("a closed gesture still lends: %v", err)
	}
	g, err = w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	sig, err := g.Root().Sign([]byte("body"))
	if err != nil || !ed25519.Verify(ed25519.PublicKey(w.g.Root), canon.SigningBytes([]byte("body")), sig) {
		t.Errorf("root signature: %v", err)
	}
}

func (w *world) record(tier canon.Tier, text []byte) Record {
	v := w.vaults[tier]
	s := canon.Subject{Ref: "op://v/i/f", Vault: v.ID, Item: "i", Field: "f", Revision: 1, Tier: tier}
	ct, err := sealed.Value(v.Public, sealed.Context{Type: sealed.TypeValue, Account: w.g.Account, Vault: v.ID, Epoch: v.Epoch, Item: "i", Field: "f", Revision: 1}, text)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Record = sha(ct)
	return Record{Subject: s, Epoch: v.Epoch, Bytes: ct}
}

func (w *world) raw(rs ...Record) []byte {
	id, _ := canon.NewID(rand.Reader)
	r := canon.Request{V: 1, ID: id, Nonce: make([]byte, 32), Audience: w.g.Device, Account: w.g.Account, Action: "hold",
		Caller: canon.Asker{Kind: "person"}, Place: canon.Place{Sink: "handoff", Grade: canon.GradeHold}, Uses: 1, Issued: 1, Expires: 2}
	for _, x := range rs {
		r.Subjects = append(r.Subjects, x.Subject)
	}
	return canon.Encode(r)
}

// permit makes a permit the true way, with a real intent and a real proof.
func (w *world) permit(l *ledger.Ledger, raw []byte, d policy.Decision, g *Gesture, spoil func(*policy.Verdict, *approve.Proof, *ledger.Intent, *[]byte)) (Permit, error) {
	digest := canon.RequestDigest(raw)
	v := policy.Verdict{Decision: d, Digest: digest}
	var p approve.Proof
	if g != nil {
		desk := approve.NewDesk(clock{}, approve.DefaultLimits())
		_ = desk.Park(approve.Ticket{ID: "t", Digest: digest})
		ps, err := desk.Answer(func([]approve.Proof) error { return nil }, approve.Yes{ID: "t", Digest: digest, Gesture: approve.Gesture{Source: "terminal"}})
		if err != nil {
			w.t.Fatal(err)
		}
		p = ps[0]
	}
	in, err := l.Intend(context.Background(), canon.Event{Digest: &digest})
	if err != nil {
		w.t.Fatal(err)
	}
	if spoil != nil {
		spoil(&v, &p, &in, &raw)
	}
	return Grant(raw, v, p, in, g)
}

func TestPermitMatrix(t *testing.T) {
	t.Parallel()
	w := found(t)
	l := testLedger(t)
	secret := []byte("the value")
	std, pres := w.record(canon.TierStandard, secret), w.record(canon.TierPresence, secret)
	gest := func(names ...string) *Gesture {
		g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), names)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.Close)
		return g
	}
	presID := w.vaults[canon.TierPresence].ID
	other := w.raw(std)
	type spoil = func(*policy.Verdict, *approve.Proof, *ledger.Intent, *[]byte)
	for name, c := range map[string]struct {
		rec   Record
		d     policy.Decision
		g     *Gesture
		spoil spoil
		grant bool
		open  bool
	}{
		"standard allowed":        {std, policy.Allow, nil, nil, true, true},
		"standard asked":          {std, policy.Ask, gest(), nil, true, true},
		"presence with gesture":   {pres, policy.Ask, gest(presID), nil, true, true},
		"denied":                  {std, policy.Deny, nil, nil, false, false},
		"asked, nobody answered":  {std, policy.Ask, nil, nil, false, false},
		"presence, policy allows": {pres, policy.Allow, nil, nil, false, false},
		"gesture of another":      {pres, policy.Ask, gest("account"), nil, true, false},
		"verdict of another": {std, policy.Allow, nil, func(v *policy.Verdict, _ *approve.Proof, _ *ledger.Intent, _ *[]byte) {
			v.Digest = canon.RequestDigest(other)
		}, false, false},
		"no intent":      {std, policy.Allow, nil, func(_ *policy.Verdict, _ *approve.Proof, in *ledger.Intent, _ *[]byte) { *in = ledger.Intent{} }, false, false},
		"zero proof":     {std, policy.Ask, gest(), func(_ *policy.Verdict, p *approve.Proof, _ *ledger.Intent, _ *[]byte) { *p = approve.Proof{} }, false, false},
		"request swap":   {std, policy.Allow, nil, func(_ *policy.Verdict, _ *approve.Proof, _ *ledger.Intent, raw *[]byte) { *raw = other }, false, false},
		"by names alone": {Record{Subject: canon.Subject{Ref: std.Ref, Tier: canon.TierStandard}}, policy.Allow, nil, nil, false, false},
		"not canonical": {std, policy.Allow, nil, func(_ *policy.Verdict, _ *approve.Proof, _ *ledger.Intent, raw *[]byte) {
			*raw = append([]byte(" "), *raw...)
		}, false, false},
	} {
		p, err := w.permit(l, w.raw(c.rec), c.d, c.g, c.spoil)
		if (err == nil) != c.grant {
			t.Errorf("%s: granted %v: %v", name, err == nil, err)
			continue
		}
		var got []byte
		err = w.k.Open(context.Background(), p, c.rec, func(b []byte) error { got = bytes.Clone(b); return nil })
		if (err == nil) != c.open || c.open != bytes.Equal(got, secret) {
			t.Errorf("%s: opened %v (%q): %v", name, err == nil, got, err)
		}
		if c.open {
			if err := w.k.Open(context.Background(), p, c.rec, func([]byte) error { t.Errorf("%s: opened twice", name); return nil }); err == nil {
				t.Errorf("%s: a permit was used twice", name)
			}
		}
	}
	if err := w.k.Open(context.Background(), Permit{}, std, func([]byte) error { t.Error("opened"); return nil }); !fault.Is(err, fault.Denied) {
		t.Errorf("the zero permit: %v", err)
	}
}

// Every part of the context is flipped; nothing may open, and what is wrong is
// named as tampering.
func TestRecordBoundToItsPlace(t *testing.T) {
	t.Parallel()
	w := found(t)
	l := testLedger(t)
	for name, spoil := range map[string]func(*Record){
		"item": func(r *Record) { r.Item = "j" }, "field": func(r *Record) { r.Field = "g" }, "revision": func(r *Record) { r.Revision++ },
		"epoch": func(r *Record) { r.Epoch++ }, "byte": func(r *Record) { r.Bytes = bytes.Clone(r.Bytes); r.Bytes[len(r.Bytes)-1] ^= 1 },
		"byte and hash": func(r *Record) { r.Bytes = bytes.Clone(r.Bytes); r.Bytes[1130] ^= 1; r.Record = sha(r.Bytes) },
		"cut":           func(r *Record) { r.Bytes = r.Bytes[:100]; r.Record = sha(r.Bytes) },
		"form":          func(r *Record) { r.Bytes = bytes.Clone(r.Bytes); r.Bytes[2] = 2; r.Record = sha(r.Bytes) },
		"empty":         func(r *Record) { r.Bytes = nil; r.Record = sha(nil) },
	} {
		r := w.record(canon.TierStandard, []byte("v"))
		spoil(&r)
		p, err := w.permit(l, w.raw(r), policy.Allow, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.k.Open(context.Background(), p, r, func([]byte) error { t.Errorf("%s: opened", name); return nil }); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLargeValues(t *testing.T) {
	t.Parallel()
	w := found(t)
	l := testLedger(t)
	for _, n := range []int{0, 1, sealed.ChunkSize, sealed.ChunkSize + 1, 10 << 20} {
		text := make([]byte, n)
		_, _ = rand.Read(text)
		r := w.record(canon.TierStandard, text)
		p, err := w.permit(l, w.raw(r), policy.Allow, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = w.k.Open(context.Background(), p, r, func(b []byte) error {
			if !bytes.Equal(b, text) {
				t.Errorf("%d bytes came back changed", n)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if used := w.k.arena.InUse(); used > 16 {
		t.Errorf("%d pages of the arena leaked", used)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	w := found(t)
	l := testLedger(t)
	rec := w.record(canon.TierPresence, []byte("guarded"))
	w.k.Lock()
	vaults := []canon.Vault{w.vaults[canon.TierStandard], w.vaults[canon.TierPresence]}
	newUnlock, newPresence := []byte("a new unlock passphrase"), []byte("a new presence passphrase")
	if _, err := w.k.Recover(w.roster, vaults, []byte("wrong wrong wrong wr"), newUnlock, newPresence, share(2), w.place()); !fault.Is(err, fault.Passphrase) {
		t.Fatalf("a wrong code: %v", err)
	}
	r, err := w.k.Recover(w.roster, vaults, w.code, newUnlock, newPresence, share(2), w.place())
	if err != nil {
		t.Fatal(err)
	}
	r.Gesture.Close()
	oldRoster := w.roster
	w.roster = Roster{Roster: r.Roster, Version: 2}
	w.vaults[canon.TierPresence] = r.Vaults[0]
	w.k.Lock()
	if err := w.k.Unlock(w.roster, unlockPass, share(1), w.place()); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the old passphrase and share still open: %v", err)
	}
	if err := w.k.Unlock(w.roster, newUnlock, share(2), w.place()); err != nil {
		t.Fatal(err)
	}
	for _, v := range w.vaults {
		if err := w.k.AddVault(v, w.g.Account); err != nil {
			t.Fatal(err)
		}
	}
	g, err := w.k.Gesture(w.roster, newPresence, share(2), w.place(), []string{w.vaults[canon.TierPresence].ID})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	p, err := w.permit(l, w.raw(rec), policy.Ask, g, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.k.Open(context.Background(), p, rec, func(b []byte) error { return nil }); err != nil {
		t.Errorf("a value from before the recovery: %v", err)
	}
	w.k.Lock()
	if _, err := w.k.Recover(w.roster, vaults, w.code, newUnlock, newPresence, share(2), w.place()); !fault.Is(err, fault.Passphrase) {
		t.Errorf("a recovery code worked twice: %v", err)
	}
	if _, err := w.k.Gesture(oldRoster, presencePass, share(2), w.place(), nil); err == nil {
		t.Error("the old presence slot opens with the new share")
	}
}

func TestRekey(t *testing.T) {
	t.Parallel()
	w := found(t)
	id := w.vaults[canon.TierPresence].ID
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account", id})
	if err != nil {
		t.Fatal(err)
	}
	next := []byte("another presence passphrase")
	out, err := g.Rekey(w.roster, map[canon.SlotKind][]byte{canon.SlotPresence: next})
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	w.roster = Roster{Roster: out, Version: 2}
	if _, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{id}); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the old passphrase: %v", err)
	}
	g, err = w.k.Gesture(w.roster, next, share(1), w.place(), []string{"account", id})
	if err != nil {
		t.Fatal(err)
	}
	if out, err = g.Rekey(w.roster, map[canon.SlotKind][]byte{canon.SlotUnlock: []byte("another unlock passphrase")}); err != nil {
		t.Fatal(err)
	}
	g.Close()
	w.roster = Roster{Roster: out, Version: 3}
	if err := w.again([]byte("another unlock passphrase")); err != nil {
		t.Error(err)
	}
}

// Nothing prints: every verb, encoder and logger over everything that holds a
// secret, in four encodings.
func TestNothingToFind(t *testing.T) {
	t.Parallel()
	w := found(t)
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var secrets [][]byte
	_ = g.seeds["account"](func(b []byte) error { secrets = append(secrets, bytes.Clone(b)); return nil })
	_ = w.k.seed(func(b []byte) error { secrets = append(secrets, bytes.Clone(b)); return nil })
	secrets = append(secrets, bytes.Clone(presencePass))
	var out bytes.Buffer
	for _, v := range []any{w.k, g, g.Root(), struct{ x any }{w.k}, []any{g}, map[string]any{"k": w.k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%c"} {
			fmt.Fprintf(&out, verb, v)
		}
		_ = json.NewEncoder(&out).Encode(v)
		_ = gob.NewEncoder(&out).Encode(v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	}
	for _, s := range secrets {
		nums := strings.Trim(fmt.Sprint(s), "[]")
		for _, enc := range []string{string(s), hex.EncodeToString(s), nums, strings.ReplaceAll(nums, " ", ", ")} {
			if bytes.Contains(out.Bytes(), []byte(enc)) {
				i := bytes.Index(out.Bytes(), []byte(enc))
				t.Fatalf("a secret was printed: …%q", out.Bytes()[max(0, i-200):i])
			}
		}
	}
}

// A new recovery code opens what the old one did, and takes a gesture that
// opened all of it.
func TestRenew(t *testing.T) {
	t.Parallel()
	w := found(t)
	id := w.vaults[canon.TierPresence].ID
	part, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account"})
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	used := w.k.arena.InUse()
	if _, _, err := part.Renew(w.roster); !fault.Is(err, fault.Denied) {
		t.Errorf("a gesture for a part: %v", err)
	}
	if now := w.k.arena.InUse(); now != used {
		t.Errorf("%d pages of secret memory are left over", now-used)
	}
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account", id})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	roster, code, err := g.Renew(w.roster)
	if err != nil {
		t.Fatal(err)
	}
	var next []byte
	_ = code(func(b []byte) error { next = bytes.Clone(b); return nil })
	renewed := Roster{Roster: roster, Version: 2}
	vaults := []canon.Vault{w.vaults[canon.TierStandard], w.vaults[canon.TierPresence]}
	unlock, presence := []byte("a third unlock passphrase"), []byte("a third presence passphrase")
	if _, err := w.k.Recover(renewed, vaults, bytes.Repeat([]byte{1}, len(next)), unlock, presence, share(1), w.place()); !fault.Is(err, fault.Passphrase) {
		t.Errorf("another code: %v", err)
	}
	if _, err := w.k.Recover(renewed, vaults, next, unlock, presence, share(1), w.place()); err != nil {
		t.Errorf("the new code: %v", err)
	}
}

// dry is randomness that ends after so many reads.
type dry struct{ left int }

func (d *dry) Read(b []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, errors.New("no randomness")
	}
	return rand.Read(b)
}

// What was opened on the way is forgotten wherever founding or recovering ends
// early, and the recovery code once it was lent.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := found(t)
	vaults := []canon.Vault{w.vaults[canon.TierPresence]}
	for name, act := range map[string]func(*Keyring) (*Gesture, func(func([]byte) error) error, error){
		"found": func(k *Keyring) (*Gesture, func(func([]byte) error) error, error) {
			a, err := k.Found(w.g.Account, Device{ID: w.g.Device, Key: w.g.DeviceKey}, true, unlockPass, presencePass, share(1), 7)
			if err != nil {
				return nil, nil, err
			}
			return a.Gesture, a.Recovery, nil
		},
		"recover": func(k *Keyring) (*Gesture, func(func([]byte) error) error, error) {
			r, err := k.Recover(w.roster, vaults, w.code, []byte("another unlock one"), []byte("another presence one"), share(2), w.place())
			if err != nil {
				return nil, nil, err
			}
			return r.Gesture, r.Recovery, nil
		},
	} {
		source := &dry{left: 1} // for the page's key
		k, err := New(source, func() {})
		if err != nil {
			t.Fatal(err)
		}
		for _, reads := range []int{0, 1, 2, 3, 5, 9, 13, 100} { // the last is enough
			source.left = reads
			g, code, err := act(k)
			if (err == nil) != (reads == 100) {
				t.Fatalf("%s, with randomness for %d reads: %v", name, reads, err)
			}
			want := 0
			if err == nil {
				g.Close()
				_ = code(func([]byte) error { return nil })
				want = 1 // the session key
			}
			if n := k.arena.InUse(); n != want || k.Unlocked() != (err == nil) {
				t.Errorf("%s, with randomness for %d reads: %d pages of secret memory are in use, want %d", name, reads, n, want)
			}
		}
		k.Lock()
	}
}

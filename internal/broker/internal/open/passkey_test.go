package open

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

const page = "http://vault-0123456789abcdefghjkmnpqrs.localhost:20001"

// touch is what the page brings of a passkey for a plan, over a challenge of its own.
func (w *world) touch(p *approvetest.Passkey, plan [][]string) Touch {
	w.t.Helper()
	t := Touch{RPID: p.RPID, Credential: p.Credential, Plan: plan}
	_, _ = rand.Read(t.Challenge[:])
	for i := range plan {
		t.Sealed = append(t.Sealed, w.seal(p, t, i))
	}
	return t
}

// seal is what a passkey gives for a batch of a touch.
func (w *world) seal(p *approvetest.Passkey, t Touch, i int) []byte {
	w.t.Helper()
	var salts [][]byte
	for _, name := range t.Plan[i] {
		salts = append(salts, slot.PRFSalt(w.g.Account, name))
	}
	return approvetest.Seal(w.t, w.k.PageKey(), t.Challenge, i, p.PRF(salts...))
}

// gesture opens everything with the passphrase.
func (w *world) gesture() *Gesture {
	w.t.Helper()
	g, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), w.roster.Guarded())
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// full is the plan of an enrolment.
func (w *world) full() [][]string {
	all := slices.Collect(slices.Chunk(w.roster.Everything(), slot.Salted))
	return append(all, all[0])
}

// enrol adds a passkey by a gesture.
func (w *world) enrol(g *Gesture, p *approvetest.Passkey) canon.Authenticator {
	w.t.Helper()
	id, _ := canon.NewID(rand.Reader)
	a := canon.Authenticator{ID: id, Name: id, Credential: p.Credential, Public: p.Public(), RPID: p.RPID, Origin: p.Origin, PRF: !p.SignsOnly}
	t := w.touch(p, w.full())
	r, err := g.AddPasskey(w.roster, a, t)
	if err != nil {
		w.t.Fatal(err)
	}
	next := Roster{Roster: r, Version: w.roster.Version + 1}
	if a.PRF {
		if err := w.k.Confirm(next, t, share(1), w.place()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.roster = next
	return a
}

// pages counts the pages of secret memory that something leaves taken.
func (w *world) pages(do func()) int {
	before := w.k.arena.InUse()
	do()
	return w.k.arena.InUse() - before
}

func TestPasskeyOpensWhatIsNamed(t *testing.T) {
	t.Parallel()
	w := found(t)
	prod := w.vaults[canon.TierPresence].ID
	p := approvetest.New(t, page)
	left := w.pages(func() {
		g := w.gesture()
		w.enrol(g, p)
		g.Close()
	})
	if left != 0 {
		t.Errorf("an enrolment leaves %d pages of secrets", left)
	}
	for _, c := range [][]string{{prod}, {"account"}, {"account", prod}, {}} {
		left := w.pages(func() {
			g, err := w.k.Passkey(w.roster, w.touch(p, w.roster.Plan(c)), share(1), w.place(), c)
			if err != nil {
				t.Errorf("%v: %v", c, err)
				return
			}
			var opened []string
			for name := range g.seeds {
				opened = append(opened, name)
			}
			slices.Sort(opened)
			want := slices.Sorted(slices.Values(c))
			if diff := cmp.Diff(want, opened); diff != "" {
				t.Errorf("%v: %s", c, diff)
			}
			if _, err := g.Root().Sign([]byte("x")); (err == nil) != slices.Contains(c, "account") {
				t.Errorf("%v: signs: %v", c, err)
			}
			g.Close()
			g.Close()
		})
		if left != 0 {
			t.Errorf("%v leaves %d pages of secrets", c, left)
		}
	}
	// Beside others, a request that needs nothing is checked with what is there.
	if g, err := w.k.Passkey(w.roster, w.touch(p, [][]string{{prod}}), share(1), w.place(), nil); err != nil || len(g.seeds) != 0 {
		t.Errorf("%v", err)
	} else {
		g.Close()
	}
	w.k.Lock()
	if err := w.k.UnlockPasskey(w.roster, w.touch(p, [][]string{{"session"}}), share(1), w.place()); err != nil || !w.k.Unlocked() {
		t.Fatalf("%v", err)
	}
	if left := w.pages(func() {
		if err := w.k.UnlockPasskey(w.roster, w.touch(p, [][]string{{"session"}}), share(1), w.place()); err != nil {
			t.Error(err)
		}
	}); left != 0 {
		t.Errorf("to unlock what is open leaves %d pages", left)
	}
	for _, v := range w.vaults {
		if err := w.k.AddVault(v, w.g.Account); err != nil {
			t.Error(err)
		}
	}
}

// What is wrong opens nothing, leaves no secret behind, and says what is wrong: the
// browser, or what is stored.
func TestPasskeyRefused(t *testing.T) {
	t.Parallel()
	w := found(t)
	prod := w.vaults[canon.TierPresence].ID
	p, stranger, badge := approvetest.New(t, page), approvetest.New(t, page), approvetest.New(t, page)
	badge.SignsOnly = true
	g := w.gesture()
	w.enrol(g, p)
	w.enrol(g, badge)
	g.Close()
	needs := []string{prod, "account"}
	own := func(r *Roster, compartment string) *canon.Slot {
		for i, s := range r.Slots {
			if h, err := slot.Header(s); err == nil && h.Kind == canon.SlotPasskey && h.Compartment == compartment {
				return &r.Slots[i]
			}
		}
		t.Fatal("no slot")
		return nil
	}
	edit := func(s *canon.Slot, change func(*canon.SlotHeader)) {
		h, err := slot.Header(*s)
		if err != nil {
			t.Fatal(err)
		}
		change(&h)
		s.Header = canon.Encode(h)
	}
	seal := func(c *Touch, i int, text []byte) {
		c.Sealed[i] = approvetest.Seal(t, w.k.PageKey(), c.Challenge, i, text)
	}
	for name, c := range map[string]struct {
		kind  fault.Kind
		spoil func(c *Touch, r *Roster, at *Place, s *Share)
	}{
		"nothing given":     {fault.Passphrase, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.Sealed[0] = nil }},
		"no batch":          {fault.Passphrase, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.Sealed = nil }},
		"no plan":           {fault.Passphrase, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.Sealed, c.Plan = nil, nil }},
		"a batch too many":  {fault.Passphrase, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.Sealed = append(c.Sealed, c.Sealed[0]) }},
		"another output":    {fault.Passphrase, func(c *Touch, _ *Roster, _ *Place, _ *Share) { seal(c, 0, make([]byte, 64)) }},
		"half an output":    {fault.Tampered, func(c *Touch, _ *Roster, _ *Place, _ *Share) { seal(c, 0, make([]byte, 32)) }},
		"another challenge": {fault.Tampered, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.Challenge[0]++ }},
		"another batch": {fault.Tampered, func(c *Touch, _ *Roster, _ *Place, _ *Share) {
			c.Sealed[0] = w.seal(p, Touch{Challenge: c.Challenge, Plan: [][]string{nil, {prod, "account"}}}, 1)
		}},
		"salts swapped":      {fault.Passphrase, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.Plan = [][]string{{"account", prod}} }},
		"a stranger":         {fault.Denied, func(c *Touch, _ *Roster, _ *Place, _ *Share) { *c = w.touch(stranger, c.Plan) }},
		"one that signs":     {fault.Denied, func(c *Touch, _ *Roster, _ *Place, _ *Share) { *c = w.touch(badge, c.Plan) }},
		"another page":       {fault.Denied, func(c *Touch, _ *Roster, _ *Place, _ *Share) { c.RPID = "localhost" }},
		"another share":      {fault.Passphrase, func(_ *Touch, _ *Roster, _ *Place, s *Share) { *s = share(2) }},
		"another root":       {fault.Tampered, func(_ *Touch, _ *Roster, at *Place, _ *Share) { at.Root[0]++ }},
		"no test home":       {fault.Tampered, func(_ *Touch, _ *Roster, at *Place, _ *Share) { at.TestHome = false }},
		"roster rolled back": {fault.Tampered, func(_ *Touch, r *Roster, _ *Place, _ *Share) { r.Version = 1 }},
		"slot damaged":       {fault.Tampered, func(_ *Touch, r *Roster, _ *Place, _ *Share) { own(r, prod).Sealed[40] ^= 1 }},
		"slot cut short":     {fault.Tampered, func(_ *Touch, r *Roster, _ *Place, _ *Share) { s := own(r, prod); s.Sealed = s.Sealed[:4] }},
		"header of another": {fault.Passphrase, func(_ *Touch, r *Roster, _ *Place, _ *Share) {
			edit(own(r, prod), func(h *canon.SlotHeader) { h.Created++ })
		}},
		"header with a KDF": {fault.Denied, func(_ *Touch, r *Roster, _ *Place, _ *Share) {
			edit(own(r, prod), func(h *canon.SlotHeader) { h.KDF.Memory = 1 << 16 })
			r.Compartments = nil
		}},
		"slot of the account's": {fault.Tampered, func(_ *Touch, r *Roster, _ *Place, _ *Share) {
			*own(r, prod), *own(r, "account") = *own(r, "account"), *own(r, prod)
			r.Compartments = r.Compartments[:1]
		}},
		"seeds gone": {fault.Tampered, func(_ *Touch, r *Roster, _ *Place, _ *Share) { r.Compartments[len(r.Compartments)-1].Seeds = nil }},
		"seed damaged": {fault.Tampered, func(_ *Touch, r *Roster, _ *Place, _ *Share) {
			for _, s := range r.Compartments[len(r.Compartments)-1].Seeds {
				s.Bytes[len(s.Bytes)-1] ^= 1
			}
		}},
	} {
		r := Roster{Version: w.roster.Version}
		if err := json.Unmarshal(canon.Encode(w.roster.Roster), &r.Roster); err != nil {
			t.Fatal(err)
		}
		at, s, x := w.place(), share(1), w.touch(p, w.roster.Plan(needs))
		if diff := cmp.Diff([][]string{{prod, "account"}}, x.Plan); diff != "" {
			t.Fatal(diff)
		}
		c.spoil(&x, &r, &at, &s)
		left := w.pages(func() {
			if g, err := w.k.Passkey(r, x, s, at, needs); !fault.Is(err, c.kind) || g != nil {
				t.Errorf("%s: %v, want %s", name, err, c.kind)
			}
		})
		if left != 0 {
			t.Errorf("%s leaves %d pages of secrets", name, left)
		}
	}
}

// A passkey counts once it has given the same twice.
func TestConfirm(t *testing.T) {
	t.Parallel()
	w := found(t)
	p := approvetest.New(t, page)
	g := w.gesture()
	defer g.Close()
	a := canon.Authenticator{ID: "a", Credential: p.Credential, RPID: p.RPID, PRF: true}
	good := w.touch(p, w.full())
	r, err := g.AddPasskey(w.roster, a, good)
	if err != nil {
		t.Fatal(err)
	}
	next := Roster{Roster: r, Version: w.roster.Version + 1}
	last := len(good.Plan) - 1
	for name, c := range map[string]struct {
		sealed []byte
		kind   fault.Kind
	}{
		"nothing":        {nil, fault.Passphrase},
		"something else": {approvetest.Seal(t, w.k.PageKey(), good.Challenge, last, make([]byte, 64)), fault.Passphrase},
		"the first time": {good.Sealed[0], fault.Tampered},
	} {
		x := good
		x.Sealed = slices.Clone(good.Sealed)
		x.Sealed[last] = c.sealed
		left := w.pages(func() {
			if err := w.k.Confirm(next, x, share(1), w.place()); !fault.Is(err, c.kind) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if left != 0 {
			t.Errorf("%s leaves %d pages", name, left)
		}
	}
	if err := w.k.Confirm(next, good, share(1), w.place()); err != nil {
		t.Error(err)
	}
	if err := w.k.Confirm(w.roster, good, share(1), w.place()); !fault.Is(err, fault.Denied) {
		t.Errorf("by a roster that does not list it: %v", err)
	}
	// A gesture that did not open everything gives no new way in, and neither does one
	// while the session is locked.
	some, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account"})
	if err != nil {
		t.Fatal(err)
	}
	defer some.Close()
	if _, err := some.AddPasskey(w.roster, a, good); !fault.Is(err, fault.Denied) {
		t.Errorf("half a gesture: %v", err)
	}
	w.k.Lock()
	if _, err := g.AddPasskey(w.roster, a, good); !fault.Is(err, fault.Denied) {
		t.Errorf("while locked: %v", err)
	}
}

// What is removed opens nothing that the new roster and descriptors say; what stays
// opens all of it.
func TestRemoveAndRotate(t *testing.T) {
	t.Parallel()
	w := found(t)
	p, q := approvetest.New(t, page), approvetest.New(t, page)
	g := w.gesture()
	defer g.Close()
	a := w.enrol(g, p)
	w.enrol(g, q)
	vault := w.vaults[canon.TierPresence]
	old := w.roster
	r, moved, err := g.Rotate(old, old.RemovePasskey(a), []canon.Vault{w.vaults[canon.TierStandard], vault, {ID: "gone", Tier: canon.TierPresence, Deleted: true}})
	if err != nil || len(moved) != 1 || moved[0].ID != vault.ID {
		t.Fatalf("%v, %v", moved, err)
	}
	if v := moved[0]; bytes.Equal(v.Seed, vault.Seed) || bytes.Equal(v.Public, vault.Public) || v.Epoch != 2 || v.Follows(&vault) != nil {
		t.Errorf("not what Rotate does: epoch %d, %v", v.Epoch, v.Follows(&vault))
	}
	w.roster = Roster{Roster: r, Version: old.Version + 1}
	c, _ := w.roster.Compartment(vault.ID)
	before, _ := old.Compartment(vault.ID)
	if bytes.Equal(c.Public, before.Public) || len(c.Seeds) != len(before.Seeds)-1 {
		t.Errorf("the compartment's key stayed, or %d seeds of %d", len(c.Seeds), len(before.Seeds))
	}
	plan := [][]string{{vault.ID, "account"}, {"session"}}
	for _, name := range w.roster.Everything() {
		if name == "recovery" {
			continue
		}
		if g, err := w.k.Passkey(w.roster, w.touch(p, plan), share(1), w.place(), []string{name}); !fault.Is(err, fault.Denied) {
			t.Errorf("removed, and opens %s: %v", name, err)
			g.Close()
		}
		g, err := w.k.Passkey(w.roster, w.touch(q, plan), share(1), w.place(), []string{name})
		if err != nil {
			t.Errorf("the other one opens no %s: %v", name, err)
		}
		g.Close()
	}
	if w.roster.Passkeys() != true || !w.roster.HasPassphrase() {
		t.Error("what stays is gone")
	}
	ended := Roster{Roster: w.roster.EndPassphrase(), Version: w.roster.Version}
	if ended.HasPassphrase() || !w.roster.HasPassphrase() {
		t.Error("the passphrase did not end, or in the old roster too")
	}
	if _, err := w.k.Gesture(ended, presencePass, share(1), w.place(), []string{vault.ID}); !fault.Is(err, fault.Denied) {
		t.Errorf("an ended passphrase: %v", err)
	}
	half, err := w.k.Gesture(w.roster, presencePass, share(1), w.place(), []string{"account"})
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, _, err := half.Rotate(w.roster, ended.Roster, moved); !fault.Is(err, fault.Denied) {
		t.Errorf("by a gesture that did not open the vault: %v", err)
	}
	// A vault of later is reached by the ways there are, whichever makes it.
	byQ, err := w.k.Passkey(ended, w.touch(q, ended.Plan([]string{"account"})), share(1), w.place(), []string{"account"})
	if err != nil {
		t.Fatal(err)
	}
	defer byQ.Close()
	id, _ := canon.NewID(rand.Reader)
	_, later, err := byQ.NewVault(ended.Roster, id, "later", canon.TierPresence, "")
	if err != nil {
		t.Fatal(err)
	}
	now := Roster{Roster: later, Version: ended.Version + 1}
	if _, _, ok := now.Slot(slot.Passkey(q.RPID, q.Credential), id); ok {
		t.Error("a slot of its own: then the plan must be another")
	}
	got, err := w.k.Passkey(now, w.touch(q, now.Plan([]string{id})), share(1), w.place(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
}

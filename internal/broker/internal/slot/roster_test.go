package slot

import (
	"crypto/rand"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

const rpid = "vault-0123456789abcdefghjkmnpqrs.localhost"

// maker makes rosters whose slots wrap nothing.
type maker struct {
	t *testing.T
	r Roster
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := canon.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// slot adds one and returns its id.
func (m *maker) slot(w Way, compartment string) string {
	m.t.Helper()
	id := newID(m.t)
	h := canon.SlotHeader{V: sealed.Version, Suite: sealed.Suite, Account: id, Device: id, ID: id, Kind: w.Kind, Compartment: compartment, RPID: w.RPID, Credential: w.Credential}
	if w.Kind == canon.SlotPresence || w.Kind == canon.SlotUnlock {
		h.KDF = canon.KDF{Memory: sealed.MinMemory, Time: sealed.MinTime, Threads: 4, Salt: make([]byte, sealed.SlotSalt)}
	}
	if err := sealed.CheckSlot(h); err != nil {
		m.t.Fatal(err)
	}
	m.r.Slots = append(m.r.Slots, canon.Slot{Header: canon.Encode(h)})
	return id
}

func (m *maker) compartment(name string, to ...string) {
	c := canon.Compartment{Name: name}
	for _, id := range to {
		c.Seeds = append(c.Seeds, canon.Sealed{To: id})
	}
	m.r.Compartments = append(m.r.Compartments, c)
}

func (m *maker) passkey(name string, prf bool) canon.Authenticator {
	a := canon.Authenticator{ID: name, Name: name, RPID: rpid, Credential: canon.Bytes(name), PRF: prf}
	m.r.Authenticators = append(m.r.Authenticators, a)
	return a
}

func way(a canon.Authenticator) Way { return Passkey(a.RPID, a.Credential) }

// built is a roster as an account has it: v was there when p was enrolled, and later
// was made by p, when q was not there yet.
func built(t *testing.T) (m *maker, p, q, badge canon.Authenticator) {
	m = &maker{t: t}
	p, q, badge = m.passkey("p", true), m.passkey("q", true), m.passkey("badge", false)
	typed, code := Way{Kind: canon.SlotPresence}, m.slot(Way{Kind: canon.SlotRecovery}, "recovery")
	account := m.slot(typed, "account")
	pa, qa := m.slot(way(p), "account"), m.slot(way(q), "account")
	m.compartment("session", m.slot(Way{Kind: canon.SlotUnlock}, "session"), m.slot(way(p), "session"), m.slot(way(q), "session"), code)
	m.compartment("account", account, pa, qa, code)
	m.compartment("v", m.slot(typed, "v"), m.slot(way(p), "v"), m.slot(way(q), "v"), code)
	m.compartment("later", account, pa, m.slot(way(q), "later"), code)
	m.compartment("typed", m.slot(typed, "typed"), code)
	return m, p, q, badge
}

func TestPlan(t *testing.T) {
	m, _, _, _ := built(t)
	signs := &maker{t: t}
	signs.passkey("badge", false)
	for name, c := range map[string]struct {
		r     Roster
		needs []string
		want  [][]string
	}{
		"nothing":               {m.r, nil, [][]string{{"account"}}},
		"account":               {m.r, []string{"account"}, [][]string{{"account"}}},
		"a vault":               {m.r, []string{"v"}, [][]string{{"v"}}},
		"twice":                 {m.r, []string{"v", "v"}, [][]string{{"v"}}},
		"one has no slot":       {m.r, []string{"later"}, [][]string{{"later", "account"}}},
		"none has a slot":       {m.r, []string{"typed"}, [][]string{{"account"}}},
		"unknown":               {m.r, []string{"nowhere"}, [][]string{{"account"}}},
		"two touches":           {m.r, []string{"v", "later", "session"}, [][]string{{"v", "later"}, {"account", "session"}}},
		"one that signs only":   {signs.r, []string{"v"}, [][]string{{"account"}}},
		"a roster without them": {Roster{}, []string{"v"}, [][]string{{"account"}}},
	} {
		if diff := cmp.Diff(c.want, c.r.Plan(c.needs)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// One touch unlocks, and opens the guarded vault where there is one that all passkeys
// have a slot for.
func TestUnlockPlan(t *testing.T) {
	several, _, _, _ := built(t)
	single := func(every bool) Roster {
		m := &maker{t: t}
		p, q := m.passkey("p", true), m.passkey("q", true)
		m.compartment("session", m.slot(way(p), "session"), m.slot(way(q), "session"))
		m.compartment("account", m.slot(way(p), "account"), m.slot(way(q), "account"))
		to := []string{m.slot(way(p), "v")}
		if every {
			to = append(to, m.slot(way(q), "v"))
		}
		m.compartment("v", to...)
		return m.r
	}
	for name, c := range map[string]struct {
		r    Roster
		want [][]string
	}{
		"one vault":                      {single(true), [][]string{{"session", "v"}}},
		"one that not all have":          {single(false), [][]string{{"session"}}},
		"several":                        {several.r, [][]string{{"session"}}},
		"a roster without a guarded one": {Roster{Roster: canon.Roster{Authenticators: single(true).Authenticators}}, [][]string{{"account"}}},
	} {
		if diff := cmp.Diff(c.want, c.r.UnlockPlan()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReach(t *testing.T) {
	m, p, q, badge := built(t)
	typed := Way{Kind: canon.SlotPresence}
	for name, c := range map[string]struct {
		w    Way
		to   string
		want string // compartment of the slot; empty is none
	}{
		"own":                    {way(p), "v", "v"},
		"by the account":         {way(p), "later", "account"},
		"own before the account": {way(q), "later", "later"},
		"not sealed to it":       {way(p), "typed", ""},
		"unknown":                {way(p), "nowhere", ""},
		"one that signs":         {way(badge), "v", ""},
		"another page's":         {Passkey("localhost", p.Credential), "v", ""},
		"another credential":     {Passkey(rpid, canon.Bytes("x")), "v", ""},
		"no passkey":             {Passkey("", nil), "v", ""},
		"typed":                  {typed, "typed", "typed"},
		"typed, by the account":  {typed, "later", "account"},
		"typed, the session":     {typed, "session", ""},
		"nothing":                {Way{}, "v", ""},
	} {
		_, h, ok := m.r.Reach(c.w, c.to)
		if ok != (c.want != "") || h.Compartment != c.want || ok && !c.w.Is(h) {
			t.Errorf("%s: %q, %v", name, h.Compartment, ok)
		}
	}
	if diff := cmp.Diff([]string{"session", "account", "v", "later"}, m.r.Opens(way(p))); diff != "" {
		t.Error(diff)
	}
	if got := m.r.Opens(way(badge)); got != nil {
		t.Errorf("one that signs opens %v", got)
	}
	if diff := cmp.Diff([]string{"account", "v", "later", "typed"}, m.r.Guarded()); diff != "" {
		t.Error(diff)
	}
}

// seeds lists the kinds of slots to which a compartment is sealed; "" is a slot that
// the roster has not.
func seeds(r Roster, name string) (out []string) {
	kinds := map[string]string{}
	for _, s := range r.Slots {
		if h, err := Header(s); err == nil {
			kinds[h.ID] = string(h.Kind) + string(h.Credential)
		}
	}
	c, _ := r.Compartment(name)
	for _, s := range c.Seeds {
		out = append(out, kinds[s.To])
	}
	return out
}

// What is taken out of a roster is gone with all that is sealed to it, and the roster
// before is as it was.
func TestTakeOut(t *testing.T) {
	m, p, q, badge := built(t)
	before := canon.Encode(m.r.Roster)
	r := Roster{Roster: m.r.RemovePasskey(p)}
	for name, want := range map[string][]string{
		"session": {"unlock", "passkeyq", "recovery"}, "account": {"presence", "passkeyq", "recovery"},
		"v": {"presence", "passkeyq", "recovery"}, "later": {"presence", "passkeyq", "recovery"},
	} {
		if diff := cmp.Diff(want, seeds(r, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if r.Opens(way(p)) != nil || len(r.Authenticators) != 2 || !r.Passkeys() {
		t.Errorf("%v", r.Authenticators)
	}
	r = Roster{Roster: r.RemovePasskey(q)}
	if r.Passkeys() || len(r.Authenticators) != 1 {
		t.Errorf("%v", r.Authenticators)
	}
	r = Roster{Roster: r.RemovePasskey(badge)}
	if r.Authenticators != nil { // as in rosters of before there were any
		t.Errorf("%v", r.Authenticators)
	}
	if !r.HasPassphrase() {
		t.Error("the passphrase is gone too")
	}
	r = Roster{Roster: m.r.EndPassphrase()}
	if r.HasPassphrase() || !m.r.HasPassphrase() || len(r.Authenticators) != 3 {
		t.Error("the passphrase goes on, or ended in the roster before")
	}
	if diff := cmp.Diff([]string{"passkeyp", "passkeyq", "recovery"}, seeds(r, "later")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(string(before), string(canon.Encode(m.r.Roster))); diff != "" {
		t.Errorf("the roster before changed: %s", diff)
	}
}

// A slot whose header does not hold is none, wherever it stands.
func TestBadHeaders(t *testing.T) {
	m := &maker{t: t}
	p := m.passkey("p", true)
	id := m.slot(way(p), "v")
	m.compartment("v", id)
	good := m.r.Slots[0]
	for name, change := range map[string]func(*canon.SlotHeader){
		"stretched":      func(h *canon.SlotHeader) { h.KDF.Memory = sealed.MinMemory },
		"no credential":  func(h *canon.SlotHeader) { h.Credential = nil },
		"no page":        func(h *canon.SlotHeader) { h.RPID = "" },
		"a PIN, named":   func(h *canon.SlotHeader) { h.Kind = canon.SlotPIN },
		"no compartment": func(h *canon.SlotHeader) { h.Compartment = "" },
		"later suite":    func(h *canon.SlotHeader) { h.Suite++ },
	} {
		h, err := Header(good)
		if err != nil {
			t.Fatal(err)
		}
		change(&h)
		m.r.Slots[0].Header = canon.Encode(h)
		if _, err := Header(m.r.Slots[0]); err == nil {
			t.Errorf("%s: it holds", name)
		}
		if _, _, ok := m.r.Reach(way(p), "v"); ok {
			t.Errorf("%s: and opens", name)
		}
	}
	for _, text := range []string{``, `{}`, `{"v":1}`, `null`, string(good.Header) + " ", string(good.Header[:len(good.Header)-1]) + `,"more":1}`} {
		if _, err := Header(canon.Slot{Header: []byte(text)}); err == nil {
			t.Errorf("%q is a header", text)
		}
	}
}

func TestPRFSalt(t *testing.T) {
	seen := map[string]string{}
	for _, x := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}, {"a", "account"}, {"b", "account"}, {"a", "session"}} {
		s := string(PRFSalt(x[0], x[1]))
		if len(s) != 32 || seen[s] != "" {
			t.Errorf("%v: like that of %s", x, seen[s])
		}
		seen[s] = x[0] + "/" + x[1]
	}
}

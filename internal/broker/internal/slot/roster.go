package slot

import (
	"bytes"
	"slices"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Place is what a new slot is made for, and what its plaintext vouches for.
type Place struct {
	Account  string
	Device   string
	Root     canon.Hash // fingerprint of the root key
	TestHome bool
	Roster   int64 // the roster version that first lists the slot
	Created  int64 // unix milliseconds
}

// Header decodes and checks the header of a slot.
func Header(s canon.Slot) (canon.SlotHeader, error) {
	var h canon.SlotHeader
	if err := canon.Decode(s.Header, &h); err != nil {
		return h, err
	}
	return h, sealed.CheckSlot(h)
}

// Roster is a roster statement's payload with the version of that statement;
// whoever fills it in has checked the root key's signature.
type Roster struct {
	canon.Roster
	Version int64
	Page    string // origin of the page that its passkeys are for; a setting of its own
	Least   Least  // what presence vaults take, by id; their descriptors say it
}

// Least is the weakest way that may open each presence vault.
type Least map[string]canon.Least

// Admits reports whether ways of a kind may open a compartment: any that opens the
// account may, but where a vault takes more.
func (r Roster) Admits(kind canon.SlotKind, compartment string) bool {
	least, ok := r.Least[compartment]
	return !ok || least.Admits(kind)
}

// Way is what opens slots: a kind of secret, and which passkey where it is one.
type Way struct {
	Kind       canon.SlotKind
	RPID       string
	Credential canon.Bytes
}

// Passkey is the way of one passkey.
func Passkey(rpid string, credential canon.Bytes) Way {
	return Way{Kind: canon.SlotPasskey, RPID: rpid, Credential: credential}
}

// Is reports whether a slot opens this Way.
func (w Way) Is(h canon.SlotHeader) bool {
	return w.Kind == h.Kind && w.RPID == h.RPID && bytes.Equal(w.Credential, h.Credential)
}

// WayOf is the way of a slot.
func WayOf(h canon.SlotHeader) Way { return Way{h.Kind, h.RPID, h.Credential} }

// With is a roster as the one before it, of which only what is signed changes.
func (r Roster) With(next canon.Roster) Roster {
	r.Roster = next
	return r
}

// Takes is a roster that knows what a vault takes.
func (r Roster) Takes(v canon.Vault) Roster {
	if v.Tier == canon.TierPresence {
		known := r.Least
		r.Least = Least{v.ID: v.MinApproval}
		for id, least := range known {
			if id != v.ID {
				r.Least[id] = least
			}
		}
	}
	return r
}

// TooWeak is the refusal of a way that a vault does not take.
func TooWeak(at string, least canon.Least) error {
	return fault.New(fault.Denied, "approve", at, "this vault takes more than that").WithHint("it opens by " + least.Said())
}

// Slot returns the first slot of a Way for a compartment.
func (r Roster) Slot(w Way, compartment string) (canon.Slot, canon.SlotHeader, bool) {
	for _, s := range r.Slots {
		h, err := Header(s)
		if err == nil && w.Is(h) && h.Compartment == compartment {
			return s, h, true
		}
	}
	return canon.Slot{}, canon.SlotHeader{}, false
}

// Find is Slot for a secret of which there is one.
func (r Roster) Find(kind canon.SlotKind, compartment string) (canon.Slot, canon.SlotHeader, bool) {
	return r.Slot(Way{Kind: kind}, compartment)
}

// Compartment returns a compartment by name.
func (r Roster) Compartment(name string) (canon.Compartment, bool) {
	for _, c := range r.Compartments {
		if c.Name == name {
			return c, true
		}
	}
	return canon.Compartment{}, false
}

// Plan says which compartments' salts a touch must evaluate so that any of the
// roster's passkeys can open what is needed, in batches of one touch each. With
// nothing needed the account's is asked for, to check the passkey.
func (r Roster) Plan(needs []string) [][]string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, need := range needs {
		own, all := 0, 0
		for _, a := range r.Authenticators {
			if !a.PRF { // it signs, and opens nothing
				continue
			}
			all++
			if _, _, ok := r.Slot(Passkey(a.RPID, a.Credential), need); ok {
				own++
			}
		}
		if own > 0 {
			add(need)
		}
		if own < all {
			add("account")
		}
	}
	if len(names) == 0 {
		names = []string{"account"}
	}
	return slices.Collect(slices.Chunk(names, Salted))
}

// UnlockPlan is Plan for the session, and for the guarded vault where there is one and
// the same touch evaluates its salt. Which vaults a name lies in is not known while
// locked: with several, what is in them takes a touch of its own afterwards.
func (r Roster) UnlockPlan() [][]string {
	guarded := slices.DeleteFunc(r.Guarded(), func(name string) bool { return name == "account" })
	if len(guarded) == 1 {
		if plan := r.Plan([]string{"session", guarded[0]}); len(plan) == 1 {
			return plan
		}
	}
	return r.Plan([]string{"session"})
}

// Reach finds the slot by which a Way opens a compartment.
func (r Roster) Reach(w Way, name string) (canon.Slot, canon.SlotHeader, bool) {
	if !r.Admits(w.Kind, name) {
		return canon.Slot{}, canon.SlotHeader{}, false
	}
	if s, h, ok := r.Slot(w, name); ok {
		return s, h, true
	}
	s, h, ok := r.Slot(w, "account")
	c, known := r.Compartment(name)
	if !ok || !known || !slices.ContainsFunc(c.Seeds, func(x canon.Sealed) bool { return x.To == h.ID }) {
		return canon.Slot{}, canon.SlotHeader{}, false
	}
	return s, h, true
}

// Everything names all compartments that a new Way must open.
func (r Roster) Everything() []string {
	var all []string
	for _, c := range r.Compartments {
		all = append(all, c.Name)
	}
	return all
}

// Guarded names what takes a gesture to open: all but the session's compartment.
func (r Roster) Guarded() []string {
	return slices.DeleteFunc(r.Everything(), func(name string) bool { return name == "session" })
}

// Open names what takes a gesture to open, as far as ways of a kind may open it.
func (r Roster) Open(kind canon.SlotKind) []string {
	return slices.DeleteFunc(r.Guarded(), func(name string) bool { return !r.Admits(kind, name) })
}

// Lost names the compartments of which a slot that opened them here does not any more
// in the roster that comes next.
func (r Roster) Lost(next canon.Roster) []string {
	var lost []string
	for _, c := range r.Compartments {
		then, _ := Roster{Roster: next}.Compartment(c.Name)
		if slices.ContainsFunc(c.Seeds, func(x canon.Sealed) bool {
			return !slices.ContainsFunc(then.Seeds, func(y canon.Sealed) bool { return x.To == y.To })
		}) {
			lost = append(lost, c.Name)
		}
	}
	return lost
}

// Readers are the slots to which a presence vault's compartment is sealed: of each way
// that its least admits the slot for it, where it has one of its own, or else that of
// the account; and that of the recovery code.
func (r Roster) Readers(name string, least canon.Least) []canon.Slot {
	var out []canon.Slot
	for _, s := range r.Slots {
		h, err := Header(s)
		switch {
		case err != nil:
		case h.Kind == canon.SlotRecovery:
			out = append(out, s)
		case h.Compartment == "account" && least.Admits(h.Kind):
			if own, _, ok := r.Slot(WayOf(h), name); ok {
				s = own
			}
			out = append(out, s)
		}
	}
	return out
}

// Weed takes the slots that a vault's least does not admit, and that are for its
// compartment alone, out of a roster.
func (r Roster) Weed(name string, least canon.Least) canon.Roster {
	out := r.Roster
	out.Slots = slices.DeleteFunc(slices.Clone(out.Slots), func(s canon.Slot) bool {
		h, err := Header(s)
		return err == nil && h.Compartment == name && !least.Admits(h.Kind)
	})
	return out
}

// RemovePasskey takes a passkey and its slots out of a roster.
func (r Roster) RemovePasskey(a canon.Authenticator) canon.Roster {
	out := r.drop(Passkey(a.RPID, a.Credential))
	out.Authenticators = slices.DeleteFunc(slices.Clone(out.Authenticators), func(x canon.Authenticator) bool { return x.ID == a.ID })
	if len(out.Authenticators) == 0 {
		out.Authenticators = nil
	}
	return out
}

// EndPassphrase takes the presence passphrase out of a roster.
func (r Roster) EndPassphrase() canon.Roster { return r.drop(Way{Kind: canon.SlotPresence}) }

// Passkeys reports whether a passkey opens anything.
func (r Roster) Passkeys() bool {
	return slices.ContainsFunc(r.Authenticators, func(a canon.Authenticator) bool { return a.PRF })
}

// HasPassphrase reports whether a presence passphrase opens anything.
func (r Roster) HasPassphrase() bool {
	_, _, ok := r.Slot(Way{Kind: canon.SlotPresence}, "account")
	return ok
}

// PIN is the way of the PIN of a device's TPM: at most one at a time.
func PIN() Way { return Way{Kind: canon.SlotPIN} }

// PINSlot is the slot by which a PIN opens the account, which also names what the TPM
// keeps for it; false where no PIN was set. On which device it was the slot does not
// say: ledgers move.
func (r Roster) PINSlot() (id string, ok bool) {
	_, h, ok := r.Slot(PIN(), "account")
	return h.ID, ok
}

// RemovePIN takes the PIN out of a roster.
func (r Roster) RemovePIN() canon.Roster { return r.drop(PIN()) }

// drop takes the slots of a Way out of a roster, and what is sealed to them.
func (r Roster) drop(w Way) canon.Roster {
	out := r.Roster
	out.Slots, out.Compartments = nil, nil
	gone := map[string]bool{}
	for _, s := range r.Slots {
		if h, err := Header(s); err == nil && w.Is(h) {
			gone[h.ID] = true
			continue
		}
		out.Slots = append(out.Slots, s)
	}
	for _, c := range r.Compartments {
		c.Seeds = slices.DeleteFunc(slices.Clone(c.Seeds), func(s canon.Sealed) bool { return gone[s.To] })
		out.Compartments = append(out.Compartments, c)
	}
	return out
}

// Opens lists the compartments that a way opens.
func (r Roster) Opens(w Way) []string {
	var out []string
	for _, c := range r.Compartments {
		if _, _, ok := r.Reach(w, c.Name); ok {
			out = append(out, c.Name)
		}
	}
	return out
}

// Changes names what a gesture must open to take a way away or replace it: the account,
// to sign, and what the way opens, whose keys change.
func (r Roster) Changes(w Way) []string {
	needs := slices.DeleteFunc(r.Lost(r.drop(w)), func(name string) bool { return name == "session" })
	if !slices.Contains(needs, "account") {
		needs = append(needs, "account")
	}
	return needs
}

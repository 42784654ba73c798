package open

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"io"
	"slices"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// prfSize is what an authenticator gives for one salt (W3C WebAuthn Level 3, §10.1.4).
const prfSize = 32

// domains of what passes between the page and the keyring.
const (
	domainSalt = "thumbturn/prf-salt/v1\x00"
	domainPRF  = "thumbturn/prf/v1\x00"
)

// PRFSalt is what a passkey is asked to evaluate for a compartment. It is the same
// for all passkeys of an account, so that the page need not know which one answers.
func PRFSalt(account, compartment string) []byte {
	h := canon.Digest(domainSalt, canon.Tuple(account, compartment))
	return h[:]
}

// Salted is how many salts one touch of an authenticator evaluates.
const Salted = 2

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
		own := 0
		for _, a := range r.Authenticators {
			if _, _, ok := r.slot(way{canon.SlotPasskey, a.RPID, a.Credential}, need); ok {
				own++
			}
		}
		if own > 0 {
			add(need)
		}
		if own < len(r.Authenticators) {
			add("account")
		}
	}
	if len(names) == 0 {
		names = []string{"account"}
	}
	return slices.Collect(slices.Chunk(names, Salted))
}

// page is the key to which a browser seals PRF outputs. It lives as long as the
// keyring, in memory alone; each message is bound to one challenge by its info.
type page struct {
	public []byte
	open   func(info, sealed []byte) ([]byte, error)
}

// newPage makes the page's key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
// AES-256-GCM (RFC 9180), which browsers have built in. It guards one hop on one
// machine; what is stored is sealed with the hybrid suite.
func newPage(rand io.Reader) (page, error) {
	seed := make([]byte, 32)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return page{}, err
	}
	defer clear(seed)
	key, err := hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(seed)
	if err != nil {
		return page{}, err
	}
	return page{public: key.PublicKey().Bytes(), open: func(info, msg []byte) ([]byte, error) {
		return hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, msg)
	}}, nil
}

// PageKey is the public key to which the page seals PRF outputs: 32 bytes of X25519.
func (k *Keyring) PageKey() []byte { return bytes.Clone(k.page.public) }

// Touch is what came of the touches of one passkey over one challenge. Whoever
// fills it in has checked the signatures: nothing is opened before.
type Touch struct {
	RPID       string
	Credential []byte
	Challenge  canon.Hash
	Plan       [][]string // see Roster.Plan
	Sealed     [][]byte   // by batch: HPKE messages of the page
}

var (
	errNoPRF = fault.New(fault.Passphrase, "approve", "", "the browser gave no key for this passkey").
			WithHint("the passkey is confirmed to give one: try another browser, or update this one")
	errOtherPRF = fault.New(fault.Passphrase, "approve", "", "the browser gave another key for this passkey than before").
			WithHint("the vault is not damaged: some browsers give a wrong one; try another browser, or update this one")
)

// outputs opens what the page sealed of some batches, and keeps it by compartment.
func (k *Keyring) outputs(t Touch, from, to int) (out map[string]lend, frees opened, err error) {
	defer func() { frees.failed(err) }()
	if len(t.Sealed) != len(t.Plan) {
		return nil, frees, errNoPRF
	}
	out = map[string]lend{}
	for i := from; i < to; i++ {
		batch := t.Plan[i]
		if len(t.Sealed[i]) == 0 {
			return nil, frees, errNoPRF
		}
		info := append(append([]byte(domainPRF), t.Challenge[:]...), byte(i))
		text, err := k.page.open(info, t.Sealed[i])
		if err != nil || len(text) != prfSize*len(batch) {
			clear(text)
			return nil, frees, fault.New(fault.Tampered, "approve", "", "what the page sealed is not for this request")
		}
		for j, name := range batch {
			l, free, err := k.arena.Keep(bytes.Clone(text[j*prfSize : (j+1)*prfSize]))
			if err != nil {
				clear(text)
				return nil, frees, err
			}
			out[name], frees = l, append(frees, free)
		}
		clear(text)
	}
	return out, frees, nil
}

// openWith opens the slot of a passkey that reaches a compartment: its own, or
// that of the account, to which later vaults are sealed.
func (k *Keyring) openWith(r Roster, w way, name string, prf map[string]lend, share lend, at Place) (id string, slot lend, free func(), err error) {
	s, h, ok := r.reach(w, name)
	if !ok || prf[h.Compartment] == nil {
		return "", nil, nil, fault.New(fault.Denied, "approve", name, "this passkey does not open it").WithHint("`thumbturn passkey list` shows what each opens")
	}
	err = prf[h.Compartment](func(secret []byte) error {
		slot, free, err = k.openSlot(s, h, secret, share, at, r.Version)
		return err
	})
	if errors.Is(err, errWrong) {
		err = errOtherPRF
	}
	return h.ID, slot, free, err
}

// reach finds the slot by which a way opens a compartment.
func (r Roster) reach(w way, name string) (canon.Slot, canon.SlotHeader, bool) {
	if s, h, ok := r.slot(w, name); ok {
		return s, h, true
	}
	s, h, ok := r.slot(w, "account")
	c, known := r.compartment(name)
	if !ok || !known || !slices.ContainsFunc(c.Seeds, func(x canon.Sealed) bool { return x.To == h.ID }) {
		return canon.Slot{}, canon.SlotHeader{}, false
	}
	return s, h, true
}

// Passkey opens the named compartments with a passkey, as Gesture does with the
// passphrase. With none named, the passkey is only checked.
func (k *Keyring) Passkey(r Roster, t Touch, share Share, at Place, compartments []string) (_ *Gesture, err error) {
	at.Roster = r.Version + 1
	w := way{canon.SlotPasskey, t.RPID, t.Credential}
	prf, frees, err := k.outputs(t, 0, len(t.Plan))
	if err != nil {
		return nil, err
	}
	defer frees.all()
	g := &Gesture{k: k, at: at, share: lend(share), way: w, seeds: map[string]lend{}}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	open := func(name string) (lend, error) {
		id, slot, free, err := k.openWith(r, w, name, prf, lend(share), at)
		if err != nil {
			return nil, err
		}
		defer free()
		if len(compartments) == 0 {
			return nil, nil
		}
		seed, freeSeed, err := k.compartmentSeed(r, name, id, slot, at.Account)
		if err == nil {
			g.free = append(g.free, freeSeed)
		}
		return seed, err
	}
	if len(compartments) == 0 {
		_, err = open("account")
		return g, err
	}
	for _, name := range compartments {
		if g.seeds[name], err = open(name); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// UnlockPasskey opens the session key with a passkey.
func (k *Keyring) UnlockPasskey(r Roster, t Touch, share Share, at Place) error {
	g, err := k.Passkey(r, t, share, at, []string{"session"})
	if err != nil {
		return err
	}
	seed := g.seeds["session"]
	if k.Unlocked() { // it is open already: the passkey was checked, and that is all
		g.Close()
		return nil
	}
	k.adopt(seed, g.Close)
	return nil
}

// Everything names all compartments that a new way must open.
func (r Roster) Everything() []string {
	var all []string
	for _, c := range r.Compartments {
		all = append(all, c.Name)
	}
	return all
}

// AddPasskey makes slots for a passkey that has given its outputs over a challenge,
// one for each compartment, and lists it in the roster. One that gives none is
// listed alone: it signs. The gesture must have opened every compartment but the
// session's, which is open. The last batch of the touch is left for Confirm.
func (g *Gesture) AddPasskey(r Roster, a canon.Authenticator, t Touch) (canon.Roster, error) {
	out := r.Roster
	out.Authenticators = append(slices.Clone(out.Authenticators), a)
	if !a.PRF {
		return out, nil
	}
	prf, frees, err := g.k.outputs(t, 0, len(t.Plan)-1)
	if err != nil {
		return out, err
	}
	defer frees.all()
	return g.addWay(Roster{Roster: out, Version: r.Version}, way{canon.SlotPasskey, a.RPID, a.Credential}, func(name string) (lend, error) {
		if prf[name] == nil {
			return nil, errNoPRF
		}
		return prf[name], nil
	})
}

// addWay makes a slot of a way for each compartment, under a secret for each.
func (g *Gesture) addWay(r Roster, w way, secret func(compartment string) (lend, error)) (canon.Roster, error) {
	out := r.Roster
	out.Slots, out.Compartments = slices.Clone(out.Slots), nil
	for _, c := range r.Compartments {
		seed, ok := g.seeds[c.Name]
		if c.Name == "session" {
			seed, ok = g.k.sessionSeed()
		}
		if !ok {
			return out, fault.New(fault.Denied, "enrol", c.Name, "the gesture did not open this compartment")
		}
		l, err := secret(c.Name)
		if err != nil {
			return out, err
		}
		if l != nil {
			var slot canon.Slot
			err = l(func(b []byte) error {
				slot, err = g.k.newSlot(w, c.Name, b, g.share, g.at)
				return err
			})
			if err != nil {
				return out, err
			}
			one, err := compartmentFor(g.at.Account, c.Name, c.Public, seed, slot)
			if err != nil {
				return out, err
			}
			out.Slots, c.Seeds = append(out.Slots, slot), append(slices.Clone(c.Seeds), one.Seeds...)
		}
		out.Compartments = append(out.Compartments, c)
	}
	return out, nil
}

// RemovePasskey takes a passkey and its slots out of a roster.
func (r Roster) RemovePasskey(a canon.Authenticator) canon.Roster {
	out := r.drop(way{canon.SlotPasskey, a.RPID, a.Credential})
	out.Authenticators = slices.DeleteFunc(slices.Clone(out.Authenticators), func(x canon.Authenticator) bool { return x.ID == a.ID })
	if len(out.Authenticators) == 0 {
		out.Authenticators = nil
	}
	return out
}

// EndPassphrase takes the presence passphrase out of a roster.
func (r Roster) EndPassphrase() canon.Roster { return r.drop(way{Kind: canon.SlotPresence}) }

// Passkeys reports whether a passkey opens anything.
func (r Roster) Passkeys() bool {
	return slices.ContainsFunc(r.Authenticators, func(a canon.Authenticator) bool { return a.PRF })
}

// HasPassphrase reports whether a presence passphrase opens anything.
func (r Roster) HasPassphrase() bool {
	_, _, ok := r.slot(way{Kind: canon.SlotPresence}, "account")
	return ok
}

// drop takes the slots of a way out of a roster, and what is sealed to them.
func (r Roster) drop(w way) canon.Roster {
	out := r.Roster
	out.Slots, out.Compartments = nil, nil
	gone := map[string]bool{}
	for _, s := range r.Slots {
		if h, err := Header(s); err == nil && w.is(h) {
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

// Opens lists the compartments that a passkey opens.
func (r Roster) Opens(a canon.Authenticator) []string {
	var out []string
	for _, c := range r.Compartments {
		if _, _, ok := r.reach(way{canon.SlotPasskey, a.RPID, a.Credential}, c.Name); ok {
			out = append(out, c.Name)
		}
	}
	return out
}

// AddPassphrase makes presence slots under a passphrase, where there are none.
func (g *Gesture) AddPassphrase(r Roster, presence []byte) (canon.Roster, error) {
	return g.addWay(r, way{Kind: canon.SlotPresence}, func(name string) (lend, error) {
		if name == "session" {
			return nil, nil
		}
		return func(use func([]byte) error) error { return use(presence) }, nil
	})
}

// Confirm opens the slots of a new passkey with what it gave once more, in the last
// batch: some browsers give something else each time.
func (k *Keyring) Confirm(r Roster, t Touch, share Share, at Place) error {
	last := len(t.Plan) - 1
	prf, frees, err := k.outputs(t, last, last+1)
	if err != nil {
		return err
	}
	defer frees.all()
	for _, name := range t.Plan[last] {
		_, _, free, err := k.openWith(r, way{canon.SlotPasskey, t.RPID, t.Credential}, name, prf, lend(share), at)
		if err != nil {
			return err
		}
		free()
	}
	return nil
}

// Rotate gives every presence vault's compartment a fresh key, for the slots that
// the roster still has, and seals the vault's seed to it: what was removed opens
// nothing that is written from now on. The roster is that without it.
func (g *Gesture) Rotate(r Roster, vaults []canon.Vault) (canon.Roster, []canon.Vault, error) {
	out := r.Roster
	out.Compartments = slices.Clone(out.Compartments)
	var moved []canon.Vault
	for _, v := range vaults {
		at := slices.IndexFunc(out.Compartments, func(c canon.Compartment) bool { return c.Name == v.ID })
		if v.Tier != canon.TierPresence || v.Deleted || at < 0 {
			continue
		}
		var slots []canon.Slot
		for _, s := range r.Slots {
			h, err := Header(s)
			if err == nil && slices.ContainsFunc(out.Compartments[at].Seeds, func(x canon.Sealed) bool { return x.To == h.ID }) {
				slots = append(slots, s)
			}
		}
		v, c, err := g.rotated(v, slots)
		if err != nil {
			return out, nil, err
		}
		out.Compartments[at], moved = c, append(moved, v)
	}
	return out, moved, nil
}

// rotated is Rotate for one vault.
func (g *Gesture) rotated(v canon.Vault, slots []canon.Slot) (canon.Vault, canon.Compartment, error) {
	var c canon.Compartment
	old, ok := g.seeds[v.ID]
	if !ok {
		return v, c, fault.New(fault.Denied, "passkey remove", v.ID, "the gesture did not open this vault")
	}
	ctx := sealed.Context{Type: sealed.TypeVaultSeed, Account: g.at.Account, Vault: v.ID, Epoch: v.Epoch}
	vs, freeVS, err := g.k.seedAt(hpkeOpener(old), ctx, v.Seed)
	if err != nil {
		return v, c, tampered("key of vault", v.ID)
	}
	defer freeVS()
	seed, free, err := g.k.fresh()
	if err != nil {
		return v, c, err
	}
	defer free()
	pub, err := kemPublic(seed)
	if err != nil {
		return v, c, err
	}
	if c, err = compartmentFor(g.at.Account, v.ID, pub, seed, slots...); err != nil {
		return v, c, err
	}
	v.Seed, err = sealTo(c.Public, ctx, vs)
	return v, c, err
}

// CheckRecovery checks that a recovery code is the one in force, and opens nothing.
func (k *Keyring) CheckRecovery(r Roster, code []byte, at Place) error {
	s, h, ok := r.find(canon.SlotRecovery, "recovery")
	if !ok {
		return tampered("roster", "recovery")
	}
	_, free, err := k.openSlot(s, h, code, nil, at, r.Version)
	if err != nil {
		return wrong(err, "passkey add", "recovery code")
	}
	free()
	return nil
}

package open

import (
	"slices"

	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Passkey opens the named compartments with a passkey, as Gesture does with the
// passphrase. With none named, the passkey is only checked.
func (k *Keyring) Passkey(r Roster, t Touch, share Share, at Place, compartments []string) (_ *Gesture, err error) {
	at.Roster = r.Version + 1
	w := slot.Passkey(t.RPID, t.Credential)
	prf, frees, err := k.ways.Outputs(t, 0, len(t.Plan))
	if err != nil {
		return nil, err
	}
	defer frees.All()
	g := &Gesture{k: k, at: at, share: lend(share), way: w, seeds: map[string]lend{}}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	open := func(name string) (lend, error) {
		id, way, free, err := k.ways.OpenWith(r, w, name, prf, lend(share), at)
		if err != nil {
			return nil, err
		}
		defer free()
		if len(compartments) == 0 {
			return nil, nil
		}
		seed, freeSeed, err := k.ways.CompartmentSeed(r, name, id, way, at.Account)
		if err == nil {
			g.free = append(g.free, freeSeed)
		}
		return seed, err
	}
	if len(compartments) == 0 { // beside other requests the account's salt need not be among those evaluated
		_, err = open(t.Plan[0][0])
		return g, err
	}
	for _, name := range compartments {
		seed, err := open(name)
		if err != nil {
			return nil, err
		}
		g.holds(name, seed)
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
	prf, frees, err := g.k.ways.Outputs(t, 0, len(t.Plan)-1)
	if err != nil {
		return out, err
	}
	defer frees.All()
	return g.addWay(r.With(out), slot.Passkey(a.RPID, a.Credential), func(name string) (lend, error) {
		if prf[name] == nil {
			return nil, slot.ErrNoPRF
		}
		return prf[name], nil
	})
}

// addWay makes a slot of a way for each compartment that it may open, under a secret
// for each.
func (g *Gesture) addWay(r Roster, w slot.Way, secret func(compartment string) (lend, error)) (canon.Roster, error) {
	out := r.Roster
	out.Slots, out.Compartments = slices.Clone(out.Slots), nil
	for _, c := range r.Compartments {
		if !r.Admits(w.Kind, c.Name) {
			out.Compartments = append(out.Compartments, c)
			continue
		}
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
			var made canon.Slot
			err = l(func(b []byte) error {
				made, err = g.k.ways.New(w, c.Name, b, g.share, g.at)
				return err
			})
			if err != nil {
				return out, err
			}
			one, err := slot.CompartmentFor(g.at.Account, c.Name, c.Public, seed, made)
			if err != nil {
				return out, err
			}
			out.Slots, c.Seeds = append(out.Slots, made), append(slices.Clone(c.Seeds), one.Seeds...)
		}
		out.Compartments = append(out.Compartments, c)
	}
	return out, nil
}

// AddPassphrase makes presence slots under a passphrase, where there are none.
func (g *Gesture) AddPassphrase(r Roster, presence []byte) (canon.Roster, error) {
	return g.addTyped(r, slot.Way{Kind: canon.SlotPresence}, presence)
}

// AddPIN makes slots under what the TPM keeps behind a PIN, where there are none.
func (g *Gesture) AddPIN(r Roster, secret []byte) (canon.Roster, error) {
	return g.addTyped(r, slot.PIN(), secret)
}

// addTyped makes slots for all that takes a gesture, under one secret.
func (g *Gesture) addTyped(r Roster, w slot.Way, secret []byte) (canon.Roster, error) {
	return g.addWay(r, w, func(name string) (lend, error) {
		if name == "session" {
			return nil, nil
		}
		return func(use func([]byte) error) error { return use(secret) }, nil
	})
}

// Confirm opens the slots of a new passkey with what it gave once more, in the last
// batch: some browsers give something else each time.
func (k *Keyring) Confirm(r Roster, t Touch, share Share, at Place) error {
	last := len(t.Plan) - 1
	prf, frees, err := k.ways.Outputs(t, last, last+1)
	if err != nil {
		return err
	}
	defer frees.All()
	for _, name := range t.Plan[last] {
		_, _, free, err := k.ways.OpenWith(r, slot.Passkey(t.RPID, t.Credential), name, prf, lend(share), at)
		if err != nil {
			return err
		}
		free()
	}
	return nil
}

// Rotate gives a fresh compartment and a fresh key of its own to every presence vault
// of which next leaves something out, or replaces it, that opened it by the roster
// before. What was left out opens nothing that is written from now on. What was written
// before it opens still, with the share: the rosters of before stay among the
// statements. The gesture must have opened these vaults.
func (g *Gesture) Rotate(before Roster, next canon.Roster, vaults []canon.Vault) (canon.Roster, []canon.Vault, error) {
	lost := before.Lost(next)
	var moved []canon.Vault
	for _, v := range vaults {
		if v.Tier != canon.TierPresence || v.Deleted || !slices.Contains(lost, v.ID) {
			continue
		}
		var err error
		if v, next, err = g.rotated(v, next); err != nil {
			return next, nil, err
		}
		moved = append(moved, v)
	}
	return next, moved, nil
}

// Retake makes least the weakest that may open a presence vault, which the gesture must
// have opened: with new keys, so that what is too weak now is left with none.
func (g *Gesture) Retake(r Roster, v canon.Vault, least canon.Least) (canon.Roster, canon.Vault, error) {
	v.MinApproval = least
	v, next, err := g.rotated(v, r.Weed(v.ID, least))
	return next, v, err
}

// rotated is Rotate for one vault.
func (g *Gesture) rotated(v canon.Vault, r canon.Roster) (canon.Vault, canon.Roster, error) {
	old, ok := g.seeds[v.ID]
	at := slices.IndexFunc(r.Compartments, func(c canon.Compartment) bool { return c.Name == v.ID })
	if !ok || at < 0 {
		return v, r, fault.New(fault.Denied, "rotate", v.ID, "the gesture did not open this vault")
	}
	c, err := g.compartment(v.ID, Roster{Roster: r}.Readers(v.ID, v.MinApproval))
	if err != nil {
		return v, r, err
	}
	r.Compartments = slices.Clone(r.Compartments)
	r.Compartments[at] = c
	v, err = g.k.ways.NewEpoch(g.at.Account, v, slot.FromSeed(old), c.Public)
	return v, r, err
}

// CheckRecovery checks that a recovery code is the one in force, and opens nothing.
func (k *Keyring) CheckRecovery(r Roster, code []byte, at Place) error {
	s, h, ok := r.Find(canon.SlotRecovery, "recovery")
	if !ok {
		return slot.Tampered("roster", "recovery")
	}
	_, free, err := k.ways.Open(s, h, code, nil, at, r.Version)
	if err != nil {
		return wrong(err, "passkey add", "recovery code")
	}
	free()
	return nil
}

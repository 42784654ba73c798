package open

import (
	"crypto/subtle"

	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Rekey makes the roster with new slots under new secrets, for each kind that is
// given one: a change of passphrase, or of the recovery code. What can be opened
// with them does not change, and the gesture must have opened all of it.
func (g *Gesture) Rekey(r Roster, secrets map[canon.SlotKind][]byte) (canon.Roster, error) {
	out := r.Roster
	out.Slots = nil
	replaced := map[string]canon.Slot{}
	for _, s := range r.Slots {
		h, err := slot.Header(s)
		if err != nil {
			return out, err
		}
		secret := secrets[h.Kind]
		if secret == nil {
			out.Slots = append(out.Slots, s)
			continue
		}
		n, err := g.k.ways.New(slot.WayOf(h), h.Compartment, secret, g.share, g.at)
		if err != nil {
			return out, err
		}
		replaced[h.ID] = n
		out.Slots = append(out.Slots, n)
	}
	out.Compartments = nil
	for _, c := range r.Compartments {
		n, err := g.reseal(c, replaced)
		if err != nil {
			return out, err
		}
		out.Compartments = append(out.Compartments, n)
	}
	return out, nil
}

// reseal seals a compartment's seed to the slots that replaced old ones.
func (g *Gesture) reseal(c canon.Compartment, replaced map[string]canon.Slot) (canon.Compartment, error) {
	out := canon.Compartment{Name: c.Name, Public: c.Public}
	for _, s := range c.Seeds {
		n, ok := replaced[s.To]
		if !ok {
			out.Seeds = append(out.Seeds, s)
			continue
		}
		seed, ok := g.seeds[c.Name]
		if c.Name == "session" {
			seed, ok = g.k.sessionSeed()
		}
		if !ok {
			return out, fault.New(fault.Denied, "rekey", c.Name, "the gesture did not open this compartment")
		}
		one, err := slot.CompartmentFor(g.at.Account, c.Name, c.Public, seed, n)
		if err != nil {
			return out, err
		}
		out.Seeds = append(out.Seeds, one.Seeds...)
	}
	return out, nil
}

// Renew is Rekey with a recovery code that it makes, and lends once.
func (g *Gesture) Renew(r Roster) (out canon.Roster, once func(func([]byte) error) error, err error) {
	code, err := g.k.newCode()
	if err != nil {
		return out, nil, err
	}
	err = code.lend(func(b []byte) (err error) {
		out, err = g.Rekey(r, map[canon.SlotKind][]byte{canon.SlotRecovery: b})
		return err
	})
	slot.Opened{code.forget}.Failed(err)
	return out, code.once, err
}

// OpenShare opens the share of another device, sealed to this one when the ledger
// was moved here, with the seed of this device's HPKE key.
func OpenShare(kem Share, account, device string, ct []byte, use func(share []byte) error) error {
	return slot.FromSeed(lend(kem)).Whole(sealed.ShareContext(account, device), ct, use)
}

// SameAsUnlock reports whether a passphrase is the unlock passphrase: the two
// must differ, or one phished prompt would open everything.
func (k *Keyring) SameAsUnlock(r Roster, passphrase []byte, share Share) (bool, error) {
	s, h, ok := r.Find(canon.SlotUnlock, "session")
	if !ok {
		return false, slot.Tampered("roster", "session")
	}
	return k.ways.Matches(s, h, passphrase, lend(share))
}

// IsPresence reports whether a passphrase is the presence passphrase, where nobody
// types that one because a passkey approves.
func (k *Keyring) IsPresence(r Roster, passphrase []byte, share Share, at Place) bool {
	g, err := k.Gesture(r, passphrase, share, at, nil)
	g.Close()
	return err == nil
}

// Recovered is what a recovery code makes: a roster with new slots, descriptors
// with new presence keys, a gesture that can sign them, and a new code.
type Recovered struct {
	Roster   canon.Roster
	Vaults   []canon.Vault
	Gesture  *Gesture
	Recovery func(use func(code []byte) error) error
}

// Recover opens everything with the recovery code, which needs no share, and
// makes new slots under new passphrases and a new share, new presence keys and a
// new code. The keyring is unlocked afterwards, and holds nothing more where it
// fails.
func (k *Keyring) Recover(r Roster, vaults []canon.Vault, code, unlock, presence []byte, share Share, at Place) (_ *Recovered, err error) {
	if subtle.ConstantTimeCompare(unlock, presence) == 1 {
		return nil, errSame
	}
	s, h, ok := r.Find(canon.SlotRecovery, "recovery")
	if !ok {
		return nil, slot.Tampered("roster", "recovery")
	}
	way, freeSlot, err := k.ways.Open(s, h, code, nil, at, r.Version)
	if err != nil {
		return nil, wrong(err, "recover", "recovery code")
	}
	defer freeSlot()
	var frees slot.Opened
	defer func() { frees.Failed(err) }()
	session, freeSession, err := k.ways.CompartmentSeed(r, "session", h.ID, way, at.Account)
	if err != nil {
		return nil, err
	}
	frees = append(frees, freeSession)
	root, freeRoot, err := k.ways.CompartmentSeed(r, "account", h.ID, way, at.Account)
	if err != nil {
		return nil, err
	}
	frees = append(frees, freeRoot)
	at.Roster = r.Version + 1
	sc, _ := r.Compartment("session")
	ac, _ := r.Compartment("account")
	set := seedSet{session: session, root: root, sessionPub: sc.Public, rootPub: ac.Public}
	roster, newCode, err := k.slots(set, unlock, presence, lend(share), at)
	if err != nil {
		return nil, err
	}
	frees = append(frees, newCode.forget)
	g, err := k.gestureFrom(at, presence, lend(share), root, freeRoot)
	if err != nil {
		return nil, err
	}
	out := &Recovered{Gesture: g, Recovery: newCode.once}
	for _, v := range vaults {
		if v.Tier == canon.TierPresence && !v.Deleted {
			if v, roster, err = g.repeat(r, roster, v, h.ID, way); err != nil {
				g.Close()
				return nil, err
			}
			out.Vaults = append(out.Vaults, v)
		}
	}
	k.adopt(session, freeSession)
	out.Roster = roster
	return out, nil
}

// Lessened says which vaults are guarded by less after a recovery than they were: what
// they took is there no more, or they have had all the keys that they can have.
func Lessened(before, after []canon.Vault) (said string) {
	for _, v := range after {
		for _, old := range before {
			if old.ID == v.ID && old.MinApproval != v.MinApproval {
				said += "; vault " + v.ID + " opens by " + v.MinApproval.Said() + " from now on"
			}
			if old.ID == v.ID && old.Epoch == v.Epoch {
				said += "; vault " + v.ID + " keeps its key, which is its last"
			}
		}
	}
	return said
}

// repeat gives a presence vault a new compartment and a new key of its own: opens
// what it had by the old compartment and seals it to the new one. Only what was typed
// is left to open it, so that is what it takes from now on.
func (g *Gesture) repeat(old Roster, roster canon.Roster, v canon.Vault, slotID string, way lend) (canon.Vault, canon.Roster, error) {
	seed, free, err := g.k.ways.CompartmentSeed(old, v.ID, slotID, way, g.at.Account)
	if err != nil {
		return v, roster, err
	}
	defer free()
	if !v.MinApproval.Admits(g.way.Kind) {
		v.MinApproval = canon.LeastPresence
	}
	c, roster, err := g.newCompartment(roster, v.ID, v.MinApproval)
	if err != nil {
		return v, roster, err
	}
	turn := g.k.ways.NewEpoch
	if v.Epoch >= canon.MaxEpoch { // better that than no recovery
		turn = g.k.ways.Carried
	}
	v, err = turn(g.at.Account, v, slot.FromSeed(seed), c.Public)
	return v, roster, err
}

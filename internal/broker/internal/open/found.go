package open

import (
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"io"
	"sync"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// RecoverySize is the entropy of a recovery code: 160 bits.
const RecoverySize = 20

// fresh makes a random seed, or a code, in the arena.
func (k *Keyring) fresh(size int) (lend, func(), error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(k.rand, b); err != nil {
		return nil, nil, err
	}
	return k.arena.keep(b)
}

// kemPublic returns the HPKE public key of a lent seed.
func kemPublic(seed lend) (pub canon.Bytes, err error) {
	err = seed(func(s []byte) error {
		key, err := sealed.KEM().NewPrivateKey(s)
		if err == nil {
			pub = key.PublicKey().Bytes()
		}
		return err
	})
	return pub, err
}

// sealTo seals a lent secret to a public key.
func sealTo(public []byte, ctx sealed.Context, secret lend) (ct []byte, err error) {
	err = secret(func(s []byte) error {
		ct, err = sealed.Value(public, ctx, s)
		return err
	})
	return ct, err
}

// compartmentFor seals a compartment's seed to slots.
func compartmentFor(account, name string, public []byte, seed lend, slots ...canon.Slot) (canon.Compartment, error) {
	c := canon.Compartment{Name: name, Public: public}
	for _, s := range slots {
		h, err := Header(s)
		if err != nil {
			return c, err
		}
		ct, err := sealTo(s.Public, SeedContext(account, name, h.ID), seed)
		if err != nil {
			return c, err
		}
		c.Seeds = append(c.Seeds, canon.Sealed{To: h.ID, Bytes: ct})
	}
	return c, nil
}

// Account is what Found makes: the payloads of the first statements, the
// signer for them, and the recovery code, which is shown once.
type Account struct {
	Genesis  canon.Genesis
	Roster   canon.Roster
	Sign     func(body []byte) ([]byte, error)
	Recovery func(use func(code []byte) error) error
	Gesture  *Gesture // for the first vaults; Close it
}

// Device is the public half of the device an account is founded on.
type Device struct {
	ID  string
	Key []byte // Ed25519
	KEM []byte // HPKE
}

// Found makes the keys of a new account. The keyring is unlocked afterwards, and
// holds nothing where it fails.
func (k *Keyring) Found(account string, dev Device, testHome bool, unlock, presence []byte, share Share, now int64) (_ *Account, err error) {
	if subtle.ConstantTimeCompare(unlock, presence) == 1 {
		return nil, errSame
	}
	root, freeRoot, err1 := k.fresh(sealed.SeedSize)
	session, freeSession, err2 := k.fresh(sealed.SeedSize)
	ledger, freeLedger, err3 := k.fresh(sealed.SeedSize)
	code, forget, err4 := k.fresh(RecoverySize)
	defer func() { opened{freeRoot, freeSession, freeLedger, forget}.failed(err) }()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	defer freeLedger()
	g := canon.Genesis{V: 1, Account: account, Device: dev.ID, DeviceKey: dev.Key, DeviceKEM: dev.KEM, TestHome: testHome, Created: now}
	_ = root(func(s []byte) error { g.Root = canon.Bytes(ed25519.NewKeyFromSeed(s)[32:]); return nil })
	if g.Session, err = kemPublic(session); err != nil {
		return nil, err
	}
	if g.LedgerKEM, err = kemPublic(ledger); err != nil {
		return nil, err
	}
	if g.LedgerSeed, err = sealTo(g.Session, sealed.Context{Type: sealed.TypeLedgerSeed, Account: account}, ledger); err != nil {
		return nil, err
	}
	at := Place{Account: account, Device: dev.ID, Root: canon.RootFingerprint(g.Root), TestHome: testHome, Roster: 1, Created: now}
	seeds := seedSet{session: session, root: root, rootPub: g.Root, sessionPub: g.Session}
	roster, err := k.slots(seeds, unlock, presence, code, lend(share), at)
	if err != nil {
		return nil, err
	}
	gest, err := k.gestureFrom(at, presence, lend(share), root, freeRoot)
	if err != nil {
		return nil, err
	}
	k.adopt(session, freeSession)
	return &Account{Genesis: g, Roster: roster, Sign: gest.Root().Sign, Recovery: code.once(forget), Gesture: gest}, nil
}

// opened is how to forget what was opened on the way to something; nil for what
// did not open.
type opened []func()

// failed forgets it all where err says that nothing came of it.
func (o opened) failed(err error) {
	for _, forget := range o {
		if err != nil && forget != nil {
			forget()
		}
	}
}

var errSame = fault.New(fault.Usage, "init", "", "the presence passphrase must differ from the unlock passphrase")

// seedSet is what every fresh set of slots must open.
type seedSet struct {
	session, root       lend
	sessionPub, rootPub canon.Bytes
}

// once lends a secret one time and forgets it.
func (l lend) once(forget func()) func(use func([]byte) error) error {
	return func(use func([]byte) error) error { defer forget(); return l(use) }
}

// slots makes the three basic slots (unlock, presence on "account", recovery)
// and seals the session and root seeds to them.
func (k *Keyring) slots(s seedSet, unlock, presence []byte, code, share lend, at Place) (canon.Roster, error) {
	r := canon.Roster{V: 1}
	us, err1 := k.newSlot(canon.SlotUnlock, "session", unlock, share, at)
	ps, err2 := k.newSlot(canon.SlotPresence, "account", presence, share, at)
	var rs canon.Slot
	err := code(func(b []byte) (err error) {
		rs, err = k.newSlot(canon.SlotRecovery, "recovery", b, nil, at)
		return err
	})
	if err := errors.Join(err1, err2, err); err != nil {
		return r, err
	}
	r.Slots = []canon.Slot{us, ps, rs}
	sc, err1 := compartmentFor(at.Account, "session", s.sessionPub, s.session, us, rs)
	ac, err2 := compartmentFor(at.Account, "account", s.rootPub, s.root, ps, rs)
	r.Compartments = []canon.Compartment{sc, ac}
	return r, errors.Join(err1, err2)
}

// NewVault makes the keys of a vault. A presence vault gets a compartment of its
// own: a presence slot under its own salt, and the recovery slot. The returned
// roster lists it; for a standard vault it is the one given.
func (g *Gesture) NewVault(r canon.Roster, id, name string, tier canon.Tier) (canon.Vault, canon.Roster, error) {
	k := g.k
	v := canon.Vault{V: 1, ID: id, Epoch: 1, Tier: tier, MinApproval: "unlock"}
	seed, free, err := k.fresh(sealed.SeedSize)
	if err != nil {
		return v, r, err
	}
	defer free()
	index, freeIndex, err := k.fresh(sealed.SeedSize)
	if err != nil {
		return v, r, err
	}
	defer freeIndex()
	if v.Public, err = kemPublic(seed); err != nil {
		return v, r, err
	}
	session, ok := Roster{Roster: r}.compartment("session")
	if !ok {
		return v, r, tampered("roster", "session")
	}
	reader, ctx := session.Public, sealed.Context{Type: sealed.TypeVaultSeed, Account: g.at.Account, Vault: id, Epoch: 1}
	if tier == canon.TierPresence {
		v.MinApproval = "presence-passphrase"
		var c canon.Compartment
		if c, r, err = g.newCompartment(r, id); err != nil {
			return v, r, err
		}
		reader = c.Public
	}
	if v.Seed, err = sealTo(reader, ctx, seed); err != nil {
		return v, r, err
	}
	ctx.Type = sealed.TypeIndexKey
	if v.IndexKey, err = sealTo(session.Public, ctx, index); err != nil {
		return v, r, err
	}
	v.Members = []canon.Member{{Name: "owner", Fingerprint: canon.RootFingerprint(session.Public)}}
	vk := &vaultKeys{}
	err = index(func(key []byte) error {
		v.IndexHash = IndexHash(key)
		return vk.setIndex(key, k.rand)
	})
	if err != nil {
		return v, r, err
	}
	v.NameTag = vk.tag("vault-name", name)
	nctx := sealed.Context{Type: sealed.TypeVaultName, Account: g.at.Account, Vault: id, Epoch: 1}
	v.Name, err = sealed.Meta(vk.indexSeal, nctx, []byte(name))
	return v, r, err
}

// newCompartment adds a compartment with a presence slot of its own to the
// roster; the recovery slot reaches it by its public key.
func (g *Gesture) newCompartment(r canon.Roster, name string) (canon.Compartment, canon.Roster, error) {
	var c canon.Compartment
	seed, free, err := g.k.fresh(sealed.SeedSize)
	if err != nil {
		return c, r, err
	}
	defer free()
	pub, err := kemPublic(seed)
	if err != nil {
		return c, r, err
	}
	rec, _, ok := Roster{Roster: r}.find(canon.SlotRecovery, "recovery")
	if !ok {
		return c, r, tampered("roster", "recovery")
	}
	var slot canon.Slot
	err = g.secret(func(p []byte) error {
		slot, err = g.k.newSlot(canon.SlotPresence, name, p, g.share, g.at)
		return err
	})
	if err != nil {
		return c, r, err
	}
	if c, err = compartmentFor(g.at.Account, name, pub, seed, slot, rec); err != nil {
		return c, r, err
	}
	out := canon.Roster{V: r.V}
	out.Slots = append(append(out.Slots, r.Slots...), slot)
	out.Compartments = append(append(out.Compartments, r.Compartments...), c)
	return c, out, nil
}

// Gesture is a presence passphrase typed for one request: it can sign with the
// root key where the request needs that, and opens the compartments the request
// names, nothing else. It is wiped by Close, at the latest when the approval
// expires.
type Gesture struct {
	k      *Keyring
	at     Place
	share  lend
	secret lend
	seeds  map[string]lend // by compartment
	free   []func()
	once   sync.Once
}

// Close wipes what the gesture opened. It may be called more than once, and on
// nil.
func (g *Gesture) Close() {
	if g == nil {
		return
	}
	g.once.Do(func() {
		for _, f := range g.free {
			f()
		}
	})
}

// Root returns the signer; it refuses unless the gesture opened the account.
func (g *Gesture) Root() Root {
	if g == nil {
		return Root{}
	}
	return Root{seed: g.seeds["account"]}
}

func (k *Keyring) gestureFrom(at Place, presence []byte, share, root lend, freeRoot func()) (*Gesture, error) {
	secret, free, err := k.arena.keep(append([]byte(nil), presence...))
	if err != nil {
		return nil, err
	}
	return &Gesture{k: k, at: at, share: share, secret: secret,
		seeds: map[string]lend{"account": root}, free: []func(){free, freeRoot}}, nil
}

// Gesture checks the presence passphrase and opens the named compartments:
// "account" for the root key, vault ids for presence vaults. With none named the
// passphrase is only checked, against the commitment, and nothing is opened.
func (k *Keyring) Gesture(r Roster, passphrase []byte, share Share, at Place, compartments []string) (_ *Gesture, err error) {
	at.Roster = r.Version + 1 // slots made inside it are first listed by the next roster
	g := &Gesture{k: k, at: at, share: lend(share), seeds: map[string]lend{}}
	secret, free, err := k.arena.keep(append([]byte(nil), passphrase...))
	if err != nil {
		return nil, err
	}
	g.secret, g.free = secret, []func(){free}
	defer func() { opened{g.Close}.failed(err) }()
	names := compartments
	if len(names) == 0 {
		names = []string{"account"}
	}
	for _, name := range names {
		s, h, ok := r.find(canon.SlotPresence, name)
		if !ok {
			return nil, tampered("roster", name)
		}
		slot, freeSlot, err := k.openSlot(s, h, passphrase, lend(share), at, r.Version)
		if err != nil {
			return nil, wrong(err, "approve", "presence passphrase")
		}
		g.free = append(g.free, freeSlot)
		if len(compartments) == 0 {
			continue
		}
		seed, freeSeed, err := k.compartmentSeed(r, name, h.ID, slot, at.Account)
		if err != nil {
			return nil, err
		}
		g.free = append(g.free, freeSeed)
		g.seeds[name] = seed
	}
	return g, nil
}

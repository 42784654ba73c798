package open

import (
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// RecoverySize is the entropy of a recovery code: 160 bits.
const RecoverySize = 20

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
	var fresh [3]lend
	var frees slot.Opened
	defer func() { frees.Failed(err) }()
	for i := range fresh {
		var free func()
		if fresh[i], free, err = k.ways.Fresh(); err != nil {
			return nil, err
		}
		frees = append(frees, free)
	}
	root, session, ledger := fresh[0], fresh[1], fresh[2]
	defer frees[2]()
	g := canon.Genesis{V: 1, Account: account, Device: dev.ID, DeviceKey: dev.Key, DeviceKEM: dev.KEM, TestHome: testHome, Created: now}
	_ = root(func(s []byte) error { g.Root = canon.Bytes(ed25519.NewKeyFromSeed(s)[32:]); return nil })
	if g.Session, err = slot.KEMPublic(session); err != nil {
		return nil, err
	}
	if g.LedgerKEM, err = slot.KEMPublic(ledger); err != nil {
		return nil, err
	}
	ct, err := slot.SealTo(g.Session, sealed.Context{Type: sealed.TypeLedgerSeed, Account: account}, ledger)
	if err != nil {
		return nil, err
	}
	g.LedgerSeed = ct
	at := Place{Account: account, Device: dev.ID, Root: canon.RootFingerprint(g.Root), TestHome: testHome, Roster: 1, Created: now}
	seeds := seedSet{session: session, root: root, rootPub: g.Root, sessionPub: g.Session}
	roster, code, err := k.slots(seeds, unlock, presence, lend(share), at)
	if err != nil {
		return nil, err
	}
	frees = append(frees, code.forget)
	gest, err := k.gestureFrom(at, presence, lend(share), root, frees[0])
	if err != nil {
		return nil, err
	}
	k.adopt(session, frees[1])
	return &Account{Genesis: g, Roster: roster, Sign: gest.Root().Sign, Recovery: code.once, Gesture: gest}, nil
}

var errSame = fault.New(fault.Usage, "init", "", "the presence passphrase must differ from the unlock passphrase")

// seedSet is what every fresh set of slots must open.
type seedSet struct {
	session, root       lend
	sessionPub, rootPub canon.Bytes
}

// recoveryCode is a recovery code for as long as nobody has seen it.
type recoveryCode struct {
	lend   lend
	forget func()
}

// once lends the code and forgets it.
func (c recoveryCode) once(use func(code []byte) error) error {
	defer c.forget()
	return c.lend(use)
}

// newCode makes a recovery code.
func (k *Keyring) newCode() (c recoveryCode, err error) {
	raw := make([]byte, RecoverySize)
	if _, err := io.ReadFull(k.rand, raw); err != nil {
		return c, err
	}
	c.lend, c.forget, err = k.arena.Keep(raw)
	return c, err
}

// slots makes the three basic slots (unlock, presence on "account", recovery)
// and seals the session and root seeds to them.
func (k *Keyring) slots(s seedSet, unlock, presence []byte, share lend, at Place) (r canon.Roster, code recoveryCode, err error) {
	r.V = 1
	if code, err = k.newCode(); err != nil {
		return r, code, err
	}
	defer func() { slot.Opened{code.forget}.Failed(err) }()
	us, err1 := k.ways.New(slot.Way{Kind: canon.SlotUnlock}, "session", unlock, share, at)
	ps, err2 := k.ways.New(slot.Way{Kind: canon.SlotPresence}, "account", presence, share, at)
	var rs canon.Slot
	err = code.lend(func(b []byte) (err error) {
		rs, err = k.ways.New(slot.Way{Kind: canon.SlotRecovery}, "recovery", b, nil, at)
		return err
	})
	if err := errors.Join(err1, err2, err); err != nil {
		return r, code, err
	}
	r.Slots = []canon.Slot{us, ps, rs}
	sc, err1 := slot.CompartmentFor(at.Account, "session", s.sessionPub, s.session, us, rs)
	ac, err2 := slot.CompartmentFor(at.Account, "account", s.rootPub, s.root, ps, rs)
	r.Compartments = []canon.Compartment{sc, ac}
	return r, code, errors.Join(err1, err2)
}

// NewVault makes the keys of a vault. A presence vault gets a compartment of its
// own, for the ways that least admits and the recovery slot; no least is the tier's
// default. The returned roster lists it; for a standard vault it is the one given.
func (g *Gesture) NewVault(r canon.Roster, id, name string, tier canon.Tier, least canon.Least) (v canon.Vault, _ canon.Roster, err error) {
	k := g.k
	v = canon.Vault{V: 1, ID: id, Epoch: 1, Tier: tier}
	if v.MinApproval, err = least.For(tier); err != nil {
		return v, r, fault.New(fault.Usage, "vault create", name, err.Error())
	}
	seed, free, err := k.ways.Fresh()
	if err != nil {
		return v, r, err
	}
	defer free()
	index, freeIndex, err := k.ways.Fresh()
	if err != nil {
		return v, r, err
	}
	defer freeIndex()
	if v.Public, err = slot.KEMPublic(seed); err != nil {
		return v, r, err
	}
	session, ok := Roster{Roster: r}.Compartment("session")
	if !ok {
		return v, r, slot.Tampered("roster", "session")
	}
	reader, ctx := session.Public, sealed.Context{Type: sealed.TypeVaultSeed, Account: g.at.Account, Vault: id, Epoch: 1}
	if tier == canon.TierPresence {
		var c canon.Compartment
		if c, r, err = g.newCompartment(r, id, v.MinApproval); err != nil {
			return v, r, err
		}
		reader = c.Public
	}
	if v.Seed, err = slot.SealTo(reader, ctx, seed); err != nil {
		return v, r, err
	}
	ctx.Type = sealed.TypeIndexKey
	if v.IndexKey, err = slot.SealTo(session.Public, ctx, index); err != nil {
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
	nctx := sealed.Context{Type: sealed.TypeVaultName, Account: g.at.Account, Vault: id, Epoch: sealed.IndexEpoch}
	v.Name, err = sealed.Meta(vk.indexSeal, nctx, []byte(name))
	return v, r, err
}

// newCompartment adds a compartment to the roster. A gesture by what is
// typed makes a slot of its own for it; whatever else opens the account reaches
// it by the public key of its slot there, and so does the recovery code. What a
// vault's least does not admit does not.
func (g *Gesture) newCompartment(r canon.Roster, name string, least canon.Least) (canon.Compartment, canon.Roster, error) {
	out := r
	if g.secret != nil && least.Admits(g.way.Kind) {
		err := g.secret(func(p []byte) error {
			made, err := g.k.ways.New(g.way, name, p, g.share, g.at)
			out.Slots = append(slices.Clone(r.Slots), made)
			return err
		})
		if err != nil {
			return canon.Compartment{}, r, err
		}
	}
	c, err := g.compartment(name, Roster{Roster: out}.Readers(name, least))
	out.Compartments = append(slices.Clone(r.Compartments), c)
	return c, out, err
}

// compartment makes one for slots, with a key of its own.
func (g *Gesture) compartment(name string, slots []canon.Slot) (canon.Compartment, error) {
	seed, free, err := g.k.ways.Fresh()
	if err != nil {
		return canon.Compartment{}, err
	}
	defer free()
	pub, err := slot.KEMPublic(seed)
	if err != nil {
		return canon.Compartment{}, err
	}
	return slot.CompartmentFor(g.at.Account, name, pub, seed, slots...)
}

// Gesture is a person's for one request, by the presence passphrase, a PIN or a passkey: it
// can sign with the root key where the request needs that, and opens the
// compartments the request names, nothing else. It is wiped by Close, at the latest
// when the approval expires.
type Gesture struct {
	k      *Keyring
	at     Place
	share  lend
	way    slot.Way
	secret lend             // what was typed, to make slots for new compartments; nil where there is none
	seeds  map[string]lend  // by compartment
	epochs map[string]int64 // of the vaults then: their compartments have other keys later
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

// Of reports whether a gesture was made by this roster, and not by one before it: then
// it holds keys of before, and perhaps a secret that was replaced since.
func (g *Gesture) Of(r Roster) bool { return g.at.Roster == r.Version+1 }

func (k *Keyring) gestureFrom(at Place, presence []byte, share, root lend, freeRoot func()) (*Gesture, error) {
	secret, free, err := k.arena.Keep(append([]byte(nil), presence...))
	if err != nil {
		return nil, err
	}
	return &Gesture{k: k, at: at, share: share, way: slot.Way{Kind: canon.SlotPresence}, secret: secret,
		seeds: map[string]lend{"account": root}, free: []func(){free, freeRoot}}, nil
}

// Gesture checks the presence passphrase and opens the named compartments:
// "account" for the root key, vault ids for presence vaults. With none named the
// passphrase is only checked, against the commitment, and nothing is opened.
func (k *Keyring) Gesture(r Roster, passphrase []byte, share Share, at Place, compartments []string) (*Gesture, error) {
	g, err := k.typed(r, slot.Way{Kind: canon.SlotPresence}, passphrase, share, at, compartments)
	return g, wrong(err, "approve", "presence passphrase")
}

// PIN is Gesture with the secret that the TPM gave for a PIN. Whether the PIN is right
// the TPM has said: a secret that does not fit is no mistake of the person.
func (k *Keyring) PIN(r Roster, secret []byte, share Share, at Place, compartments []string) (*Gesture, error) {
	g, err := k.typed(r, slot.PIN(), secret, share, at, compartments)
	if errors.Is(err, slot.ErrWrong) {
		err = slot.Tampered("what the TPM keeps", "pin")
	}
	return g, err
}

// typed opens the named compartments by a way of which there is one secret.
func (k *Keyring) typed(r Roster, w slot.Way, typed []byte, share Share, at Place, compartments []string) (*Gesture, error) {
	at.Roster = r.Version + 1 // slots made inside it are first listed by the next roster
	g := &Gesture{k: k, at: at, share: lend(share), way: w, seeds: map[string]lend{}}
	secret, free, err := k.arena.Keep(append([]byte(nil), typed...))
	if err != nil {
		return nil, err
	}
	g.secret, g.free = secret, []func(){free}
	names := compartments
	if len(names) == 0 {
		names = []string{"account"}
	}
	for _, name := range names {
		s, h, ok := r.Reach(g.way, name)
		if !ok {
			g.Close()
			return nil, noWay(r, w, name)
		}
		way, freeSlot, err := k.ways.Open(s, h, typed, lend(share), at, r.Version)
		if err != nil {
			g.Close()
			return nil, err
		}
		g.free = append(g.free, freeSlot)
		if len(compartments) == 0 {
			continue
		}
		seed, freeSeed, err := k.ways.CompartmentSeed(r, name, h.ID, way, at.Account)
		if err != nil {
			g.Close()
			return nil, err
		}
		g.free = append(g.free, freeSeed)
		g.holds(name, seed)
	}
	return g, nil
}

// holds keeps what the gesture opened.
func (g *Gesture) holds(compartment string, seed lend) {
	if g.epochs == nil {
		g.epochs = map[string]int64{}
	}
	g.seeds[compartment] = seed
	if v, err := g.k.vault(compartment); err == nil {
		g.epochs[compartment] = v.signed.Epoch
	}
}

// noWay is what comes of what was typed where it opens nothing.
func noWay(r Roster, w slot.Way, name string) error {
	_, pin := r.PINSlot()
	switch {
	case !r.Admits(w.Kind, name):
		return slot.TooWeak(name, r.Least[name])
	case w.Kind == canon.SlotPIN && !pin:
		return fault.New(fault.Denied, "approve", "", "no PIN is set").WithHint("`thumbturn pin set` sets one")
	case w.Kind == canon.SlotPresence && !r.HasPassphrase() && r.Passkeys():
		return fault.New(fault.Denied, "approve", "", "there is no presence passphrase any more: passkeys approve").WithHint("open the page with `thumbturn approve`")
	case w.Kind == canon.SlotPresence && !r.HasPassphrase() && pin:
		return fault.New(fault.Denied, "approve", "", "there is no presence passphrase any more: the PIN approves")
	}
	return slot.Tampered("roster", name)
}

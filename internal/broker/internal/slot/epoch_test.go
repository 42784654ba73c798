package slot

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/broker/internal/arena"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// safe is a presence vault with the compartment that opens it.
type safe struct {
	t   testing.TB
	m   *Maker
	v   canon.Vault
	key Lend // of the compartment
	pub []byte
}

const owner = "0123456789abcdefghjkmnpqr0"

func newSafe(t testing.TB, id string) *safe {
	a, err := arena.New(errors.New("gone"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	m, err := NewMaker(rand.Reader, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &safe{t: t, m: m, v: canon.Vault{V: 1, ID: id, Epoch: 1, Tier: canon.TierPresence, MinApproval: canon.LeastPresence}}
	s.compartment()
	seed, _, err := m.Fresh()
	if err != nil {
		t.Fatal(err)
	}
	at, _ := vaultAt(owner, s.v)
	s.v.Public, _ = KEMPublic(seed)
	if s.v.Seed, err = SealTo(s.pub, at, seed); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *safe) compartment() {
	var err error
	if s.key, _, err = s.m.Fresh(); err == nil {
		s.pub, err = KEMPublic(s.key)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// turn gives the vault a new compartment and a new epoch.
func (s *safe) turn() {
	s.t.Helper()
	old := FromSeed(s.key)
	s.compartment()
	next, err := s.m.NewEpoch(owner, s.v, old, s.pub)
	if err == nil {
		err = next.Follows(&s.v)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.v = next
}

func (s *safe) put(text string) (ct []byte, at sealed.Context) {
	at = sealed.Context{Type: sealed.TypeValue, Account: owner, Vault: s.v.ID, Epoch: s.v.Epoch, Item: "i", Field: "f", Revision: 1}
	ct, err := sealed.Value(s.v.Public, at, []byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return ct, at
}

// get opens a value by a descriptor and a compartment's key.
func (s *safe) get(v canon.Vault, key Lend, ct []byte, at sealed.Context, epoch int64) (text string, err error) {
	seed, free, err := s.m.VaultSeed(owner, v, epoch, FromSeed(key))
	if err != nil {
		return "", err
	}
	defer free()
	err = FromSeed(seed).Whole(at, ct, func(b []byte) error { text = string(b); return nil })
	return text, err
}

// However often a vault's keys change, the present compartment opens what was written
// in each epoch, and no compartment of before what was written after it.
func TestEpochsProperty(t *testing.T) {
	t.Parallel()
	type written struct {
		ct   []byte
		at   sealed.Context
		text string
	}
	type past struct {
		key Lend
		v   canon.Vault
	}
	rapid.Check(t, func(r *rapid.T) {
		s := newSafe(t, "v")
		var all []written
		var before []past
		for i, turn := range rapid.SliceOfN(rapid.Bool(), 1, 7).Draw(r, "turns") {
			if turn {
				before = append(before, past{s.key, s.v})
				s.turn()
			}
			text := string(rune('a' + i))
			ct, at := s.put(text)
			all = append(all, written{ct, at, text})
		}
		for _, w := range all {
			if got, err := s.get(s.v, s.key, w.ct, w.at, w.at.Epoch); got != w.text || err != nil {
				r.Fatalf("epoch %d of %d: %q, %v", w.at.Epoch, s.v.Epoch, got, err)
			}
			for _, p := range before {
				for _, v := range []canon.Vault{p.v, s.v} { // its own descriptor, and the one of now
					got, err := s.get(v, p.key, w.ct, w.at, w.at.Epoch)
					if readable := err == nil; readable != (v.Epoch == p.v.Epoch && w.at.Epoch <= p.v.Epoch) || readable && got != w.text {
						r.Fatalf("the compartment of epoch %d, with descriptor %d, and epoch %d: %q, %v", p.v.Epoch, v.Epoch, w.at.Epoch, got, err)
					}
				}
			}
		}
	})
}

// A descriptor whose keys are not what they are said to be opens nothing, whoever
// signed it, and is not carried on.
func TestEpochsTampered(t *testing.T) {
	t.Parallel()
	s, other := newSafe(t, "v"), newSafe(t, "w")
	ct, at := s.put("first")
	s.turn()
	s.turn()
	other.turn()
	other.turn()
	_, past := vaultAt(owner, s.v)
	var seeds []byte
	if err := FromSeed(s.key).Whole(past, s.v.Past.Seeds, func(b []byte) error { seeds = bytes.Clone(b); return nil }); err != nil {
		t.Fatal(err)
	}
	resealed := func(b []byte) func(*canon.Vault) {
		return func(v *canon.Vault) {
			ct, err := sealed.Value(s.pub, past, b)
			if err != nil {
				t.Fatal(err)
			}
			v.Past.Seeds = ct
		}
	}
	swapped := append(bytes.Clone(seeds[32:]), seeds[:32]...)
	for name, how := range map[string]func(*canon.Vault){
		"seeds swapped":            resealed(swapped),
		"a seed dropped":           resealed(seeds[32:]),
		"a seed more":              resealed(append(bytes.Clone(seeds), seeds...)),
		"other seeds":              resealed(make([]byte, 64)),
		"of another vault":         func(v *canon.Vault) { v.Past.Seeds = other.v.Past.Seeds },
		"a byte changed":           func(v *canon.Vault) { v.Past.Seeds = bytes.Clone(v.Past.Seeds); v.Past.Seeds[1200] ^= 1 },
		"names swapped":            func(v *canon.Vault) { slices.Reverse(v.Past.Publics) },
		"names dropped":            func(v *canon.Vault) { v.Past.Publics = nil },
		"none":                     func(v *canon.Vault) { v.Past = nil },
		"a lowered epoch":          func(v *canon.Vault) { v.Epoch-- },
		"a raised epoch":           func(v *canon.Vault) { v.Epoch++ },
		"the id of another":        func(v *canon.Vault) { v.ID = "w" },
		"the seed of another":      func(v *canon.Vault) { v.Seed, v.Public = other.v.Seed, other.v.Public },
		"another public key":       func(v *canon.Vault) { v.Public = other.v.Public },
		"its seed, another's":      func(v *canon.Vault) { v.Seed = other.v.Seed },
		"the seed of another time": func(v *canon.Vault) { v.Seed = newSafe(t, "v").v.Seed },
		"past for the present":     func(v *canon.Vault) { v.Seed = v.Past.Seeds },
	} {
		v := s.v
		v.Past = &canon.Past{Publics: slices.Clone(s.v.Past.Publics), Seeds: s.v.Past.Seeds}
		how(&v)
		present := name == "the seed of another" || name == "another public key" || name == "its seed, another's" || name == "the seed of another time" || name == "past for the present"
		if got, err := s.get(v, s.key, ct, at, 1); err == nil && !present {
			t.Errorf("%s: opens %q", name, got)
		}
		if next, err := s.m.NewEpoch(owner, v, FromSeed(s.key), s.pub); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s: carried on to epoch %d, %v", name, next.Epoch, err)
		}
	}
	for _, epoch := range []int64{0, -1, 4, 1 << 40} {
		if _, _, err := s.m.VaultSeed(owner, s.v, epoch, FromSeed(s.key)); !fault.Is(err, fault.Tampered) {
			t.Errorf("epoch %d: %v", epoch, err)
		}
	}
	for _, epoch := range []int64{2, 3} { // never by another key than that of its epoch
		if got, err := s.get(s.v, s.key, ct, at, epoch); err == nil {
			t.Errorf("as of epoch %d: %q", epoch, got)
		}
	}
}

// A vault has so many keys and no more, and says so. All of them open to the last.
func TestEpochsEnd(t *testing.T) {
	t.Parallel()
	s := newSafe(t, "v")
	ct, at := s.put("first")
	// As after so many turns, of which each would open all those before.
	s.v.Epoch = canon.MaxEpoch - 1
	past := &canon.Past{}
	var seeds []byte
	for range s.v.Epoch - 1 {
		seed, free, err := s.m.Fresh()
		if err != nil {
			t.Fatal(err)
		}
		pub, _ := KEMPublic(seed)
		_ = seed(func(b []byte) error { seeds = append(seeds, b...); return nil })
		past.Publics = append(past.Publics, canon.VaultKey(pub))
		free()
	}
	one := s.v
	one.Epoch = 1
	seed, _, err := s.m.VaultSeed(owner, one, 1, FromSeed(s.key))
	if err != nil {
		t.Fatal(err)
	}
	_ = seed(func(b []byte) error { copy(seeds, b); return nil })
	past.Publics[0] = canon.VaultKey(s.v.Public)
	now, before := vaultAt(owner, s.v)
	present, _, _ := s.m.Fresh()
	s.v.Public, _ = KEMPublic(present)
	if s.v.Seed, err = SealTo(s.pub, now, present); err != nil {
		t.Fatal(err)
	}
	if past.Seeds, err = sealed.Value(s.pub, before, seeds); err != nil {
		t.Fatal(err)
	}
	s.v.Past = past
	s.turn()
	if got, err := s.get(s.v, s.key, ct, at, 1); got != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if n := len(canon.Encode(s.v)); n > 128<<10 {
		t.Errorf("the descriptor has %d bytes", n)
	}
	_, err = s.m.NewEpoch(owner, s.v, FromSeed(s.key), s.pub)
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Unavailable || e.Hint == "" {
		t.Errorf("one more: %v", err)
	}
	// What cannot have another key can still be opened by others.
	old := FromSeed(s.key)
	s.compartment()
	carried, err := s.m.Carried(owner, s.v, old, s.pub)
	if err != nil || carried.Follows(&s.v) != nil || carried.Epoch != s.v.Epoch || bytes.Equal(carried.Seed, s.v.Seed) {
		t.Fatalf("epoch %d after %d: %v, %v", carried.Epoch, s.v.Epoch, err, carried.Follows(&s.v))
	}
	last, lastAt := s.put("last")
	for text, w := range map[string]struct {
		ct []byte
		at sealed.Context
	}{"first": {ct, at}, "last": {last, lastAt}} {
		if got, err := s.get(carried, s.key, w.ct, w.at, w.at.Epoch); got != text || err != nil {
			t.Errorf("carried: %q, %v", got, err)
		}
	}
}

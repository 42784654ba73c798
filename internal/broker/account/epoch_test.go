//go:build unix

package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/internal/arena"
	"github.com/thumbturn/thumbturn/internal/broker/internal/chip"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/internal/tpm"
	"github.com/thumbturn/thumbturn/internal/tpm/tpmtest"
)

const later = "the value of later"

// loot is what a copy of a database says.
type loot struct {
	genesis canon.Genesis
	roster  slot.Roster
	vaults  map[string]canon.Vault
	items   map[string]canon.Item
	blobs   map[canon.Hash][]byte
}

func (h *home) loot() loot { return h.lootOf(math.MaxInt64) }

// lootOf is what the same database says of the time before a roster.
func (h *home) lootOf(before int64) loot {
	h.t.Helper()
	ctx := context.Background()
	out := loot{vaults: map[string]canon.Vault{}, items: map[string]canon.Item{}, blobs: map[canon.Hash][]byte{}}
	over := false
	err := h.db.Statements(ctx, 0, func(row store.Statement) error {
		s, err := canon.ParseStatement(row.Body)
		if err != nil || over {
			return err
		}
		switch s.Type {
		case canon.TypeGenesis:
			return canon.Decode(s.Payload, &out.genesis)
		case canon.TypeRoster:
			if over = s.Version >= before; over {
				return nil
			}
			out.roster.Version = s.Version
			out.roster.Roster = canon.Roster{}
			return canon.Decode(s.Payload, &out.roster.Roster)
		case canon.TypeVault:
			var v canon.Vault
			err = canon.Decode(s.Payload, &v)
			out.vaults[s.Subject] = v
		case canon.TypeItem:
			var m canon.Item
			err = canon.Decode(s.Payload, &m)
			out.items[s.Subject] = m
		}
		return err
	})
	for _, m := range out.items {
		for _, r := range m.Values() {
			err = errors.Join(err, h.db.Blobs(ctx, []store.Hash{store.Hash(r.Hash)}, func(b store.Blob) error {
				out.blobs[r.Hash] = bytes.Clone(b.Bytes)
				return nil
			}))
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// thief has a device's share and one secret, which opened what it names at its time. It
// keeps every key that it ever got.
type thief struct {
	t      *testing.T
	m      *slot.Maker
	share  slot.Share
	way    slot.Way
	secret func(compartment string) []byte
	keys   []slot.Lend // of compartments
	seeds  []slot.Lend // of vaults
}

func (h *home) thief(way slot.Way, secret func(string) []byte) *thief {
	h.t.Helper()
	a, err := arena.New(errors.New("gone"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(a.Close)
	m, err := slot.NewMaker(rand.Reader, a, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &thief{t: h.t, m: m, share: h.dev.LendShare, way: way, secret: secret}
}

// take tries the secret on a copy, and every key of before.
func (x *thief) take(l loot) {
	x.t.Helper()
	place := slot.Place{Account: l.genesis.Account, Device: l.genesis.Device, Root: canon.RootFingerprint(l.genesis.Root), TestHome: l.genesis.TestHome}
	for _, s := range l.roster.Slots {
		h, err := slot.Header(s)
		if err != nil || !x.way.Is(h) {
			continue
		}
		key, _, err := x.m.Open(s, h, x.secret(h.Compartment), slot.Lend(x.share), place, l.roster.Version)
		if err != nil {
			continue
		}
		for _, c := range l.roster.Compartments {
			if seed, _, err := x.m.CompartmentSeed(l.roster, c.Name, h.ID, key, l.genesis.Account); err == nil {
				x.keys = append(x.keys, seed)
			}
		}
	}
	for _, v := range l.vaults {
		for _, key := range x.keys {
			for epoch := int64(1); epoch <= v.Epoch; epoch++ {
				if seed, _, err := x.m.VaultSeed(l.genesis.Account, v, epoch, slot.FromSeed(key)); err == nil {
					x.seeds = append(x.seeds, seed)
				}
			}
		}
	}
}

// reads are the values of presence vaults in a copy that any key of the thief opens.
func (x *thief) reads(l loot) map[string]bool {
	out := map[string]bool{}
	for id, m := range l.items {
		for _, r := range m.Records {
			at := sealed.Context{Type: sealed.TypeValue, Account: l.genesis.Account, Vault: m.Vault, Epoch: r.Epoch, Item: id, Field: r.Field, Revision: r.Revision}
			for _, seed := range append(x.seeds, x.keys...) {
				_ = slot.FromSeed(seed).Whole(at, l.blobs[r.Hash], func(text []byte) error { out[string(text)] = true; return nil })
			}
		}
	}
	return out
}

func concealed(label, value string) vault.Change {
	return vault.Change{Field: vault.Field{Label: label, Type: "CONCEALED", Concealed: true}, Value: []byte(value)}
}

func (h *home) put(vaultName, item string, changes ...vault.Change) {
	h.t.Helper()
	if _, err := h.broker.Put(context.Background(), h.who, vault.Put{Mode: vault.Set, Vault: vaultName, Item: item, Changes: changes}); err != nil {
		h.t.Fatalf("put %s/%s: %v", vaultName, item, err)
	}
}

// reading is a value that the remaining ways must give.
func (h *home) reading(what, name, want string, answer func(string) error) {
	h.t.Helper()
	h.clock.move(time.Minute, time.Minute)
	if got, err := h.release(name, answer); got != want || err != nil {
		h.t.Errorf("%s: %s is %q, %v", what, name, got, err)
	}
}

func (h *home) typing(kind canon.SlotKind, secret string) func(string) error {
	return func(id string) error {
		return h.broker.Approve(context.Background(), h.who, id, broker.Answer{Source: "file", Typed: kind, Secret: []byte(secret)})
	}
}

// prfs are what a passkey gives, for whoever has it.
func prfs(account string, k *approvetest.Passkey) func(string) []byte {
	return func(c string) []byte { return k.PRF(slot.PRFSalt(account, c)) }
}

func always(secret string) func(string) []byte { return func(string) []byte { return []byte(secret) } }

// scene is a way in that a thief knows, how it ends, and who answers afterwards.
type scene struct {
	way    slot.Way
	secret func(string) []byte
	end    func() error
	answer func() func(string) error
}

// Whoever kept a copy of the database, the share and a way in that is taken away or
// replaced, opens what was written before, and nothing that is written after, in any
// copy. What remains opens both.
func TestTakenAwayOpensNothingNew(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const next = "another presence passphrase"
	for name, prepare := range map[string]func(t *testing.T) (*home, func(string) error, func(loot) scene){
		"a passkey removed": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h, k, spare := keyed(newPersonsHome(t))
			return h, h.touch(k), func(l loot) scene {
				return scene{slot.Passkey(spare.RPID, spare.Credential), prfs(l.genesis.Account, spare),
					func() error { return h.acc.RemovePasskey(ctx, h.who, h.by(k), "file", "spare", nil) }, func() func(string) error { return h.touch(k) }}
			}
		},
		"a passkey removed beside the passphrase": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h := newPersonsHome(t)
			k := h.key()
			h.must(k, "laptop", typed(), broker.Ask{})
			return h, h.yes, func(l loot) scene {
				return scene{slot.Passkey(k.RPID, k.Credential), prfs(l.genesis.Account, k),
					func() error {
						return h.acc.RemovePasskey(ctx, h.who, broker.Ask{}, "file", "laptop", []byte(presencePass))
					}, func() func(string) error { return h.yes }}
			}
		},
		"the presence passphrase changed": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h := newPersonsHome(t)
			return h, h.yes, func(loot) scene {
				return scene{slot.Way{Kind: canon.SlotPresence}, always(presencePass),
					func() error {
						return h.acc.Passphrase(ctx, h.who, broker.Ask{}, "file", "presence", []byte(presencePass), []byte(presencePass), []byte(next))
					}, func() func(string) error { return h.typing("", next) }}
			}
		},
		"the presence passphrase ended": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h := newPersonsHome(t)
			k, second := h.key(), h.key()
			h.must(k, "laptop", typed(), broker.Ask{})
			return h, h.yes, func(loot) scene {
				return scene{slot.Way{Kind: canon.SlotPresence}, always(presencePass), func() error {
					_, err := h.enrol(second, "second", passkey.Adding{}, h.by(k))
					return err
				}, func() func(string) error { return h.touch(second) }}
			}
		},
		"the recovery code renewed": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h := newPersonsHome(t)
			code := h.renewed()
			return h, h.yes, func(loot) scene {
				return scene{slot.Way{Kind: canon.SlotRecovery}, always(string(code)), func() error { h.renewed(); return nil },
					func() func(string) error { return h.yes }}
			}
		},
		"recovered": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h := newPersonsHome(t)
			code := h.renewed()
			return h, h.yes, func(loot) scene {
				return scene{slot.Way{Kind: canon.SlotPresence}, always(presencePass), func() error {
					lend, err := h.acc.Recover(ctx, h.who, "file", code, []byte("an unlock passphrase of now"), []byte(next))
					if err == nil {
						_ = lend(func([]byte) error { return nil })
					}
					return err
				}, func() func(string) error { return h.typing("", next) }}
			}
		},
		"recovered, by who has the code": func(t *testing.T) (*home, func(string) error, func(loot) scene) {
			h := newPersonsHome(t)
			code := h.renewed()
			return h, h.yes, func(loot) scene {
				return scene{slot.Way{Kind: canon.SlotRecovery}, always(string(code)), func() error {
					lend, err := h.acc.Recover(ctx, h.who, "file", code, []byte("an unlock passphrase of now"), []byte(next))
					if err == nil {
						_ = lend(func([]byte) error { return nil })
					}
					return err
				}, func() func(string) error { return h.typing("", next) }}
			}
		},
		"the PIN removed":  pinEnds(func(h *home) error { return h.acc.RemovePIN(ctx, h.who, broker.Ask{}, "file", []byte(presencePass)) }),
		"the PIN replaced": pinEnds(func(h *home) error { return h.setPIN(broker.Ask{}, presencePass, otherPIN) }),
	} {
		t.Run(name, func(t *testing.T) {
			h, yes, scened := prepare(t)
			if _, err := h.broker.CreateVault(ctx, h.who, h.asked(nothing, yes), "team", canon.TierPresence, ""); err != nil {
				t.Fatal(err)
			}
			h.put("team", "Mail", concealed("password", "of the team"))
			before := h.loot()
			s := scened(before)
			x := h.thief(s.way, s.secret)
			x.take(before)
			old := map[string]bool{canary: true, "of the team": true}
			if diff := cmp.Diff(old, x.reads(before)); diff != "" {
				t.Fatalf("the thief opens before (-want +got): %s", diff)
			}
			if err := s.end(); err != nil {
				t.Fatal(err)
			}
			h.put("prod", "Later", concealed("token", later))
			h.put("prod", "Stripe", concealed("second", later+" beside the first"))
			h.put("team", "Mail", concealed("second", later+" of the team"))
			after := h.loot()
			x.take(after)
			if diff := cmp.Diff(old, x.reads(after)); diff != "" {
				t.Errorf("the thief opens (-want +got): %s", diff)
			}
			for id, v := range after.vaults {
				was := before.vaults[id]
				if v.Tier == canon.TierStandard && !bytes.Equal(canon.Encode(was), canon.Encode(v)) {
					t.Error("a standard vault was touched")
				}
				if v.Tier == canon.TierPresence && (v.Epoch != was.Epoch+1 || v.Follows(&was) != nil) {
					t.Errorf("epoch %d after %d: %v", v.Epoch, was.Epoch, v.Follows(&was))
				}
			}
			h.reading(name, prod, canary, s.answer())
			h.reading(name, "op://prod/Stripe/second", later+" beside the first", s.answer())
			h.reading(name, "op://prod/Later/token", later, s.answer())
			h.reading(name, "op://team/Mail/password", "of the team", s.answer())
			h.reading(name, "op://team/Mail/second", later+" of the team", s.answer())
			h.reading(name, dev, canary, s.answer())
			h.verifies(-1)
		})
	}
}

// What was taken away opens what was written before by the database of afterwards
// alone, since the rosters of before are among its statements: so the documents must
// not say that it takes an old copy. A recovery code needs no share for it.
func TestStatementsKeepTheWaysOfBefore(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	x := h.thief(slot.Way{Kind: canon.SlotRecovery}, always(string(h.renewed())))
	x.share = func(func([]byte) error) error { return errors.New("no share") }
	h.renewed()
	h.put("prod", "Later", concealed("token", later))
	h.put("dev", "Later", concealed("token", "standard, of later"))
	after := h.loot()
	x.take(after)
	if got := x.reads(after); len(got) > 0 {
		t.Errorf("by the roster of now: %v", got)
	}
	x.take(h.lootOf(after.roster.Version))
	x.take(after)
	if diff := cmp.Diff(map[string]bool{canary: true, "standard, of later": true}, x.reads(after)); diff != "" {
		t.Errorf("by the roster of before (-want +got): %s", diff)
	}
}

// renewed makes a new recovery code by the presence passphrase.
func (h *home) renewed() (code []byte) {
	h.t.Helper()
	lend, err := h.acc.RenewRecovery(context.Background(), h.who, broker.Ask{}, "file", []byte(presencePass))
	if err != nil {
		h.t.Fatal(err)
	}
	_ = lend(func(b []byte) error { code = bytes.Clone(b); return nil })
	return code
}

// chipped is a new process of a person's daemon, with a TPM, unlocked.
func (h *home) chipped() *tpmtest.Chip {
	h.t.Helper()
	ctx := context.Background()
	c := tpmtest.New(h.t)
	c.Limit(10, 1000)
	kernel, err := identity.Kernel()
	if err != nil {
		h.t.Fatal(err)
	}
	h.who.Close()
	if err := h.acc.Close(ctx, "again"); err != nil {
		h.t.Fatal(err)
	}
	h.acc, h.broker, err = account.Open(ctx, account.Options{Store: h.db, Device: h.dev, Clock: h.clock, Rand: rand.Reader, Sleep: func(time.Duration) {},
		TPM: &tpm.TPM{Dial: c.Dial, Rand: rand.Reader},
		Who: func(test bool) *identity.Registry {
			return identity.New(leading{kernel}, identity.Options{TestHome: test})
		}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = h.acc.Close(ctx, "test ends") })
	for range 2 { // before it is marked, and as a person
		_, server := h.pair()
		if h.who, err = h.acc.Who().Caller(ctx, server); err != nil {
			h.t.Fatal(err)
		}
		h.unlock()
	}
	if h.who.Kind() != identity.Person {
		h.t.Fatalf("not a person: %s", h.who.Why())
	}
	return c
}

// pinEnds is a home with a PIN, which ends.
func pinEnds(end func(*home) error) func(t *testing.T) (*home, func(string) error, func(loot) scene) {
	return func(t *testing.T) (*home, func(string) error, func(loot) scene) {
		h := newPersonsHome(t)
		c := h.chipped()
		if err := h.setPIN(broker.Ask{}, presencePass, pin); err != nil {
			t.Fatal(err)
		}
		return h, h.yes, func(l loot) scene {
			var secret []byte
			with := chip.Chip{TPM: &tpm.TPM{Dial: c.Dial, Rand: rand.Reader}, Device: h.dev}
			if err := with.Open(l.roster, []byte(pin), func(b []byte) error { secret = bytes.Clone(b); return nil }); err != nil {
				t.Fatal(err)
			}
			return scene{slot.PIN(), always(string(secret)), func() error { return end(h) }, func() func(string) error { return h.yes }}
		}
	}
}

// What else there is to do with values goes on over a change of keys: a removal that
// fails changes nothing, what waited for a person is sealed anew or not written, and
// old values come back from the history and go to other vaults.
func TestRestAcrossEpochs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newPersonsHome(t)
	k := h.key()
	h.must(k, "laptop", typed(), broker.Ask{})
	remove := func() error {
		return h.acc.RemovePasskey(ctx, h.who, broker.Ask{}, "file", "laptop", []byte(presencePass))
	}
	before := h.loot()

	full := fault.New(fault.Unavailable, "commit", "", "disk full")
	h.db.set(func(b store.Batch) error { return when(len(b.Statements) > 0, full) }, nil)
	if err := remove(); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("%v", err)
	}
	h.db.set(nil, nil)
	if now := h.loot(); now.roster.Version != before.roster.Version || !cmp.Equal(now.vaults, before.vaults) {
		t.Error("a removal that failed changed something")
	}
	h.reading("after a failure", prod, canary, h.touch(k))
	h.reading("after a failure", prod, canary, h.yes)

	// A new title and value wait for a person, who meanwhile removes the passkey.
	edit := vault.Put{Mode: vault.Edit, Vault: "prod", Item: "Stripe", Title: "Stripe 2", Changes: []vault.Change{concealed("credential", later)}}
	edit.Ask = h.asked(func(approve.Ticket) {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}, h.yes)
	h.clock.move(time.Minute, time.Minute)
	if _, err := h.broker.Put(ctx, h.who, edit); !fault.Is(err, fault.Conflict) {
		t.Errorf("sealed to the key of before: %v", err)
	}
	for id, v := range h.loot().vaults {
		if want := before.vaults[id].Epoch; v.Tier == canon.TierPresence && v.Epoch != want+1 {
			t.Errorf("epoch %d", v.Epoch)
		}
	}
	h.put("prod", "Stripe", concealed("credential", later))
	h.reading("rewritten", prod, later, h.yes)
	h.clock.move(time.Minute, time.Minute)
	all, err := h.broker.History(ctx, h.who, "prod", "Stripe")
	if err != nil || len(all) != 2 || all[0].Records[0].Epoch != 1 || all[1].Records[0].Epoch != 2 {
		t.Fatalf("history: %+v, %v", all, err)
	}
	if _, err := h.broker.Revert(ctx, h.who, h.asked(nothing, h.yes), "prod", "Stripe", 1); err != nil {
		t.Fatal(err)
	}
	h.reading("reverted", prod, canary, h.yes)
	h.put("prod", "Stripe", concealed("second", later))
	h.clock.move(time.Minute, time.Minute)
	if _, err := h.broker.Move(ctx, h.who, h.asked(nothing, h.yes), "prod", "Stripe", "dev"); !fault.Is(err, fault.Exists) {
		t.Errorf("%v", err)
	}
	if _, err := h.broker.CreateVault(ctx, h.who, h.asked(nothing, h.yes), "team", canon.TierPresence, ""); err != nil {
		t.Fatal(err)
	}
	h.clock.move(time.Minute, time.Minute)
	if _, err := h.broker.Move(ctx, h.who, h.asked(nothing, h.yes), "prod", "Stripe", "team"); err != nil {
		t.Fatal(err)
	}
	h.reading("moved", "op://team/Stripe/credential", canary, h.yes)
	h.reading("moved", "op://team/Stripe/second", later, h.yes)
	h.verifies(-1)
}

// Whoever writes while a passkey is removed seals to the key of before and is done
// before, or to the new one: in the order of the statements no value of the old key
// follows the new one.
func TestWritersBesideARemoval(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := newPersonsHome(t)
	h.must(h.key(), "laptop", typed(), broker.Ask{})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range 4 {
		wg.Go(func() {
			for n := 0; n < 200; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Set, Vault: "prod", Item: fmt.Sprint("item ", w), Changes: []vault.Change{concealed("token", fmt.Sprint(n))}})
				if err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	err := h.acc.RemovePasskey(ctx, h.who, broker.Ask{}, "file", "laptop", []byte(presencePass))
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	h.put("prod", "item 0", concealed("token", "after"))
	epochs, written := map[string]int64{}, map[int64]int{}
	err = h.db.Statements(ctx, 0, func(row store.Statement) error {
		s, err := canon.ParseStatement(row.Body)
		if err != nil {
			return err
		}
		var v canon.Vault
		var m canon.Item
		switch s.Type {
		case canon.TypeVault:
			err = canon.Decode(s.Payload, &v)
			epochs[v.ID] = v.Epoch
		case canon.TypeItem:
			err = canon.Decode(s.Payload, &m)
			for _, r := range m.Records {
				if r.Revision == s.Version && r.Epoch != epochs[m.Vault] {
					t.Errorf("%s, revision %d: sealed in epoch %d, written in %d", s.Subject, r.Revision, r.Epoch, epochs[m.Vault])
				}
				written[r.Epoch]++
			}
		}
		return err
	})
	if err != nil || written[1] == 0 || written[2] == 0 {
		t.Errorf("%v, %v", written, err)
	}
}

// Package account is the life of an account on one device: founding it, opening
// and locking it, replacing its passphrases, recovering it, accepting a restored
// database, and reading its ledger. Secrets themselves it never touches: they
// pass the broker.
package account

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/internal/audit"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/chip"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/latch"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/pace"
	"github.com/thumbturn/thumbturn/internal/broker/internal/pieces"
	"github.com/thumbturn/thumbturn/internal/broker/internal/spare"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/broker/ways"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/store"
)

// Files are the places of a home that a backup takes, and the way to a copy of
// the database.
type Files = spare.Files

// Options are an account's surroundings.
type Options struct {
	Store   store.Store
	Device  *device.Device
	Who     func(testHome bool) *identity.Registry
	Clock   broker.Clock
	Rand    io.Reader
	Started canon.Event         // who started the daemon; recorded as its first event
	Files   Files               // for backups
	Sleep   func(time.Duration) // after a wrong passphrase; nil is a real one, which a lock cuts short
	// After reads how long the vaults may stay open unused; zero is for ever. Where
	// it fails, nothing is unlocked. Nil is for ever.
	After  func() (time.Duration, error)
	Finger broker.Finger // what a gesture by what is typed takes too; nil is nothing
	// Page chooses where the approval page shall be: the origin of a port that is free.
	// Nil is nowhere: then there are no passkeys.
	Page func() (origin string, err error)
	// TPM keeps what a PIN opens. Nil is none: then there is no PIN.
	TPM chip.TPM
	// Free gives memory back to the system once a passphrase was stretched; nil is how
	// it is really done. Under the race detector that takes longer than the stretching.
	Free func()
}

// Account is one account on one device.
type Account struct {
	*audit.Reader
	*latch.Dial
	*passkey.Registrar
	o      Options
	book   *book.Book
	gate   *gate.Gate
	who    *identity.Registry
	broker *broker.Broker
	ledger *ledger.Ledger
	latch  *latch.Latch

	shelf   spare.Shelf
	copying sync.Mutex // one backup at a time; taken before mu

	mu     sync.Mutex // unlock, lock, recover, restore: one at a time
	loaded bool
	pace   pace.Pace
}

// Open checks the database against the pinned head and makes the account and
// its broker. An empty home gives the state empty; a database behind or forked
// the state held.
func Open(ctx context.Context, o Options) (*Account, *broker.Broker, error) {
	if o.After == nil {
		o.After = func() (time.Duration, error) { return 0, nil }
	}
	l, err := ledger.Open(ctx, ledger.Options{Store: o.Store, Device: o.Device, Signer: o.Device.Public(), Rand: o.Rand, Now: o.Clock.Now})
	if err != nil {
		return nil, nil, err
	}
	keys, err := open.New(o.Rand, o.Free)
	if err != nil {
		return nil, nil, err
	}
	a := &Account{o: o, ledger: l, latch: &latch.Latch{Clock: o.Clock}}
	a.pace.Sleep = o.Sleep
	a.book = &book.Book{Ledger: l, Store: o.Store, Keys: keys, Share: o.Device.LendShare, Clock: o.Clock, Rand: o.Rand}
	a.Reader = &audit.Reader{Ledger: l, Book: a.book}
	a.shelf = spare.Shelf{Files: o.Files, Device: o.Device, Keys: keys, Clock: o.Clock, Rand: o.Rand}
	g, err := a.genesis(ctx)
	if err != nil {
		l.Hold(err.Error())
	}
	where, err := a.away()
	if err != nil {
		return nil, nil, err
	}
	if where != "" && l.Held() == "" {
		l.Hold(where)
	}
	a.who = o.Who(g.TestHome)
	if g.Account != "" && l.Held() == "" {
		if err := l.Begin(g); err != nil {
			return nil, nil, err
		}
		ev := o.Started
		ev.Type = canon.EventStart
		if _, err := l.Append(ctx, ledger.Entry{Events: []canon.Event{ev}}); err != nil {
			return nil, nil, err
		}
		_ = pieces.Sweep(ctx, l, o.Store) // what is left over is in nobody's way, and the next start tries again
	}
	a.Dial = latch.NewDial(a.latch, l, a.who)
	a.gate = &gate.Gate{Book: a.book, Desk: approve.NewDesk(o.Clock, approve.DefaultLimits()), Touches: &approve.Ceremonies{Clock: o.Clock, Rand: o.Rand},
		Who: a.who, Clock: o.Clock, Rand: o.Rand, Slowly: a.pace.Check, Acts: &a.mu, Finger: o.Finger, Chip: chip.Chip{TPM: o.TPM, Device: o.Device}}
	human := func(op string, who identity.Caller, source string) error {
		return a.human(op, who, source, a.TestHome())
	}
	a.Registrar = &passkey.Registrar{Keeper: &ways.Keeper{Gate: a.gate, State: a.State, Human: human}, Page: o.Page, Unlock: a.unlock}
	a.gate.Locks = locks{a}
	a.broker = broker.New(a.gate, a.latch)
	return a, a.broker, nil
}

// genesis reads the first statement, which says while locked what the account
// is. Whether it is the true one is checked at unlock, against the slot.
func (a *Account) genesis(ctx context.Context) (canon.Genesis, error) {
	var g canon.Genesis
	if a.ledger.Empty() || a.ledger.Held() != "" {
		s, _, err := a.ledger.First(ctx)
		if err == nil && s.Type == canon.TypeGenesis && canon.Decode(s.Payload, &g) == nil {
			a.book.SetGenesis(g) // what it says is checked against the slot before anything opens
		}
		return g, nil
	}
	s, _, err := a.ledger.First(ctx)
	if err != nil {
		return g, err
	}
	if s.Type != canon.TypeGenesis || canon.Decode(s.Payload, &g) != nil {
		return canon.Genesis{}, fault.New(fault.Tampered, "open", "genesis", "the first statement is no genesis")
	}
	a.book.SetGenesis(g)
	return g, nil
}

// State is empty, held, locked or unlocked.
func (a *Account) State() string {
	switch {
	case a.ledger.Held() != "":
		return api.StateHeld
	case a.ledger.Empty():
		return api.StateEmpty
	case a.book.Keys.Unlocked() && a.latch.Left() > 0: // what is due is as good as locked
		return api.StateUnlocked
	}
	return api.StateLocked
}

// Beside is the path of the database that a backup took the place of; empty where
// there is none.
func (a *Account) Beside() string { return a.shelf.Beside() }

// Who returns the registry that makes callers.
func (a *Account) Who() *identity.Registry { return a.who }

// TestHome reports whether this is a test home.
func (a *Account) TestHome() bool { return a.book.Genesis().TestHome }

// Describe fills in what status shows of the account.
func (a *Account) Describe(s *api.Status) {
	g := a.book.Genesis()
	head, _ := a.ledger.Head()
	s.State, s.Held, s.TestHome, s.Account, s.Device = a.State(), a.ledger.Held(), g.TestHome, g.Account, a.o.Device.ID()
	s.Statements, s.Events, s.MemoryLock = head.Statements, head.Events, a.book.Keys.MemoryLocked()
	if len(g.Root) > 0 {
		s.Root = canon.RootFingerprint(g.Root).String()
	}
	roster := a.book.Roster()
	s.Approval.Passkeys, s.Approval.Passphrase, s.Approval.PIN = len(roster.Authenticators), roster.HasPassphrase(), a.gate.Chip.Has(roster)
	if s.State == api.StateUnlocked {
		n := a.book.Count()
		s.Counts = &n
		for _, t := range a.gate.Desk.List() {
			if t.State == approve.Pending {
				s.Pending++
			}
		}
	}
}

// human refuses whoever must not type a passphrase here. test waives the
// refusal under an agent and the need of a terminal, and is recorded.
func (a *Account) human(op string, who identity.Caller, source string, test bool) error {
	if who.Kind() == "" {
		return fault.New(fault.Denied, op, "", "nobody asks")
	}
	if test {
		return nil
	}
	if source == "file" {
		return fault.New(fault.Denied, op, "", "a passphrase from a file is accepted in test homes only").WithHint("type it at a terminal")
	}
	if agent, under := who.UnderAgent(); under {
		return fault.New(fault.Denied, op, "", "refused under an agent ("+agent+")").WithHint("run it in a terminal of your own")
	}
	if !who.HasTerminal() {
		return fault.New(fault.Denied, op, "", "needs a terminal").WithHint("run it in a terminal of your own")
	}
	return a.who.Recheck(who)
}

// Init founds the account with two vaults: dev (standard) and prod (presence).
// It returns the closure that lends the recovery code, once.
func (a *Account) Init(ctx context.Context, who identity.Caller, test bool, source string, unlock, presence []byte) (func(func([]byte) error) error, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.State() != api.StateEmpty {
		return nil, fault.New(fault.Exists, "init", "", "this home has an account already").WithHint("`thumbturn status` describes it")
	}
	after, err := a.o.After()
	if err != nil {
		return nil, err
	}
	if err := a.human("init", who, source, test); err != nil {
		return nil, err
	}
	if err := identity.Markable(who, test); err != nil { // before there is an account whose recovery code nobody saw
		return nil, err
	}
	id, err := canon.NewID(a.o.Rand)
	if err != nil {
		return nil, err
	}
	dev := open.Device{ID: a.o.Device.ID(), Key: a.o.Device.Public(), KEM: a.o.Device.KEMPublic()}
	f, err := a.book.Keys.Found(id, dev, test, unlock, presence, a.o.Device.LendShare, a.o.Clock.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer f.Gesture.Close()
	if err := a.found(ctx, who, f); err != nil {
		unseen(f.Recovery)
		a.book.Keys.Lock()
		a.book.SetGenesis(canon.Genesis{})
		return nil, err
	}
	a.loaded = true
	a.latch.Begin(after)
	a.who.SetTestHome(test)
	_ = a.mark(who, test) // the code must be seen, whatever became of the session; unlock marks it
	return f.Recovery, nil
}

// found writes the first statements in one transaction: half a home is none.
func (a *Account) found(ctx context.Context, who identity.Caller, f *open.Account) error {
	e := ledger.Entry{Events: []canon.Event{{Type: canon.EventUnlock, Action: "init", Outcome: "done", Kind: string(who.Kind()), Root: who.Root().String()}}}
	sign := func(t canon.Type, subject string, payload any) error {
		s, err := a.book.Sign(f.Sign, t, subject, payload)
		e.Statements = append(e.Statements, s)
		return err
	}
	roster := f.Roster
	var vaults []canon.Vault
	for _, v := range []struct {
		name string
		tier canon.Tier
	}{{"dev", canon.TierStandard}, {"prod", canon.TierPresence}} {
		vid, err := canon.NewID(a.o.Rand)
		if err != nil {
			return err
		}
		var vault canon.Vault
		if vault, roster, err = f.Gesture.NewVault(roster, vid, v.name, v.tier, ""); err != nil {
			return err
		}
		vaults = append(vaults, vault)
	}
	origin, _ := a.Place() // where there is no loopback there is no page, and a later passkey asks again
	err := errors.Join(sign(canon.TypeGenesis, f.Genesis.Account, f.Genesis), sign(canon.TypeRoster, "roster", roster),
		sign(canon.TypePolicy, "policy", canon.Policy{V: 1, Text: policy.Default()}))
	for _, v := range vaults {
		err = errors.Join(err, sign(canon.TypeVault, v.ID, v))
	}
	if origin != "" {
		err = errors.Join(err, sign(canon.TypeSetting, book.SettingPage, canon.Setting{V: 1, Name: book.SettingPage, Value: origin}))
	}
	if err != nil {
		return err
	}
	if err := a.ledger.Begin(f.Genesis); err != nil {
		return err
	}
	a.book.Reset()
	_, err = a.book.Write(ctx, e)
	return err
}

// mark makes the caller's terminal session a person's.
func (a *Account) mark(who identity.Caller, test bool) error {
	if test {
		return a.who.MarkTest(who)
	}
	return a.who.Mark(who)
}

// load replays the statements once. A failure is a held state: what is stored is
// not what was written.
func (a *Account) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	if err := a.book.Load(ctx); err != nil {
		if fault.Is(err, fault.Tampered) {
			a.ledger.Hold(err.Error())
		}
		return err
	}
	a.loaded = true
	return nil
}

// Unlock opens the session key, and marks the caller's terminal session as a
// person's. It asks again in each session, also when already unlocked.
func (a *Account) Unlock(ctx context.Context, who identity.Caller, source string, passphrase []byte) error {
	return a.unlock(ctx, who, source, func() error {
		if a.book.Keys.Unlocked() {
			return a.again(passphrase)
		}
		return a.book.Keys.Unlock(a.book.Roster(), passphrase, a.o.Device.LendShare, a.book.Place())
	})
}

// unlock is Unlock by any means.
func (a *Account) unlock(ctx context.Context, who identity.Caller, source string, open func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready("unlock"); err != nil && !fault.Is(err, fault.Held) {
		return err
	}
	test := a.TestHome()
	if err := a.human("unlock", who, source, test); err != nil {
		return err
	}
	ev := canon.Event{Type: canon.EventUnlock, Action: "unlock", Outcome: "done", Kind: string(who.Kind()), Root: who.Root().String(), Reason: "input: " + source}
	if err := a.opened(ctx, ev, open); err != nil || a.ledger.Held() != "" {
		return err // held: to read, verify, export and restore; nothing is marked
	}
	a.gate.Desk.Open()
	return a.mark(who, test)
}

// opened opens the session key by any means, which an event records.
func (a *Account) opened(ctx context.Context, ev canon.Event, open func() error) error {
	after, err := a.o.After()
	if err != nil {
		return err
	}
	if _, err := a.lockDue(ctx); err != nil { // what was due and not locked yet is not prolonged
		return err
	}
	if err := a.load(ctx); err != nil {
		return err
	}
	if err := a.pace.Check(open); err != nil {
		ev.Outcome = "failed"
		a.ledger.Later(ev)
		return err
	}
	if err := a.book.Opened(); err != nil {
		a.book.Keys.Lock()
		a.ledger.Hold(err.Error())
		return err
	}
	a.latch.Begin(after)
	if a.ledger.Held() != "" {
		return nil
	}
	if _, err := a.ledger.Append(ctx, ledger.Entry{Events: []canon.Event{ev}}); err != nil {
		a.book.Keys.Lock()
		return err
	}
	a.Settle()
	return nil
}

// locks opens the account for a request that was asked while it was locked.
type locks struct{ a *Account }

// Ready implements gate.Locks.
func (l locks) Ready(ctx context.Context) error {
	if err := l.a.ready("unlock"); err != nil {
		return err
	}
	return l.a.load(ctx)
}

// Unlock implements gate.Locks. Nobody's terminal is marked: it was an agent who asked.
func (l locks) Unlock(ctx context.Context, open func() error) error {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	if err := l.a.ready("unlock"); err != nil {
		return err
	}
	return l.a.opened(ctx, canon.Event{Type: canon.EventUnlock, Action: "unlock", Outcome: "done", Kind: "page", Reason: "input: page, with an approval"}, open)
}

// again checks the unlock passphrase while unlocked.
func (a *Account) again(passphrase []byte) error {
	same, err := a.book.Keys.SameAsUnlock(a.book.Roster(), passphrase, a.o.Device.LendShare)
	if err == nil && !same {
		err = fault.New(fault.Passphrase, "unlock", "", "wrong unlock passphrase")
	}
	return err
}

func (a *Account) ready(op string) error {
	switch a.State() {
	case api.StateEmpty:
		return fault.New(fault.Empty, op, "", "this home has no account yet").WithHint("run `thumbturn init`")
	case api.StateHeld:
		return a.Held(op)
	}
	return nil
}

// Held is the refusal of an operation that a held account does not serve.
func (a *Account) Held(op string) error {
	why := a.ledger.Held()
	if where, err := a.away(); err == nil && where == why {
		return fault.New(fault.Held, op, "", why).WithHint("`thumbturn device move --again` writes the file for it once more, `--cancel` takes the move back")
	}
	return fault.New(fault.Held, op, "", why).WithHint("`thumbturn audit verify` says more; `thumbturn restore` accepts the database as it is, or puts a backup back")
}

// PolicyIs reports whether a draft is the policy in force. While locked nobody
// can say, and it is taken to be.
func (a *Account) PolicyIs(text string) bool {
	p := a.book.Policy()
	if p == nil {
		return true
	}
	set, err := policy.Load("draft", text)
	return err == nil && set.Hash() == p.Hash()
}

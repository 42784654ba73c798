//go:build unix

package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/proof"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// site is a home whose daemon can be started anew.
type site struct {
	home
	db   *sqlite.DB
	code []byte // the recovery code, once founded
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{home: home{t: t, dir: t.TempDir(), clock: &hand{wall: time.Now(), boot: time.Hour}}}
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	dev, err := device.Create(filepath.Join(s.dir, "device"), s.data(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_ = dev.Close()
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *site) data() string { return filepath.Join(s.dir, "data") }

// start opens device, database and account as a fresh daemon does.
func (s *site) start() {
	s.t.Helper()
	kernel, err := identity.Kernel()
	if err != nil {
		s.t.Skipf("SKIP: no evidence on this platform: %v", err)
	}
	if s.dev, err = device.Open(filepath.Join(s.dir, "device"), s.data()); err != nil {
		s.t.Fatal(err)
	}
	if s.db, err = sqlite.Open(filepath.Join(s.data(), filepath.Base(archive.Database)), sqlite.Options{}); err != nil {
		s.t.Fatal(err)
	}
	s.acc, s.broker, err = account.Open(context.Background(), account.Options{Store: s.db, Device: s.dev, Clock: s.clock, Rand: rand.Reader, Free: func() {},
		Files: account.Files{Data: s.data(), Config: filepath.Join(s.dir, "config"), Copy: s.db.Backup},
		Who: func(test bool) *identity.Registry {
			return identity.New(leading{kernel}, identity.Options{TestHome: test})
		}})
	if err != nil {
		s.t.Fatal(err)
	}
	_, server := s.pair()
	if s.who, err = s.acc.Who().Caller(context.Background(), server); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) stop() {
	if s.acc == nil {
		return
	}
	s.who.Close()
	_ = s.acc.Close(context.Background(), "test")
	_ = s.db.Close()
	_ = s.dev.Close()
	s.acc = nil
}

// restart ends the daemon, swaps a database in, and starts it again.
func (s *site) restart(swap func() error) {
	s.t.Helper()
	s.who.Close()
	err := errors.Join(s.acc.Close(context.Background(), "test"), s.db.Close())
	if swap != nil {
		err = errors.Join(err, swap())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	_ = s.dev.Close()
	s.start()
}

// found makes a test home with a value in both vaults.
func (s *site) found() {
	s.t.Helper()
	ctx := context.Background()
	code, err := s.acc.Init(ctx, s.who, true, "file", []byte(unlockPass), []byte(presencePass))
	if err != nil && !fault.Is(err, fault.Denied) { // see foundHome
		s.t.Fatal(err)
	}
	if err := code(func(b []byte) error { s.code = bytes.Clone(b); return nil }); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range []string{"dev", "prod"} {
		_, err := s.broker.Put(ctx, s.who, vault.Put{Mode: vault.Create, Vault: v, Item: "Stripe", Changes: []vault.Change{{
			Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: []byte(canary)}}})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) open(passphrase string) error {
	err := s.acc.Unlock(context.Background(), s.who, "file", []byte(passphrase))
	if fault.Is(err, fault.Denied) { // nobody can be marked here; the keys are open
		return nil
	}
	return err
}

func (s *site) backup() []byte {
	s.t.Helper()
	var b bytes.Buffer
	if err := s.acc.Backup(context.Background(), s.who, &b); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

func (s *site) accept(from []byte) (func() error, error) {
	r, err := s.acc.Accept(context.Background(), s.who, "file", bytes.NewReader(from))
	return r.Swap, err
}

// works checks that both vaults give their values, that the whole ledger reads and
// verifies, in the daemon and offline, and that nothing of it is lost.
func (s *site) works(presence string) {
	s.t.Helper()
	ctx := context.Background()
	for _, v := range []string{"dev", "prod"} {
		got, err := s.release("op://"+v+"/Stripe/credential", func(id string) error {
			return s.broker.Approve(ctx, s.who, id, broker.Answer{Source: "file", Secret: []byte(presence)})
		})
		if err != nil || got != canary {
			s.t.Errorf("%s: %q, %v", v, got, err)
		}
	}
	if v, err := s.acc.Verify(ctx); err != nil || len(v.Problems) > 0 {
		s.t.Errorf("%+v, %v", v, err)
	}
	var out bytes.Buffer
	if err := s.acc.Export(ctx, func(b []byte) error { _, err := out.Write(append(b, '\n')); return err }); err != nil {
		s.t.Fatal(err)
	}
	rep, err := proof.Verify(&out, proof.Options{})
	if err != nil || rep.Device != s.dev.ID() {
		s.t.Errorf("offline: %+v, %v", rep, err)
	}
}

// A ledger goes to another device: the passphrases stay, the device before stops,
// and the whole of it verifies there.
func TestMoveToDevice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b, c := newSite(t), newSite(t), newSite(t)
	a.found()
	plain := a.backup()
	to := b.acc.Installation()
	if err := a.acc.Move(ctx, a.who, broker.Ask{}, "file", to, []byte(unlockPass)); !fault.Is(err, fault.Passphrase) {
		t.Fatalf("the wrong passphrase: %v", err)
	}
	if err := a.acc.Move(ctx, a.who, broker.Ask{}, "file", a.acc.Installation(), []byte(presencePass)); !fault.Is(err, fault.Usage) {
		t.Fatalf("to itself: %v", err)
	}
	if err := a.acc.Move(ctx, a.who, broker.Ask{}, "file", canon.Installation{V: 1, ID: to.ID}, []byte(presencePass)); !fault.Is(err, fault.Usage) {
		t.Fatalf("to half a device: %v", err)
	}
	if a.acc.State() != "unlocked" {
		t.Fatalf("after refusals: %s", a.acc.State())
	}
	if err := a.acc.Move(ctx, a.who, broker.Ask{}, "file", to, []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and after a restart too
		if a.acc.State() != "held" {
			t.Fatalf("after the move: %s", a.acc.State())
		}
		if _, err := a.acc.Restore(ctx, a.who, broker.Ask{}, "file", []byte(presencePass)); !fault.Is(err, fault.Conflict) {
			t.Errorf("restore after the move: %v", err)
		}
		if _, err := a.acc.PutBack(ctx, a.who, broker.Ask{}, "file", bytes.NewReader(plain), []byte(presencePass)); !fault.Is(err, fault.Conflict) {
			t.Errorf("restore --from after the move: %v", err)
		}
		a.restart(nil)
	}
	moved := a.backup()
	if _, err := b.accept(plain); !fault.Is(err, fault.Usage) {
		t.Errorf("a plain backup: %v", err)
	}
	if _, err := c.accept(moved); !fault.Is(err, fault.Denied) {
		t.Errorf("another device: %v", err)
	}
	if _, err := b.acc.Accept(ctx, identity.Caller{}, "file", bytes.NewReader(moved)); !fault.Is(err, fault.Denied) {
		t.Errorf("nobody: %v", err)
	}
	swap, err := b.accept(moved)
	if err != nil {
		t.Fatal(err)
	}
	_ = swap // the daemon dies before it swaps
	b.restart(nil)
	if b.acc.State() != "empty" {
		t.Fatalf("nothing was swapped: %s", b.acc.State())
	}
	if swap, err = b.accept(a.backup()); err != nil { // the package as often as it takes
		t.Fatal(err)
	}
	b.restart(swap)
	if err := b.open(presencePass); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the wrong passphrase: %v", err)
	}
	if err := b.open(unlockPass); err != nil || b.acc.State() != "unlocked" {
		t.Fatalf("%v, %s", err, b.acc.State())
	}
	b.works(presencePass)
	if _, err := b.accept(moved); !fault.Is(err, fault.Exists) {
		t.Errorf("once more: %v", err)
	}
	b.restart(nil) // the share that opened is the one that stays
	if err := b.open(unlockPass); err != nil {
		t.Fatal(err)
	}
	if got := b.backup(); len(got) == 0 {
		t.Error("no backup")
	}
	// And on to a third one.
	if err := b.acc.Move(ctx, b.who, broker.Ask{}, "file", c.acc.Installation(), []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	if swap, err = c.accept(b.backup()); err != nil {
		t.Fatal(err)
	}
	c.restart(swap)
	if err := c.open(unlockPass); err != nil {
		t.Fatal(err)
	}
	c.works(presencePass)
}

// A move that is taken back is on record, and the device goes on.
func TestStay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b := newSite(t), newSite(t)
	a.found()
	if err := a.acc.Stay(ctx, a.who, broker.Ask{}, "file", []byte(presencePass)); !fault.Is(err, fault.Usage) {
		t.Errorf("without a move: %v", err)
	}
	if err := a.acc.Move(ctx, a.who, broker.Ask{}, "file", b.acc.Installation(), []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	early := a.backup()
	if err := a.acc.Stay(ctx, a.who, broker.Ask{}, "file", []byte(unlockPass)); !fault.Is(err, fault.Passphrase) || a.acc.State() != "held" {
		t.Errorf("the wrong passphrase: %v, %s", err, a.acc.State())
	}
	if err := a.acc.Stay(ctx, a.who, broker.Ask{}, "file", []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	a.restart(nil)
	if err := a.open(unlockPass); err != nil {
		t.Fatal(err)
	}
	a.works(presencePass)
	// What left before is still good there: nobody can call it back.
	if _, err := b.accept(early); err != nil {
		t.Error(err)
	}
}

// A departure that cannot be recorded did not happen.
func TestMoveUnrecorded(t *testing.T) {
	t.Parallel()
	a, b := newSite(t), newSite(t)
	a.found()
	block := filepath.Join(a.dir, "device", "moved")
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := a.acc.Move(context.Background(), a.who, broker.Ask{}, "file", b.acc.Installation(), []byte(presencePass)); err == nil {
		t.Fatal("it moved")
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	if a.acc.State() != "unlocked" {
		t.Errorf("the state is %s", a.acc.State())
	}
	a.works(presencePass)
}

// Nothing but what the root key signed, for this device and this very database,
// is accepted; a refusal leaves the home empty.
func TestAcceptForged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b, x := newSite(t), newSite(t), newSite(t)
	a.found()
	x.found()
	if err := a.acc.Move(ctx, a.who, broker.Ask{}, "file", b.acc.Installation(), []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	if err := x.acc.Move(ctx, x.who, broker.Ask{}, "file", b.acc.Installation(), []byte(presencePass)); err != nil {
		t.Fatal(err)
	}
	good, other := a.backup(), x.backup()
	for name, f := range map[string]struct {
		change func(m *canon.Move)
		kind   fault.Kind
	}{
		"another signature":  {func(m *canon.Move) { m.Sig[3] ^= 1 }, fault.Tampered},
		"no signature":       {func(m *canon.Move) { m.Sig = canon.Bytes{} }, fault.Tampered},
		"another share":      {func(m *canon.Move) { m.Share[1150] ^= 1 }, fault.Tampered},
		"another statement":  {func(m *canon.Move) { m.Body[len(m.Body)-20] ^= 1 }, fault.Tampered},
		"another account's":  {func(m *canon.Move) { *m = moveIn(t, other) }, fault.Tampered},
		"not this device":    {func(m *canon.Move) { m.To = a.acc.Installation() }, fault.Denied},
		"a statement of old": {func(m *canon.Move) { m.Body = []byte("{}") }, fault.Tampered},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := b.accept(changed(t, good, f.change)); !fault.Is(err, f.kind) {
				t.Errorf("%v, want %s", err, f.kind)
			}
			if b.acc.State() != "empty" {
				t.Errorf("the state is %s", b.acc.State())
			}
		})
	}
	swap, err := b.accept(good)
	if err != nil {
		t.Fatal(err)
	}
	b.restart(swap)
	if err := b.open(unlockPass); err != nil {
		t.Error(err)
	}
}

// moveIn returns the move that a backup carries.
func moveIn(t *testing.T, b []byte) (m canon.Move) {
	t.Helper()
	_, err := archive.Read(bytes.NewReader(b), func(p archive.Part, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err == nil && p.Name == archive.Move {
			err = canon.Decode(text, &m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// changed writes a backup anew with another move, digests and all.
func changed(t *testing.T, b []byte, change func(*canon.Move)) []byte {
	t.Helper()
	parts := map[string][]byte{}
	m, err := archive.Read(bytes.NewReader(b), func(p archive.Part, r io.Reader) (err error) {
		parts[p.Name], err = io.ReadAll(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	move := moveIn(t, b)
	change(&move)
	parts[archive.Move] = canon.Encode(move)
	last := &m.Parts[len(m.Parts)-1]
	if *last, err = archive.Sum(archive.Move, bytes.NewReader(parts[archive.Move])); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = archive.Write(&out, m, func(name string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(parts[name])), nil })
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The lost computer: a backup and the recovery code make a new one the home of it
// all, with new passphrases and a new code; what was before opens nothing there.
func TestRecoverFrom(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const unlock, presence = "seven new words to unlock it with", "seven new words to say yes with"
	a, b := newSite(t), newSite(t)
	a.found()
	saved := a.backup()
	try := func(s *site, who identity.Caller, from, code []byte) (account.Replacement, error) {
		return s.acc.RecoverFrom(ctx, who, "file", bytes.NewReader(from), code, []byte(unlock), []byte(presence))
	}
	wrong := bytes.Clone(a.code)
	wrong[0] ^= 1
	if _, err := try(b, b.who, saved, wrong); !fault.Is(err, fault.Passphrase) {
		t.Errorf("a wrong code: %v", err)
	}
	if _, err := try(b, identity.Caller{}, saved, a.code); !fault.Is(err, fault.Denied) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := try(a, a.who, saved, a.code); !fault.Is(err, fault.Usage) {
		t.Errorf("on the device itself: %v", err)
	}
	if b.acc.State() != "empty" || a.acc.State() != "unlocked" {
		t.Fatalf("after refusals: %s, %s", b.acc.State(), a.acc.State())
	}
	r, err := try(b, b.who, saved, a.code)
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	if err := r.Code(func(b []byte) error { code = bytes.Clone(b); return nil }); err != nil || bytes.Equal(code, a.code) {
		t.Fatalf("no new code: %v", err)
	}
	if !strings.Contains(r.To, b.dev.ID()) || !strings.Contains(r.From, a.dev.ID()) {
		t.Errorf("%+v", r.Restored)
	}
	b.restart(r.Swap)
	if err := b.open(unlockPass); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the passphrase of before: %v", err)
	}
	if err := b.open(unlock); err != nil {
		t.Fatal(err)
	}
	b.works(presence)
	if _, err := b.release("op://prod/Stripe/credential", func(id string) error {
		return b.broker.Approve(ctx, b.who, id, broker.Answer{Source: "file", Secret: []byte(presencePass)})
	}); err == nil {
		t.Error("the presence passphrase of before approves")
	}
	if _, err := b.acc.Recover(ctx, b.who, "file", a.code, []byte("words of yet another kind here"), []byte("and others of a further kind")); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the code of before: %v", err)
	}
	// Its own backup is a backup like any other.
	again := newSite(t)
	next := b.backup()
	r, err = try(again, again.who, next, code)
	if err != nil {
		t.Fatal(err)
	}
	again.restart(r.Swap)
	if err := again.open(unlock); err != nil {
		t.Fatal(err)
	}
	again.works(presence)
}

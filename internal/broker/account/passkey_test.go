//go:build unix

package account_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/proof"
	"github.com/thumbturn/thumbturn/ref"
)

// page is where the passkeys of these tests belong. Nobody listens there.
const page = "http://vault-0123456789abcdefghjkmnpqrs.localhost:20001"

const (
	prod = "op://prod/Stripe/credential"
	dev  = "op://dev/Stripe/credential"
)

// key makes a passkey for the home's page.
func (h *home) key() *approvetest.Passkey {
	h.acc.Page = func() (string, error) { return page, nil }
	return approvetest.New(h.t, page)
}

// touches are what the page brings of a ceremony.
func (h *home) touches(k *approvetest.Passkey, c approve.Ceremony, but ...func(*approvetest.Said)) []passkey.Touched {
	h.t.Helper()
	var out []passkey.Touched
	for i, batch := range c.Plan {
		x := passkey.Touched{Assertion: k.Assert(c.Challenge, but...)}
		if !k.SignsOnly {
			x.Sealed = h.sealed(c, i, k.PRF(h.acc.Salts(batch)...))
		}
		out = append(out, x)
	}
	return out
}

func (h *home) sealed(c approve.Ceremony, batch int, text []byte) []byte {
	return approvetest.Seal(h.t, h.acc.PageKey(), c.Challenge, batch, text)
}

// answer approves requests with a passkey, and says how.
func (h *home) answer(k *approvetest.Passkey, l approve.Lease, ids ...string) (string, error) {
	h.t.Helper()
	c, err := h.acc.Question(ids, l)
	if err != nil {
		return "", err
	}
	how, _, err := h.acc.Finish(context.Background(), c.ID, h.touches(k, c))
	return how, err
}

// touch is a person who approves with a passkey.
func (h *home) touch(k *approvetest.Passkey) func(string) error {
	return func(id string) error { _, err := h.answer(k, approve.Lease{}, id); return err }
}

// by asks a person who approves with a passkey.
func (h *home) by(k *approvetest.Passkey) broker.Ask { return h.asked(nothing, h.touch(k)) }

// enrol adds a passkey by the passphrase, or by another passkey's touch.
func (h *home) enrol(k *approvetest.Passkey, name string, in passkey.Adding, by broker.Ask) (passkey.Enrolled, error) {
	h.t.Helper()
	ctx := context.Background()
	in.Name, in.Source = name, "file"
	id, err := h.acc.AddPasskey(ctx, h.who, by, in)
	if err != nil {
		return passkey.Enrolled{}, err
	}
	r, err := h.acc.Registration(id)
	if err != nil {
		return passkey.Enrolled{}, err
	}
	var m approve.Made
	m.Attestation, m.ClientData = k.Create(r.Challenge)
	c, err := h.acc.Made(id, m)
	if err != nil {
		return passkey.Enrolled{}, err
	}
	_, e, err := h.acc.Finish(ctx, c.ID, h.touches(k, c))
	if err != nil {
		return e, err
	}
	if waited, err := h.acc.Enrolled(ctx, id); err == nil || waited.ID != "" { // whoever comes late is told that it is over
		h.t.Errorf("an enrolment that ended: %+v, %v", waited, err)
	}
	return e, nil
}

func typed() passkey.Adding { return passkey.Adding{Presence: []byte(presencePass)} }

// must is enrol that has to work.
func (h *home) must(k *approvetest.Passkey, name string, in passkey.Adding, by broker.Ask) passkey.Enrolled {
	h.t.Helper()
	e, err := h.enrol(k, name, in, by)
	if err != nil {
		h.t.Fatalf("enrol %s: %v", name, err)
	}
	return e
}

// newKeyed is a home with two passkeys and no presence passphrase.
func newKeyed(t *testing.T) (h *home, k, spare *approvetest.Passkey) {
	t.Helper()
	return keyed(newHome(t))
}

func keyed(of *home) (h *home, k, spare *approvetest.Passkey) {
	h = of
	h.t.Helper()
	k, spare = h.key(), h.key()
	if e := h.must(k, "laptop", typed(), broker.Ask{}); e.PassphraseEnded {
		h.t.Fatal("the passphrase ended with the first")
	}
	if e := h.must(spare, "spare", passkey.Adding{}, h.by(k)); !e.PassphraseEnded {
		h.t.Fatal("the passphrase goes on with two")
	}
	return h, k, spare
}

// want asks for one value in a way.
func (h *home) want(name string, ask broker.Ask) (string, error) {
	h.t.Helper()
	r, err := ref.Parse(name)
	if err != nil {
		h.t.Fatal(err)
	}
	client, server := h.pair()
	to := handoff.To(server, api.Program{Path: "/usr/bin/true", Argv: []string{"true"}}, nil, []string{"KEY"})
	done := make(chan string, 1)
	go func() {
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		if hd, err := api.ReadHeader(client); err == nil && hd.Values == 1 {
			b, _ := api.ReadValue(client)
			done <- string(b)
			return
		}
		done <- ""
	}()
	_, err = h.broker.Release(context.Background(), h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, to)
	_ = server.CloseWrite()
	return <-done, err
}

// park leaves a request behind.
func (h *home) park(name string) string {
	h.t.Helper()
	before := h.broker.Requests()
	if _, err := h.want(name, broker.Ask{NoWait: true}); !fault.Is(err, fault.Pending) {
		h.t.Fatalf("parked: %v", err)
	}
	for _, x := range h.broker.Requests() {
		if !slices.ContainsFunc(before, func(y approve.Ticket) bool { return y.ID == x.ID }) {
			return x.ID
		}
	}
	h.t.Fatal("nothing was parked")
	return ""
}

// collect comes back for a request.
func (h *home) collect(name, id string) (string, error) {
	h.t.Helper()
	return h.want(name, broker.Ask{NoWait: true, Request: id})
}

func (h *home) gets(name string, answer func(string) error) {
	h.t.Helper()
	if got, err := h.release(name, answer); got != canary || err != nil {
		h.t.Errorf("%s: %q, %v", name, got, err)
	}
}

// proofs are the gestures that the ledger tells of since a place.
func (h *home) proofs(from int64) (out []approve.Evidence) {
	h.t.Helper()
	h.events()
	err := h.acc.Events(context.Background(), api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil || ev.Type != canon.EventDecision || ev.Proof == nil {
			return err
		}
		var p approve.Evidence
		err := canon.Decode(ev.Proof, &p)
		out = append(out, p)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// The presence passphrase ends with the first passkey where the recovery code is at
// hand, and with the second one where it is not; one that signs only ends nothing.
func TestEnrol(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("with the code", func(t *testing.T) {
		s := newSite(t)
		s.found()
		k := s.key()
		in := typed()
		in.Code = []byte("0000-0000-0000-0000-0000-0000-0000-0000")
		if _, err := s.enrol(k, "laptop", in, broker.Ask{}); err == nil {
			t.Error("enrolled with a wrong code")
		}
		in.Code = s.code
		if e := s.must(k, "laptop", in, broker.Ask{}); !e.PassphraseEnded || !e.PRF || e.Synced {
			t.Errorf("%+v", e)
		}
		if err := s.broker.Approve(ctx, s.who, s.park(prod), broker.Answer{Source: "file", Secret: []byte(presencePass)}); !fault.Is(err, fault.Denied) {
			t.Errorf("the passphrase after its end: %v", err)
		}
		s.gets(prod, s.touch(k))
		s.gets(dev, s.touch(k))
		s.verifies(2)

		// Only the recovery code is left of what was: it brings passphrases and no passkey.
		s.restart(nil)
		code := s.code
		if _, err := s.acc.Recover(ctx, s.who, "file", code, []byte("another unlock passphrase"), []byte("another presence passphrase")); err != nil && !fault.Is(err, fault.Denied) {
			t.Fatal(err)
		}
		if l := s.acc.Passkeys(); len(l) != 0 {
			t.Errorf("recovered, with %v", l)
		}
		if _, err := s.answer(k, approve.Lease{}, s.park(prod)); !fault.Is(err, fault.NotFound) {
			t.Errorf("a passkey of before: %v", err)
		}
		s.works("another presence passphrase")
	})
	t.Run("with a second", func(t *testing.T) {
		h := newHome(t)
		signs, k, second := h.key(), h.key(), h.key()
		signs.SignsOnly, k.Flags = true, k.Flags|approvetest.Synced
		if e := h.must(signs, "badge", typed(), broker.Ask{}); e.PassphraseEnded || e.PRF {
			t.Errorf("%+v", e)
		}
		if e := h.must(k, "laptop", typed(), broker.Ask{}); e.PassphraseEnded || !e.PRF || !e.Synced {
			t.Errorf("%+v", e)
		}
		h.gets(prod, h.yes)
		if e := h.must(second, "spare", typed(), broker.Ask{}); !e.PassphraseEnded {
			t.Errorf("%+v", e)
		}
		for _, x := range []*approvetest.Passkey{k, second} {
			h.gets(prod, h.touch(x))
		}
		var opens []string
		for _, p := range h.acc.Passkeys() {
			opens = append(opens, p.Opens...)
		}
		if diff := cmp.Diff([]string{"session", "account", "prod", "session", "account", "prod"}, opens); diff != "" {
			t.Error(diff)
		}
		for name, refuse := range map[string]func() error{
			"a name twice":         func() error { _, err := h.enrol(h.key(), "LAPTOP", passkey.Adding{}, h.by(k)); return err },
			"no name":              func() error { _, err := h.enrol(h.key(), " ", passkey.Adding{}, h.by(k)); return err },
			"control in a name":    func() error { _, err := h.enrol(h.key(), "a\x1b[2J", passkey.Adding{}, h.by(k)); return err },
			"a passkey twice":      func() error { _, err := h.enrol(k, "again", passkey.Adding{}, h.by(k)); return err },
			"the ended passphrase": func() error { _, err := h.enrol(h.key(), "x", typed(), broker.Ask{}); return err },
			"by one that signs only": func() error {
				_, err := h.acc.AddPasskey(ctx, h.who, h.asked(nothing, func(id string) error {
					if how, err := h.answer(signs, approve.Lease{}, id); err != nil || how != "signed" {
						t.Errorf("%s, %v", how, err)
					}
					return h.broker.Deny(ctx, h.who, id)
				}), passkey.Adding{Name: "x", Source: "file"})
				h.clock.move(10*time.Second, 10*time.Second)
				return err
			},
		} {
			if err := refuse(); err == nil {
				t.Errorf("%s: enrolled", name)
			}
		}
		if n := len(h.acc.Passkeys()); n != 3 {
			t.Errorf("%d passkeys", n)
		}
	})
}

// An enrolment counts once the passkey has opened its slots with what it gave a
// second time; whatever goes wrong leaves no passkey behind.
func TestEnrolRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ctx := context.Background()
	begin := func(k *approvetest.Passkey) (string, passkey.Registration) {
		t.Helper()
		id, err := h.acc.AddPasskey(ctx, h.who, broker.Ask{}, passkey.Adding{Name: "laptop", Source: "file", Presence: []byte(presencePass)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.acc.Registration(id)
		if err != nil {
			t.Fatal(err)
		}
		return id, r
	}
	k := h.key()
	id, r := begin(k)
	made := func(id string, c []byte, but ...func(*approvetest.Said)) (approve.Ceremony, error) {
		var m approve.Made
		m.Attestation, m.ClientData = k.Create(c, but...)
		return h.acc.Made(id, m)
	}
	for name, but := range map[string]func(*approvetest.Said){
		"origin":     func(s *approvetest.Said) { s.Origin = "http://localhost:20001" },
		"port":       func(s *approvetest.Said) { s.Origin = page[:len(page)-1] + "2" },
		"rp id":      func(s *approvetest.Said) { s.RPID = "localhost" },
		"type":       func(s *approvetest.Said) { s.Type = "webauthn.get" },
		"challenge":  func(s *approvetest.Said) { s.Challenge = make([]byte, 32) },
		"unverified": func(s *approvetest.Said) { s.Flags &^= approvetest.Verified },
		"absent":     func(s *approvetest.Said) { s.Flags &^= approvetest.Present },
		"framed":     func(s *approvetest.Said) { s.More = `,"crossOrigin":true` },
	} {
		if _, err := made(id, r.Challenge, but); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := made("another", r.Challenge); !fault.Is(err, fault.NotFound) {
		t.Errorf("another enrolment: %v", err)
	}
	for name, spoil := range map[string]func(approve.Ceremony, []passkey.Touched) []passkey.Touched{
		"another passkey signs": func(c approve.Ceremony, x []passkey.Touched) []passkey.Touched { return h.touches(h.key(), c) },
		"another key signs":     func(c approve.Ceremony, x []passkey.Touched) []passkey.Touched { return h.touches(k.Impostor(), c) },
		"a touch is missing":    func(c approve.Ceremony, x []passkey.Touched) []passkey.Touched { return x[1:] },
		"another output the second time": func(c approve.Ceremony, x []passkey.Touched) []passkey.Touched {
			last := len(x) - 1
			x[last].Sealed = h.sealed(c, last, make([]byte, 32*len(c.Plan[last])))
			return x
		},
		"an output of another batch": func(c approve.Ceremony, x []passkey.Touched) []passkey.Touched { x[0].Sealed = x[1].Sealed; return x },
	} {
		id, r := begin(k)
		c, err := made(id, r.Challenge)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := made(id, r.Challenge); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: made twice: %v", name, err)
		}
		if _, _, err := h.acc.Finish(ctx, c.ID, spoil(c, h.touches(k, c))); err == nil {
			t.Errorf("%s: enrolled", name)
		}
		if _, _, err := h.acc.Finish(ctx, c.ID, h.touches(k, c)); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: and once more: %v", name, err)
		}
	}
	finish := func(meanwhile func()) error {
		id, r := begin(k)
		c, err := made(id, r.Challenge)
		if err != nil {
			t.Fatal(err)
		}
		meanwhile()
		_, _, err = h.acc.Finish(ctx, c.ID, h.touches(k, c))
		return err
	}
	for name, meanwhile := range map[string]func(){
		"another enrolment begins": func() { begin(k) },
		"ten minutes pass":         func() { h.clock.move(0, 10*time.Minute) },
		"a passphrase is changed": func() {
			if err := h.acc.Passphrase(ctx, h.who, broker.Ask{}, "file", "unlock", []byte(presencePass), []byte(unlockPass), []byte("for a while another")); err != nil {
				t.Error(err)
			}
			if err := h.acc.Passphrase(ctx, h.who, broker.Ask{}, "file", "unlock", []byte(presencePass), []byte("for a while another"), []byte(unlockPass)); err != nil {
				t.Error(err)
			}
		},
		"it is locked and opened": func() {
			if err := h.acc.Lock(ctx, "test"); err != nil {
				t.Error(err)
			}
			h.opened()
		},
	} {
		if err := finish(meanwhile); err == nil {
			t.Errorf("%s: enrolled all the same", name)
		}
	}
	if l := h.acc.Passkeys(); len(l) != 0 {
		t.Errorf("there are %v", l)
	}
	if says := h.ledgerSays(0); says["write/failed"] < 5 {
		t.Errorf("the ledger says %v", says)
	}
	h.gets(prod, h.yes) // and everything is as before
	if v, err := h.acc.Verify(ctx); err != nil || len(v.Problems) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// One signature approves several requests of one session, and its evidence stands in
// the ledger for each.
func TestApproveByPasskey(t *testing.T) {
	t.Parallel()
	h, k, spare := newKeyed(t)
	h.gets(prod, h.touch(k))
	h.gets(dev, h.touch(spare))
	from := h.events()
	ids := []string{h.park(prod), h.park(dev), h.park(prod)}
	if how, err := h.answer(k, approve.Lease{}, ids...); err != nil || how != "approved" {
		t.Fatalf("%s, %v", how, err)
	}
	for i, name := range []string{prod, dev, prod} {
		if got, err := h.collect(name, ids[i]); got != canary || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := h.collect(name, ids[i]); got != "" || err == nil {
			t.Errorf("%s twice: %q, %v", name, got, err)
		}
	}
	ps := h.proofs(from)
	if len(ps) != 3 {
		t.Fatalf("%d proofs", len(ps))
	}
	for _, p := range ps {
		if p.Tier != approve.TierPasskey || p.Source != "page" || p.Assertion == nil {
			t.Errorf("%+v", p)
		}
		if diff := cmp.Diff(ps[0].Assertion, p.Assertion); diff != "" {
			t.Error(diff)
		}
	}
	h.verifies(6) // two for the values, three times one and the same, one for the second passkey
}

// A vault that a passkey made is reached by all; one that is removed opens nothing
// any more, and the last way stays.
func TestPasskeysAndVaults(t *testing.T) {
	t.Parallel()
	h, k, spare := keyed(newPersonsHome(t))
	ctx := context.Background()
	if _, err := h.broker.CreateVault(ctx, h.who, h.by(k), "team", canon.TierPresence, ""); err != nil {
		t.Fatal(err)
	}
	_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: vault.Create, Vault: "team", Item: "Stripe", Changes: []vault.Change{{
		Field: vault.Field{Label: "credential", Type: "CONCEALED", Concealed: true}, Value: []byte(canary)}}})
	if err != nil {
		t.Fatal(err)
	}
	third := h.key()
	h.must(third, "third", passkey.Adding{}, h.by(spare))
	for _, x := range []*approvetest.Passkey{k, spare, third} {
		h.gets("op://team/Stripe/credential", h.touch(x))
	}
	// One that is removed opens nothing, and the others everything.
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(spare), "file", "LAPTOP", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.answer(k, approve.Lease{}, h.park(prod)); !fault.Is(err, fault.Denied) {
		t.Errorf("a removed passkey: %v", err)
	}
	for _, x := range []*approvetest.Passkey{spare, third} {
		h.gets("op://team/Stripe/credential", h.touch(x))
		h.gets(prod, h.touch(x))
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(third), "file", "spare", nil); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(third), "file", "third", nil); !fault.Is(err, fault.Denied) {
		t.Errorf("the last way was removed: %v", err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, h.by(third), "file", "nobody", nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody: %v", err)
	}

	// The passphrase comes back, unless it is the unlock passphrase; the passkey stays.
	change := func(next string) error {
		return h.acc.Passphrase(ctx, h.who, h.by(third), "file", "presence", nil, nil, []byte(next))
	}
	if err := change(unlockPass); !fault.Is(err, fault.Usage) {
		t.Errorf("the unlock passphrase as presence passphrase: %v", err)
	}
	if err := change(presencePass); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{prod, "op://team/Stripe/credential"} {
		h.gets(name, h.yes)
		h.gets(name, h.touch(third))
	}
	err = h.acc.Passphrase(ctx, h.who, h.by(third), "file", "unlock", nil, []byte(unlockPass), []byte(presencePass))
	if !fault.Is(err, fault.Usage) {
		t.Errorf("one passphrase for both: %v", err)
	}
	if err := h.acc.RemovePasskey(ctx, h.who, broker.Ask{}, "file", "third", []byte(presencePass)); err != nil {
		t.Errorf("the last passkey, beside a passphrase: %v", err)
	}
	for _, name := range []string{prod, "op://team/Stripe/credential"} {
		h.gets(name, h.yes)
	}
	h.verifies(-1)
}

// verifies checks the ledger here and offline, and how many signatures it has.
func (h *home) verifies(signatures int64) {
	h.t.Helper()
	ctx := context.Background()
	if v, err := h.acc.Verify(ctx); err != nil || len(v.Problems) > 0 {
		h.t.Errorf("%+v, %v", v, err)
	}
	if n, err := h.offline(); err != nil || signatures >= 0 && n != signatures {
		h.t.Errorf("offline: %d signatures, %v", n, err)
	}
}

// offline verifies an export of the ledger with every approval in it, and counts the
// signatures of passkeys.
func (h *home) offline() (int64, error) {
	var out bytes.Buffer
	if err := h.acc.Export(context.Background(), func(b []byte) error { _, err := out.Write(append(b, '\n')); return err }); err != nil {
		return 0, err
	}
	r, err := proof.Verify(&out, proof.Options{Approvals: true})
	if err != nil {
		return 0, err
	}
	return r.Approvals.Assertions, nil
}

package web_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/fault"
)

const host = "vault-k3f92xq7.localhost"

// fake is a backend which holds no secrets, but checks signatures and opens sealed
// messages as a real one must.
type fake struct {
	t      *testing.T
	origin string
	rpID   string
	device string
	key    hpke.PrivateKey

	mu         sync.Mutex
	state      web.State
	changed    chan struct{}
	passkeys   map[string]*passkey
	ceremonies map[string]*pending
	twist      func(*web.Ceremony) // of a backend that lies
	batches    int                 // how many batches of two salts an answer needs
	refusals   []web.Refusal
	unlocked   []string // Want.Ticket of what was unlocked
	faults     []error  // what Finish refused
	states     int      // how often State was asked for
	begun      int      // ceremonies
	answers    []canon.Answer
}

type passkey struct {
	public *ecdsa.PublicKey
	made   []byte // PRF outputs when it was made, if any
	used   []byte // the same, when it was used
}

type pending struct {
	web.Ceremony
	kind    string
	answer  canon.Answer
	ids     []string
	ticket  string
	outputs [][]byte // by batch
}

// waiting counts what waits, what was answered, ceremonies, and signatures that
// were refused.
func (f *fake) waiting() (waits, answered, begun, refused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.state.Requests), len(f.state.History), f.begun, len(f.faults)
}

func newFake(t *testing.T) *fake {
	t.Helper()
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hpke.NewDHKEMPrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return &fake{t: t, device: newID(t), key: key, rpID: host, changed: make(chan struct{}), passkeys: map[string]*passkey{},
		ceremonies: map[string]*pending{}, batches: 1, state: web.State{Version: 1, State: web.Unlocked, Mode: "user"}}
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := canon.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func random() (h canon.Hash) {
	_, _ = rand.Read(h[:])
	return h
}

// salts are constant: one for each batch and place.
func salts(batches int) (out [][][]byte) {
	for b := range batches {
		one, two := sha256.Sum256([]byte{byte(b), 1}), sha256.Sum256([]byte{byte(b), 2})
		out = append(out, [][]byte{one[:], two[:]})
	}
	return out
}

// change edits the state and wakes who waits.
func (f *fake) change(edit func(*web.State)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edit(edit)
}

func (f *fake) edit(edit func(*web.State)) {
	edit(&f.state)
	f.state.Version++
	close(f.changed)
	f.changed = make(chan struct{})
}

// park puts a request on the desk.
func (f *fake) park(r canon.Request, lease time.Duration, why string) web.Request {
	raw := canon.Encode(r)
	q := web.Request{ID: r.ID, Raw: raw, State: "pending", Code: canon.ShortCode(canon.RequestDigest(raw)), MaxLease: lease.Milliseconds(), Why: why, Unlock: r.Unlock}
	f.change(func(s *web.State) { s.Requests = append(slices.Clone(s.Requests), q) })
	return q
}

// request is an ordinary wish of an agent.
func (f *fake) request(edit func(*canon.Request)) canon.Request {
	nonce := random()
	r := canon.Request{
		V: 1, ID: newID(f.t), Nonce: nonce[:], Audience: f.device, Account: newID(f.t), Action: "hold",
		Caller:  canon.Asker{Kind: "agent", Label: "claude", Root: "4211.883120.b7", UID: 1000},
		Purpose: canon.Fact{Value: "deploy the release candidate to staging"},
		Subjects: []canon.Subject{{Ref: "op://prod/stripe/secret-key", Vault: newID(f.t), Item: newID(f.t), Field: newID(f.t), Revision: 7, Record: canon.Hash{7}, Writer: "person", Tier: canon.TierPresence,
			Addresses: "https://dashboard.stripe.com https://api.stripe.com"}},
		Place: canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: "/usr/bin/npm", Shown: []string{"npm", "run", "deploy", "--", "--env", "staging"},
			Dir: "/home/ada/src/shop", Names: []string{"STRIPE_SECRET_KEY"}},
		Uses: 1, Issued: time.Now().UnixMilli(), Expires: time.Now().Add(5 * time.Minute).UnixMilli(),
	}
	if edit != nil {
		edit(&r)
	}
	return r
}

func (f *fake) State(context.Context) web.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.states++
	return f.state
}

func (f *fake) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.states
}

func (f *fake) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fake) Begin(_ context.Context, want web.Want) (web.Ceremony, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	p := &pending{kind: want.Kind, ids: want.Requests, ticket: want.Ticket}
	p.Ceremony = f.ceremony(f.batches)
	if want.Kind == web.WantAnswer {
		p.answer = canon.Answer{V: 1, Audience: f.device}
		for _, id := range want.Requests {
			i := slices.IndexFunc(f.state.Requests, func(q web.Request) bool { return q.ID == id })
			if i < 0 {
				return web.Ceremony{}, fault.New(fault.NotFound, "begin", id, "no such request")
			}
			p.answer.Requests = append(p.answer.Requests, canon.RequestDigest(f.state.Requests[i].Raw))
		}
		slices.SortFunc(p.answer.Requests, func(a, b canon.Hash) int { return bytes.Compare(a[:], b[:]) })
		if l := want.Lease; l != nil {
			p.answer.Lease = &canon.Terms{Until: time.Now().UnixMilli() + l.For, Uses: l.Uses}
		}
		if err := p.answer.Check(); err != nil {
			return web.Ceremony{}, fault.Wrap(fault.Usage, "begin", "", err)
		}
		p.Raw = canon.Encode(p.answer)
		p.Challenge = canon.AnswerDigest(p.Raw)
	}
	out := p.Ceremony
	if f.twist != nil {
		f.twist(&out)
	}
	f.ceremonies[p.ID] = p
	return out, nil
}

func (f *fake) ceremony(batches int) web.Ceremony {
	c := web.Ceremony{ID: newID(f.t), Challenge: random(), RPID: f.rpID, Salts: salts(batches), Key: f.key.PublicKey().Bytes()}
	for id := range f.passkeys {
		c.Credentials = append(c.Credentials, []byte(id))
	}
	return c
}

func (f *fake) Register(_ context.Context, ticket string) (web.Registration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := web.Registration{Challenge: random(), RPID: f.rpID, User: []byte("0123456789abcdef"), Account: "ada", Name: "Ada's laptop", Salts: salts(1)[0], Key: f.key.PublicKey().Bytes()}
	for id := range f.passkeys {
		r.Exclude = append(r.Exclude, []byte(id))
	}
	f.ceremonies["register "+ticket] = &pending{Ceremony: web.Ceremony{Challenge: r.Challenge}}
	return r, nil
}

func (f *fake) Made(_ context.Context, ticket string, m web.Made) (web.Ceremony, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.ceremonies["register "+ticket]
	if p == nil {
		return web.Ceremony{}, fault.New(fault.NotFound, "passkey add", "", "no such enrolment")
	}
	if err := f.client(m.ClientData, "webauthn.create", p.Challenge); err != nil {
		return web.Ceremony{}, err
	}
	public, err := cosePoint(m.Attestation)
	if err != nil {
		return web.Ceremony{}, err
	}
	key := &passkey{public: public}
	if len(m.Sealed) > 0 {
		if key.made, err = f.open(m.Sealed, p.Challenge, 0, 64); err != nil {
			return web.Ceremony{}, err
		}
	}
	f.passkeys[string(m.Credential)] = key
	next := &pending{kind: "enrol"}
	next.Ceremony = f.ceremony(1)
	next.Credentials = [][]byte{m.Credential}
	f.ceremonies[next.ID] = next
	return next.Ceremony, nil
}

func (f *fake) Finish(_ context.Context, ceremony string, as []web.Assertion) (web.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.finish(ceremony, as)
	if err != nil {
		f.faults = append(f.faults, err)
		return o, fault.New(fault.Denied, "finish", "", "the signature does not hold").WithHint(err.Error())
	}
	return o, nil
}

func (f *fake) finish(ceremony string, as []web.Assertion) (web.Outcome, error) {
	p := f.ceremonies[ceremony]
	if p == nil || len(as) != max(1, len(p.Salts)) {
		return web.Outcome{}, errors.New("no such ceremony, or not all of it")
	}
	delete(f.ceremonies, ceremony)
	key := f.passkeys[string(as[0].Credential)]
	if key == nil {
		return web.Outcome{}, errors.New("unknown passkey")
	}
	for i, a := range as {
		if !bytes.Equal(a.Credential, as[0].Credential) {
			return web.Outcome{}, errors.New("two passkeys")
		}
		if err := f.client(a.ClientData, "webauthn.get", p.Challenge); err != nil {
			return web.Outcome{}, err
		}
		rp, sum := sha256.Sum256([]byte(f.rpID)), sha256.Sum256(a.ClientData)
		if len(a.AuthenticatorData) < 37 || !bytes.Equal(a.AuthenticatorData[:32], rp[:]) || a.AuthenticatorData[32]&5 != 5 {
			return web.Outcome{}, errors.New("not verified, or for another relying party")
		}
		signed := sha256.Sum256(append(slices.Clone(a.AuthenticatorData), sum[:]...))
		if !ecdsa.VerifyASN1(key.public, signed[:], a.Signature) {
			return web.Outcome{}, errors.New("bad signature")
		}
		if len(a.Sealed) > 0 { // only now
			out, err := f.open(a.Sealed, p.Challenge, i, 64)
			if err != nil {
				return web.Outcome{}, err
			}
			p.outputs = append(p.outputs, out)
		}
	}
	return f.done(p, key, as[0].AuthenticatorData[32]&8 != 0), nil
}

func (f *fake) done(p *pending, key *passkey, synced bool) web.Outcome {
	prf := len(p.outputs) > 0
	if prf {
		key.used = p.outputs[0]
	}
	switch p.kind {
	case web.WantUnlock:
		f.unlocked = append(f.unlocked, p.ticket)
		f.edit(func(s *web.State) { s.State = web.Unlocked })
		return web.Outcome{State: web.OutcomeUnlocked, PRF: prf}
	case "enrol":
		f.edit(func(s *web.State) {
			s.Passkeys = append(slices.Clone(s.Passkeys), web.Passkey{Name: "Ada's laptop", PRF: prf, Synced: synced})
		})
		return web.Outcome{State: web.OutcomeEnrolled, PRF: prf}
	}
	f.answers = append(f.answers, p.answer)
	f.edit(func(s *web.State) {
		for _, id := range p.ids {
			i := slices.IndexFunc(s.Requests, func(q web.Request) bool { return q.ID == id })
			q := s.Requests[i]
			q.State = "approved"
			s.Requests = slices.Delete(slices.Clone(s.Requests), i, i+1)
			s.History = append([]web.Request{q}, s.History...)
			if l := p.answer.Lease; l != nil {
				s.Leases = append(slices.Clone(s.Leases), web.Lease{ID: q.ID, Raw: q.Raw, Until: l.Until, Left: l.Uses})
			}
		}
	})
	if !prf {
		return web.Outcome{State: web.OutcomeSigned, Text: "Now type the presence passphrase at the terminal."}
	}
	return web.Outcome{State: web.OutcomeApproved, PRF: true}
}

func (f *fake) Refuse(_ context.Context, r web.Refusal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals = append(f.refusals, r)
	f.edit(func(s *web.State) {
		i := slices.IndexFunc(s.Requests, func(q web.Request) bool { return q.ID == r.ID })
		if i >= 0 && r.Kind == web.RefuseMute {
			s.Muted = append(slices.Clone(s.Muted), web.Mute{ID: r.ID, Raw: s.Requests[i].Raw, Until: time.Now().UnixMilli() + r.For})
		}
		root := ""
		if i >= 0 {
			root = rootOf(s.Requests[i])
		}
		s.Requests = slices.DeleteFunc(slices.Clone(s.Requests), func(q web.Request) bool {
			return q.ID == r.ID || r.Kind == web.RefuseMute && rootOf(q) == root
		})
		s.Leases = slices.DeleteFunc(slices.Clone(s.Leases), func(l web.Lease) bool { return r.Kind == web.RefuseEnd && l.ID == r.ID })
		s.Muted = slices.DeleteFunc(slices.Clone(s.Muted), func(m web.Mute) bool { return r.Kind == web.RefuseUnmute && m.ID == r.ID })
	})
	return nil
}

func rootOf(q web.Request) string {
	var r canon.Request
	_ = canon.Decode(q.Raw, &r)
	return r.Caller.Root
}

// client checks what the browser says that it signed.
func (f *fake) client(raw []byte, kind string, challenge canon.Hash) error {
	var c struct {
		Type, Challenge, Origin string
		CrossOrigin             bool
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if c.Type != kind || c.Challenge != base64.RawURLEncoding.EncodeToString(challenge[:]) || c.Origin != f.origin || c.CrossOrigin {
		return fmt.Errorf("not what was asked for: %s", raw)
	}
	return nil
}

func (f *fake) open(sealed []byte, challenge canon.Hash, batch, size int) ([]byte, error) {
	out, err := hpke.Open(f.key, hpke.HKDFSHA256(), hpke.AES256GCM(), web.PRFInfo(challenge, batch), sealed)
	if err == nil && len(out) != size {
		err = fmt.Errorf("%d bytes of PRF", len(out))
	}
	return out, err
}

// cosePoint finds the ES256 key in an attestation object. The virtual
// authenticator always writes it in this one way.
func cosePoint(attestation []byte) (*ecdsa.PublicKey, error) {
	head := []byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20}
	i := bytes.Index(attestation, head)
	if i < 0 || len(attestation) < i+len(head)+32+3+32 {
		return nil, errors.New("no ES256 key")
	}
	b := attestation[i+len(head):]
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, b[:32], b[35:67]))
}

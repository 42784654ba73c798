package approve

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

const page = "http://vault-0123456789abcdefghjkmnpqrs.localhost:20001"

func party(p *approvetest.Passkey) Party {
	return Party{Account: "account", RPID: p.RPID, Origin: page}
}

func made(p *approvetest.Passkey, challenge []byte, but ...func(*approvetest.Said)) (m Made) {
	m.Attestation, m.ClientData = p.Create(challenge, but...)
	return m
}

func TestEnrolled(t *testing.T) {
	p := approvetest.New(t, page)
	challenge := bytes.Repeat([]byte{9}, 32)
	for _, flags := range []byte{0, approvetest.Synced} {
		p.Flags |= flags
		a, err := party(p).Enrolled(challenge, made(p, challenge))
		want := canon.Authenticator{Credential: p.Credential, Public: p.Public(), RPID: p.RPID, Origin: page, Synced: flags != 0, AAGUID: make([]byte, 16)}
		if diff := cmp.Diff(want, a); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	}
	p.Flags &^= approvetest.Synced
	edit := func(change func([]byte) []byte) func() Made {
		return func() Made { m := made(p, challenge); m.Attestation = change(m.Attestation); return m }
	}
	said := func(f func(*approvetest.Said)) func() Made { return func() Made { return made(p, challenge, f) } }
	swap := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	long := approvetest.New(t, page)
	long.Credential = make([]byte, 1024)
	none := approvetest.New(t, page)
	none.Credential = nil
	for name, m := range map[string]func() Made{
		"nothing":        func() Made { return Made{} },
		"no attestation": func() Made { m := made(p, challenge); m.Attestation = nil; return m },
		"no client data": func() Made { m := made(p, challenge); m.ClientData = nil; return m },
		"too long": func() Made {
			m := made(p, challenge)
			m.ClientData = append(m.ClientData, bytes.Repeat([]byte(" "), maxAttestation)...)
			return m
		},
		"cut short":                  edit(func(b []byte) []byte { return b[:len(b)-1] }),
		"something behind":           edit(func(b []byte) []byte { return append(b, 0) }),
		"not CBOR":                   edit(func(b []byte) []byte { return []byte("hello") }),
		"a list":                     edit(func(b []byte) []byte { return []byte{0x80} }),
		"an endless map":             edit(func(b []byte) []byte { return []byte{0xbf} }),
		"a huge length":              edit(func(b []byte) []byte { return append([]byte{0xbb}, bytes.Repeat([]byte{0xff}, 8)...) }),
		"deep":                       edit(func(b []byte) []byte { return bytes.Repeat([]byte{0x81}, 10000) }),
		"attested by nobody we know": edit(swap("\x64none", "\x64nono")),
		"none with a statement":      edit(swap("attStmt\xa0", "attStmt\xa1\x61x\x01")),
		"another algorithm":          edit(swap("\x03\x26\x20", "\x03\x38\x20")),
		"an assertion":               said(func(s *approvetest.Said) { s.Type = "webauthn.get" }),
		"another origin":             said(func(s *approvetest.Said) { s.Origin = "http://localhost:20001" }),
		"another port":               said(func(s *approvetest.Said) { s.Origin = strings.Replace(page, "20001", "20002", 1) }),
		"another rp":                 said(func(s *approvetest.Said) { s.RPID = "localhost" }),
		"another challenge":          said(func(s *approvetest.Said) { s.Challenge = make([]byte, 32) }),
		"framed":                     said(func(s *approvetest.Said) { s.More = `,"crossOrigin":true` }),
		"not verified":               said(func(s *approvetest.Said) { s.Flags &^= approvetest.Verified }),
		"nobody there":               said(func(s *approvetest.Said) { s.Flags &^= approvetest.Present }),
		"no credential":              said(func(s *approvetest.Said) { s.Flags, s.Tail = approvetest.Present|approvetest.Verified, nil }),
		"id too long":                func() Made { return made(long, challenge) },
		"id empty":                   func() Made { return made(none, challenge) },
	} {
		if a, err := party(p).Enrolled(challenge, m()); !fault.Is(err, fault.Denied) || a.Credential != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

// A key that is none passes the making, and then signs nothing that counts.
func TestEnrolledWithoutAKey(t *testing.T) {
	p := approvetest.New(t, page)
	challenge := canon.Digest("test\x00", nil)
	for name, change := range map[string]func([]byte){
		"another curve": func(b []byte) { b[bytes.Index(b, []byte("\x26\x20\x01"))+2] = 2 },
		"off the curve": func(b []byte) { b[len(b)-1] ^= 1 },
	} {
		m := made(p, challenge[:])
		change(m.Attestation)
		a, err := party(p).Enrolled(challenge[:], m)
		if err != nil {
			continue // better still
		}
		if err := party(p).Check(a, challenge, p.Assert(challenge)); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzEnrolled gives attestation objects of nobody in particular: none is taken that
// the client data does not go with, and none takes the daemon down.
func FuzzEnrolled(f *testing.F) {
	p := approvetest.New(f, page)
	challenge := bytes.Repeat([]byte{9}, 32)
	m := made(p, challenge)
	for _, n := range []int{0, 1, 30, 67, len(m.Attestation) / 2, len(m.Attestation)} {
		f.Add(m.Attestation[:n], m.ClientData)
	}
	f.Add([]byte{0xbf}, m.ClientData)
	f.Add(bytes.Repeat([]byte{0x81}, 2000), m.ClientData)
	f.Add(append([]byte{0xbb}, bytes.Repeat([]byte{0xff}, 8)...), []byte(`{}`))
	f.Add(slices.Concat([]byte("\xa3\x63fmt\x66packed\x67attStmt\xa2\x63alg\x26\x63sig\x40\x68authData"), m.Attestation[30:]), m.ClientData)
	f.Fuzz(func(t *testing.T, attestation, client []byte) {
		a, err := party(p).Enrolled(challenge, Made{attestation, client})
		if err != nil {
			if !fault.Is(err, fault.Denied) || a.Credential != nil {
				t.Errorf("%v, %v", a, err)
			}
			return
		}
		if len(a.Credential) < 1 || len(a.Credential) > 1023 || len(a.Public) == 0 || a.RPID != p.RPID || a.Origin != page ||
			!bytes.Contains(client, []byte(base64.RawURLEncoding.EncodeToString(challenge))) {
			t.Errorf("%+v of %q", a, client)
		}
	})
}

func TestCheck(t *testing.T) {
	p, other := approvetest.New(t, page), approvetest.New(t, page)
	challenge := canon.Digest("test\x00", []byte("x"))
	a := canon.Authenticator{Credential: p.Credential, Public: p.Public(), RPID: p.RPID, Origin: page}
	good := p.Assert(challenge)
	if err := party(p).Check(a, challenge, good); err != nil {
		t.Fatal(err)
	}
	copied := a
	copied.Synced = true
	synced := p.Assert(challenge, func(s *approvetest.Said) { s.Flags |= approvetest.Synced })
	if err := party(p).Check(copied, challenge, synced); err != nil {
		t.Errorf("a synced one: %v", err)
	}
	said := func(f func(*approvetest.Said)) canon.Assertion { return p.Assert(challenge, f) }
	with := func(f func(*canon.Assertion)) canon.Assertion { s := good; f(&s); return s }
	for name, c := range map[string]struct {
		party Party
		a     canon.Authenticator
		s     canon.Assertion
	}{
		"nothing":               {party(p), a, canon.Assertion{}},
		"no party":              {Party{}, a, good},
		"no passkey":            {party(p), canon.Authenticator{}, good},
		"of another page":       {Party{"account", "localhost", "http://localhost:1"}, a, good},
		"enrolled elsewhere":    {party(p), canon.Authenticator{Credential: p.Credential, Public: p.Public(), RPID: p.RPID, Origin: page + "1"}, good},
		"key of another":        {party(p), canon.Authenticator{Credential: p.Credential, Public: other.Public(), RPID: p.RPID, Origin: page}, good},
		"no key":                {party(p), canon.Authenticator{Credential: p.Credential, RPID: p.RPID, Origin: page}, good},
		"garbage for a key":     {party(p), canon.Authenticator{Credential: p.Credential, Public: []byte{0xa1, 1}, RPID: p.RPID, Origin: page}, good},
		"another passkey":       {party(p), a, other.Assert(challenge)},
		"an impostor":           {party(p), a, p.Impostor().Assert(challenge)},
		"another challenge":     {party(p), a, p.Assert(canon.Hash{})},
		"an enrolment":          {party(p), a, said(func(s *approvetest.Said) { s.Type = "webauthn.create" })},
		"another origin":        {party(p), a, said(func(s *approvetest.Said) { s.Origin = "http://localhost:20001" })},
		"another rp":            {party(p), a, said(func(s *approvetest.Said) { s.RPID = "localhost" })},
		"framed":                {party(p), a, said(func(s *approvetest.Said) { s.More = `,"crossOrigin":true` })},
		"top origin":            {party(p), a, said(func(s *approvetest.Said) { s.More = `,"topOrigin":"http://evil.test"` })},
		"not verified":          {party(p), a, said(func(s *approvetest.Said) { s.Flags = approvetest.Present })},
		"nobody there":          {party(p), a, said(func(s *approvetest.Said) { s.Flags = approvetest.Verified })},
		"synced all at once":    {party(p), a, synced},
		"bytes behind":          {party(p), a, said(func(s *approvetest.Said) { s.Tail = []byte{1} })},
		"long client data":      {party(p), a, with(func(s *canon.Assertion) { s.ClientData = bytes.Repeat([]byte(" "), maxAttestation+1) })},
		"long signature":        {party(p), a, with(func(s *canon.Assertion) { s.Signature = make([]byte, maxAttestation+1) })},
		"no signature":          {party(p), a, with(func(s *canon.Assertion) { s.Signature = nil })},
		"no authenticator data": {party(p), a, with(func(s *canon.Assertion) { s.AuthenticatorData = nil })},
	} {
		if err := c.party.Check(c.a, challenge, c.s); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for at := range good.Signature { // an ECDSA signature has a twin, which no bit apart makes
		s := with(func(s *canon.Assertion) { s.Signature = bytes.Clone(s.Signature); s.Signature[at] ^= 1 << (at % 8) })
		if err := party(p).Check(a, challenge, s); err == nil {
			t.Errorf("byte %d of the signature does not count", at)
		}
	}
	for at := range good.AuthenticatorData {
		s := with(func(s *canon.Assertion) {
			s.AuthenticatorData = bytes.Clone(s.AuthenticatorData)
			s.AuthenticatorData[at] ^= 1
		})
		if err := party(p).Check(a, challenge, s); err == nil {
			t.Errorf("byte %d of the authenticator data does not count", at)
		}
	}
}

// count is a source of ids that differ.
type count struct{ n uint64 }

func (c *count) Read(b []byte) (int, error) {
	c.n++
	clear(b)
	if len(b) >= 8 {
		binary.BigEndian.PutUint64(b[len(b)-8:], c.n)
	}
	return len(b), nil
}

// A ceremony is taken once, in its time by both clocks, and too many make room from
// the first.
func TestCeremonies(t *testing.T) {
	h := &hand{wall: time.Unix(1e9, 0), boot: time.Hour}
	c := &Ceremonies{Clock: h, Rand: &count{}}
	begin := func() Ceremony {
		t.Helper()
		x, err := c.Begin(Ceremony{ID: "chosen", Raw: []byte("r")})
		if err != nil || x.ID == "chosen" || x.ID == "" {
			t.Fatalf("%+v, %v", x, err)
		}
		return x
	}
	x := begin()
	for range 2 {
		if y, err := c.Get(x.ID); err != nil || string(y.Raw) != "r" {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.Take(x.ID); err != nil {
		t.Error(err)
	}
	for name, id := range map[string]string{"taken": x.ID, "none": "", "unknown": "chosen"} {
		if _, err := c.Take(id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Get(id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]struct {
		wall, boot time.Duration
		lives      bool
	}{"just before": {ceremonyLife - 1, ceremonyLife - 1, true}, "wall clock": {ceremonyLife, 0, false}, "asleep": {0, ceremonyLife, false}, "set back": {-time.Hour, ceremonyLife, false}} {
		x := begin()
		h.move(m.wall, m.boot)
		if _, err := c.Take(x.ID); (err == nil) != m.lives {
			t.Errorf("%s: %v", name, err)
		}
	}
	var all []Ceremony
	for range ceremonies + 1 {
		all = append(all, begin())
		h.move(1, 1)
	}
	for i, x := range all {
		if _, err := c.Get(x.ID); (err == nil) != (i > 0) {
			t.Errorf("%d of %d: %v", i, len(all), err)
		}
	}
	if c.Clear(); len(c.open) != 0 {
		t.Error("not cleared")
	}
	if _, err := c.Get(all[5].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("cleared: %v", err)
	}
	c.Rand = bytes.NewReader(nil)
	if _, err := c.Begin(Ceremony{}); err == nil {
		t.Error("an id out of nothing")
	}
}

// Of an answer to several requests all are approved, or none.
func TestAnswerAllOrNone(t *testing.T) {
	yes := func(x Ticket, released *int) Yes {
		return Yes{x.ID, x.Digest, Gesture{Tier: TierPasskey, Signed: &canon.Assertion{}, Source: "page", Release: func() { *released++ }}}
	}
	for name, spoil := range map[string]func(*Desk, *hand, []Yes) []Yes{
		"one is gone":   func(d *Desk, _ *hand, y []Yes) []Yes { y[1].ID = "gone"; return y },
		"one is denied": func(d *Desk, _ *hand, y []Yes) []Yes { _ = d.Deny("b"); return y },
		"one is answered": func(d *Desk, _ *hand, y []Yes) []Yes {
			_, _ = d.Answer(unrecorded, Yes{"b", y[1].Digest, Gesture{}})
			return y
		},
		"one is another":    func(d *Desk, _ *hand, y []Yes) []Yes { y[1].Digest[0]++; return y },
		"one twice":         func(d *Desk, _ *hand, y []Yes) []Yes { y[1] = y[0]; return y },
		"no such tier":      func(d *Desk, _ *hand, y []Yes) []Yes { y[1].Tier = "yes"; return y },
		"signed by no tier": func(d *Desk, _ *hand, y []Yes) []Yes { y[1].Tier = ""; return y },
		"a lease": func(d *Desk, h *hand, y []Yes) []Yes {
			y[1].Lease = Lease{Until: h.Now().Add(time.Minute).UnixMilli(), Uses: 1}
			return y
		},
		"locked":   func(d *Desk, _ *hand, y []Yes) []Yes { d.Clear(); return y },
		"too late": func(d *Desk, h *hand, y []Yes) []Yes { h.move(0, 5*time.Minute); return y },
	} {
		d, h := desk()
		released := 0
		var all []Yes
		for _, id := range []string{"a", "b", "c"} {
			x := ticket(id, "me")
			if err := d.Park(x); err != nil {
				t.Fatal(err)
			}
			all = append(all, yes(x, &released))
		}
		if ps, err := d.Answer(unrecorded, spoil(d, h, all)...); err == nil || ps != nil {
			t.Errorf("%s: %v", name, ps)
		}
		for _, id := range []string{"a", "c"} {
			if x, err := d.Get(id); err != nil || x.State == Approved {
				t.Errorf("%s: %s is %s, %v", name, id, x.State, err)
			}
		}
		if released != 0 { // what an answer that failed opened, its caller closes
			t.Errorf("%s: released %d", name, released)
		}
	}
	d, h := desk()
	released := 0
	var all []Yes
	for _, id := range []string{"a", "b", "c"} {
		_ = d.Park(ticket(id, "me"))
		all = append(all, yes(ticket(id, "me"), &released))
	}
	ps, err := d.Answer(unrecorded, all...)
	if err != nil || len(ps) != 3 {
		t.Fatalf("%d, %v", len(ps), err)
	}
	for i, id := range []string{"a", "b", "c"} {
		if !ps[i].Covers(ticket(id, "me").Digest) || ps[i].Evidence().Tier != TierPasskey {
			t.Errorf("%+v", ps[i])
		}
	}
	if _, _, _, err := d.Take("a", "me", ticket("a", "me").Match); err != nil || released != 0 {
		t.Errorf("%v, released %d", err, released)
	}
	h.move(time.Minute, time.Minute)
	for _, id := range []string{"b", "c"} {
		if _, _, _, err := d.Take(id, "me", ticket(id, "me").Match); !fault.Is(err, fault.Denied) {
			t.Errorf("%s after a minute: %v", id, err)
		}
	}
	if released != 2 {
		t.Errorf("released %d", released)
	}
	if ps, err := d.Answer(unrecorded); err != nil || ps != nil {
		t.Errorf("nothing: %v, %v", ps, err)
	}
}

// A signature waits with its requests: with all of them, or with none.
func TestSign(t *testing.T) {
	d, h := desk()
	a, b := ticket("a", "me"), ticket("b", "me")
	a.Lease = time.Hour
	for _, x := range []Ticket{a, b} {
		if err := d.Park(x); err != nil {
			t.Fatal(err)
		}
	}
	lease := Lease{Until: h.Now().Add(time.Minute).UnixMilli(), Uses: 3}
	for name, c := range map[string]struct {
		s    Signed
		all  map[string]canon.Hash
		kind fault.Kind
	}{
		"gone":    {Signed{}, map[string]canon.Hash{"a": a.Digest, "x": b.Digest}, fault.NotFound},
		"another": {Signed{}, map[string]canon.Hash{"a": a.Digest, "b": a.Digest}, fault.Conflict},
		"lease":   {Signed{Lease: lease}, map[string]canon.Hash{"a": a.Digest, "b": b.Digest}, fault.Denied},
	} {
		if err := d.Sign(c.s, c.all); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if x, _ := d.Get("a"); x.Signed != nil || x.State != Pending {
			t.Errorf("%s: signed all the same", name)
		}
	}
	if err := d.Sign(Signed{Lease: lease}, map[string]canon.Hash{"a": a.Digest}); err != nil {
		t.Fatal(err)
	}
	if x, _ := d.Get("a"); x.Signed == nil || x.Signed.Lease != lease || x.State != Pending {
		t.Errorf("%+v", x)
	}
	if _, _, _, err := d.Take("a", "me", a.Match); !fault.Is(err, fault.Pending) {
		t.Errorf("a signature alone approves: %v", err)
	}
	_ = d.Deny("b")
	if err := d.Sign(Signed{}, map[string]canon.Hash{"b": b.Digest}); !fault.Is(err, fault.Conflict) {
		t.Errorf("denied: %v", err)
	}
}

// Whoever watches hears of each change, and of nothing else.
func TestChanged(t *testing.T) {
	d, h := desk()
	heard := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	n := 0
	for _, c := range []struct {
		what string
		do   func() error
		want bool
	}{
		{"park", func() error { return d.Park(ticket("a", "me")) }, true},
		{"look", func() error { _, err := d.Get("a"); d.List(); return err }, false},
		{"sign", func() error { return d.Sign(Signed{}, map[string]canon.Hash{"a": ticket("a", "me").Digest}) }, true},
		{"a wrong answer", func() error { _, _ = d.Answer(unrecorded, Yes{ID: "a"}); return nil }, false},
		{"answer", func() error {
			_, err := d.Answer(unrecorded, Yes{"a", ticket("a", "me").Digest, Gesture{}})
			return err
		}, true},
		{"take", func() error { _, _, _, err := d.Take("a", "me", ticket("a", "me").Match); return err }, true},
		{"park again", func() error { return d.Park(ticket("b", "me")) }, true},
		{"deny", func() error { return d.Deny("b") }, true},
		{"time goes by", func() error { h.move(time.Minute, time.Minute); d.List(); return nil }, false},
		{"park once more", func() error { return d.Park(ticket("c", "me")) }, true},
		{"its time is over", func() error { h.move(5*time.Minute, 0); d.List(); return nil }, true},
		{"clear", func() error { d.Clear(); return nil }, true},
	} {
		n++
		before := d.Changed()
		if err := c.do(); err != nil {
			t.Fatal(strconv.Itoa(n), c.what, err)
		}
		if heard(before) != c.want {
			t.Errorf("%s: heard %v", c.what, !c.want)
		}
		if heard(d.Changed()) {
			t.Errorf("%s: what comes next came already", c.what)
		}
	}
}

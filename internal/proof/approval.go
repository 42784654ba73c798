package proof

import (
	"bytes"
	"crypto/sha256"
	"math"
	"slices"
)

// eventIntent is the type of an event that stands before a release.
const eventIntent = "intent"

// Approvals is what a verified export says of the people who approved.
type Approvals struct {
	Requests   int64            // that a person approved
	Tiers      map[string]int64 // of them, by the tier of the gesture
	Assertions int64            // signatures of passkeys that were checked
	Passkeys   []Passkey        // all that a roster ever named
	Intents    int64            // releases that began
	Presence   int64            // of them, those with a value of a guarded vault
	Signed     int64            // of them, those that a passkey approved
}

// Passkey is how often a passkey approved.
type Passkey struct {
	ID, Name string
	Uses     int64 // requests that it approved
	Removed  bool  // the roster that is in force does not name it
}

// approvals checks the evidence of gestures, event by event. Unlike the rest of
// the verifier it remembers something of every statement and event: what a
// request says of the ledger at its time is compared with what the ledger was.
type approvals struct {
	links    [][32]byte // links[n] is the last link of n statements
	trees    [][32]byte // trees[n] is the tree root of n events
	passkeys []*passkey
	intents  map[string]bool   // ids of requests
	seen     map[hash][32]byte // hash of the evidence, by the digest of the request
	uses     map[string]int64  // by the id of a passkey
	report   Approvals
	failed   error // the first; what is wrong with the ledger itself goes before it
}

// passkey is a passkey exactly as a roster named it.
type passkey struct {
	authenticator
	until int64 // the greatest count of statements at which it was in force
}

func newApprovals() *approvals {
	return &approvals{links: make([][32]byte, 1), intents: map[string]bool{}, seen: map[hash][32]byte{}, uses: map[string]int64{},
		report: Approvals{Tiers: map[string]int64{}}}
}

// statement takes the next statement and the link that it led to.
func (p *approvals) statement(n int64, s body, link [32]byte) {
	p.links = append(p.links, link)
	if s.Type == typeRoster {
		p.roster(n, s.Payload)
	}
}

// roster takes the passkeys of the roster that is statement n. Caller has checked
// that the root key signed it.
func (p *approvals) roster(n int64, payload []byte) {
	var r roster
	if !strict(payload, &r) {
		return // was refused before
	}
	for _, k := range p.passkeys {
		if k.until == math.MaxInt64 {
			k.until = n
		}
	}
	for _, a := range r.Authenticators {
		i := slices.IndexFunc(p.passkeys, func(k *passkey) bool { return k.equal(a) })
		if i < 0 {
			i = len(p.passkeys)
			p.passkeys = append(p.passkeys, &passkey{authenticator: a})
		}
		p.passkeys[i].until = math.MaxInt64
	}
}

func (a authenticator) equal(b authenticator) bool {
	return a.ID == b.ID && a.Name == b.Name && bytes.Equal(a.Credential, b.Credential) && bytes.Equal(a.Public, b.Public) &&
		a.RPID == b.RPID && a.Origin == b.Origin
}

// event takes event n: the device that signed heads in its part of the ledger, and
// the tree root of the events before it.
func (p *approvals) event(n int64, signer device, before [32]byte, body []byte) {
	p.trees = append(p.trees, before)
	err, ok := p.check(n, signer, body).(*Error)
	if ok {
		err.At = at("event", n)
		p.failed = err
	}
}

// check checks what an event says of an approval.
func (p *approvals) check(n int64, signer device, body []byte) error {
	var e eventBody
	if !strict(body, &e) || e.V != 1 {
		return fail(Format, "", "the event is not in canonical form")
	}
	if e.Type != eventIntent && e.Proof == nil {
		return nil
	}
	var ev evidence
	if e.Proof != nil && !strict(e.Proof, &ev) {
		return fail(Format, "", "the evidence is not in canonical form")
	}
	var r request
	if e.Raw != nil && (!strict(e.Raw, &r) || r.V != 1) {
		return fail(Format, "", "the request is not in canonical form")
	}
	switch {
	case e.Digest == nil || e.Raw == nil && (e.Type == eventIntent || ev.Assertion != nil):
		return fail(BadApproval, "", "the request is missing")
	case e.Raw != nil && (*e.Digest != digest(domainRequest, e.Raw) || r.ID != e.Request):
		return fail(BadApproval, "", "the request is not that of its digest and id")
	case e.Raw != nil && r.Audience != signer.id:
		return fail(BadApproval, "", "the request is for another device")
	}
	if e.Proof != nil {
		if err := p.evidence(n, signer, *e.Digest, r, ev, sha256.Sum256(e.Proof)); err != nil {
			return err
		}
	}
	if e.Type == eventIntent {
		return p.intent(r, ev)
	}
	return nil
}

// evidence checks an approval, once for each request: where it stands again, in
// the intent after the decision, it must be the same.
func (p *approvals) evidence(n int64, signer device, d hash, r request, ev evidence, sum [32]byte) error {
	if old, again := p.seen[d]; again {
		if old != sum {
			return fail(BadApproval, "", "the request has two approvals")
		}
		return nil
	}
	signed, known := signedTier(ev.Tier)
	switch {
	case ev.Digest != d:
		return fail(BadApproval, "", "the approval is of another request")
	case !known || !knownSource(ev.Source):
		return fail(BadApproval, "", "the approval is of an unknown kind")
	case signed != (ev.Assertion != nil):
		return fail(BadApproval, "", "the approval's tier and its evidence do not agree")
	}
	if signed {
		if err := p.assertion(n, signer, r, ev); err != nil {
			return err
		}
		p.report.Assertions++
	}
	p.seen[d] = sum
	p.report.Requests++
	p.report.Tiers[ev.Tier]++
	return nil
}

// assertion checks that a passkey of this ledger signed exactly this approval of
// exactly this request.
func (p *approvals) assertion(n int64, signer device, r request, ev evidence) error {
	s := ev.Assertion
	var a answer
	if !strict(s.Answer, &a) || !a.sound() {
		return fail(Format, "", "the answer is not in canonical form")
	}
	switch {
	case !slices.Contains(a.Requests, ev.Digest):
		return fail(BadApproval, "", "the answer is to another request")
	case a.Audience != r.Audience:
		return fail(BadApproval, "", "the answer is for another device")
	case !equalTerms(a.Lease, ev.Lease):
		return fail(BadApproval, "", "the lease is not the one that was signed")
	}
	h, err := openHead(r.Head, signer.key, "")
	switch {
	case err != nil || h.Device != signer.id:
		return fail(BadApproval, "", "the request's head is not signed by the device")
	case h.Statements >= int64(len(p.links)) || h.Events > n || p.links[h.Statements] != h.Link || p.trees[h.Events] != h.Tree:
		return fail(BadApproval, "", "the request was made over another ledger")
	}
	k, err := p.signedBy(h.Statements, digest(domainAnswer, s.Answer), s)
	if err != nil {
		return err
	}
	p.uses[k.ID]++
	return nil
}

// signedBy finds the passkey that signed a challenge, among those that were in
// force at a count of statements or later. A key comes from the roster alone.
func (p *approvals) signedBy(statements int64, challenge [32]byte, s *signature) (*passkey, error) {
	err := fail(NoPasskey, "", "no roster of this ledger names the passkey")
	for _, k := range p.passkeys {
		switch {
		case !bytes.Equal(k.Credential, s.Credential):
			continue
		case k.until < statements:
			err = fail(NoPasskey, "", "the passkey was removed before the request")
			continue
		}
		a := Authenticator{Credential: k.Credential, Public: k.Public, RPID: k.RPID, Origin: k.Origin}
		if err = a.Check(challenge, Assertion{Credential: s.Credential, AuthenticatorData: s.AuthenticatorData,
			ClientData: s.ClientData, Signature: s.Signature}); err == nil {
			return k, nil
		}
	}
	return nil, err
}

// intent counts a release that began: one for each request.
func (p *approvals) intent(r request, ev evidence) error {
	if p.intents[r.ID] {
		return fail(Repeated, "", "the request was used before")
	}
	p.intents[r.ID] = true
	p.report.Intents++
	if slices.ContainsFunc(r.Subjects, func(w wanted) bool { return w.Tier != "standard" }) {
		p.report.Presence++
		if ev.Assertion != nil {
			p.report.Signed++
		}
	}
	return nil
}

// summary is the report, with the passkeys under their last names.
func (p *approvals) summary() *Approvals {
	out := p.report
	for _, k := range p.passkeys {
		i := slices.IndexFunc(out.Passkeys, func(x Passkey) bool { return x.ID == k.ID })
		if i < 0 {
			i = len(out.Passkeys)
			out.Passkeys = append(out.Passkeys, Passkey{ID: k.ID, Uses: p.uses[k.ID], Removed: true})
		}
		if x := &out.Passkeys[i]; x.Removed { // until the roster in force names it
			x.Name, x.Removed = k.Name, k.until != math.MaxInt64
		}
	}
	return &out
}

package gesture

import (
	"bytes"
	"crypto/sha256"
	"math"
	"slices"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/proof/internal/form"
)

// eventIntent is the type of an event that stands before a release.
const eventIntent = "intent"

// The digest domains (spec/request.md).
const (
	domainRequest = "thumbturn/request/v1\x00"
	domainAnswer  = "thumbturn/answer/v1\x00"
)

// Report is what a verified export says of the people who approved.
type Report struct {
	Requests   int64            // that a person approved
	Tiers      map[string]int64 // of them, by the tier of the gesture
	Assertions int64            // signatures of passkeys that were checked
	Passkeys   []Passkey        // all that a roster ever named
	Intents    int64            // releases that began
	Presence   int64            // of them, those with a value of a guarded vault
	Signed     int64            // of those, the ones that a passkey approved
}

// Passkey is how often a passkey approved.
type Passkey struct {
	ID, Name string
	Uses     int64 // requests that it approved
	Removed  bool  // the roster that is in force does not name it
}

// Signer is the device that signs heads in a part of the ledger.
type Signer struct {
	Device string
	Key    []byte
}

// Head is what a head says.
type Head struct {
	Statements, Events int64
	Link, Tree         [32]byte
}

// Opener opens a head that a device signed.
type Opener func(note string, by Signer) (Head, bool)

// Approvals checks the evidence of gestures, event by event. Unlike the rest of
// the verifier it remembers something of every statement and event: what a
// request says of the ledger at its time is compared with what the ledger was.
type Approvals struct {
	open     Opener
	links    [][32]byte // links[n] is the last link of n statements
	trees    [][32]byte // trees[n] is the tree root of n events
	passkeys []*passkey
	intents  map[string]bool        // ids of requests
	seen     map[form.Hash][32]byte // hash of the evidence, by the digest of the request
	uses     map[string]int64       // by the id of a passkey
	report   Report
	failed   error // the first
}

// passkey is a passkey exactly as a roster named it.
type passkey struct {
	form.Authenticator
	until int64 // the greatest count of statements at which it was in force
}

// New returns the state before the first statement.
func New(open Opener) *Approvals {
	return &Approvals{open: open, links: make([][32]byte, 1), intents: map[string]bool{}, seen: map[form.Hash][32]byte{},
		uses: map[string]int64{}, report: Report{Tiers: map[string]int64{}}}
}

// Statement takes the link of the next statement.
func (p *Approvals) Statement(link [32]byte) { p.links = append(p.links, link) }

// Roster takes the passkeys of the statement that came last. The caller has checked
// that the root key signed it.
func (p *Approvals) Roster(all []form.Authenticator) {
	before := int64(len(p.links) - 2) // this roster is in force from the next count on
	for _, k := range p.passkeys {
		if k.until == math.MaxInt64 {
			k.until = before
		}
	}
	for _, a := range all {
		i := slices.IndexFunc(p.passkeys, func(k *passkey) bool { return equal(k.Authenticator, a) })
		if i < 0 {
			i = len(p.passkeys)
			p.passkeys = append(p.passkeys, &passkey{Authenticator: a})
		}
		p.passkeys[i].until = math.MaxInt64
	}
}

// equal compares what counts for an approval, and what a report says.
func equal(a, b form.Authenticator) bool {
	return a.ID == b.ID && a.Name == b.Name && bytes.Equal(a.Credential, b.Credential) && bytes.Equal(a.Public, b.Public) &&
		a.RPID == b.RPID && a.Origin == b.Origin
}

// Event takes the next event: the device that signed heads in its part of the
// ledger, and the tree root of the events before it.
func (p *Approvals) Event(signer Signer, before [32]byte, body []byte) {
	n := int64(len(p.trees))
	p.trees = append(p.trees, before)
	if p.failed != nil {
		return
	}
	if err, ok := p.check(n, signer, body).(*form.Error); ok {
		err.At = "event " + strconv.FormatInt(n, 10)
		p.failed = err
	}
}

// Failed returns what was wrong with the first approval that failed.
func (p *Approvals) Failed() error { return p.failed }

// check checks what an event says of an approval.
func (p *Approvals) check(n int64, signer Signer, body []byte) error {
	var e form.Event
	if !form.Strict(body, &e) || e.V != 1 {
		return form.Fail(form.Format, "", "the event is not in canonical form")
	}
	if e.Type != eventIntent && e.Proof == nil {
		return nil
	}
	var ev form.Evidence
	if e.Proof != nil && !form.Strict(e.Proof, &ev) {
		return form.Fail(form.Format, "", "the evidence is not in canonical form")
	}
	var r form.Request
	if e.Raw != nil && (!form.Strict(e.Raw, &r) || r.V != 1) {
		return form.Fail(form.Format, "", "the request is not in canonical form")
	}
	switch {
	case e.Digest == nil || e.Raw == nil && (e.Type == eventIntent || ev.Assertion != nil):
		return form.Fail(BadApproval, "", "the request is missing")
	case e.Raw != nil && (*e.Digest != form.Digest(domainRequest, e.Raw) || r.ID != e.Request):
		return form.Fail(BadApproval, "", "the request is not that of its digest and id")
	case e.Raw != nil && r.Audience != signer.Device:
		return form.Fail(BadApproval, "", "the request is for another device")
	}
	if e.Proof != nil {
		d := *e.Digest
		if named, ok := r.ByName(); ok && e.Type == eventIntent { // that is what was shown and signed
			d = form.Digest(domainRequest, named)
		}
		if err := p.evidence(n, signer, d, r, ev, sha256.Sum256(e.Proof)); err != nil {
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
func (p *Approvals) evidence(n int64, signer Signer, d form.Hash, r form.Request, ev form.Evidence, sum [32]byte) error {
	if old, again := p.seen[d]; again {
		if old != sum {
			return form.Fail(BadApproval, "", "the request has two approvals")
		}
		return nil
	}
	signed, known := ev.Known()
	switch {
	case ev.Digest != d:
		return form.Fail(BadApproval, "", "the approval is of another request")
	case !known:
		return form.Fail(BadApproval, "", "the approval is of an unknown kind")
	case signed != (ev.Assertion != nil):
		return form.Fail(BadApproval, "", "the approval's tier and its evidence do not agree")
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
func (p *Approvals) assertion(n int64, signer Signer, r form.Request, ev form.Evidence) error {
	s := ev.Assertion
	var a form.Answer
	if !form.Strict(s.Answer, &a) || !a.Sound() {
		return form.Fail(form.Format, "", "the answer is not in canonical form")
	}
	switch {
	case !slices.Contains(a.Requests, ev.Digest):
		return form.Fail(BadApproval, "", "the answer is to another request")
	case a.Audience != r.Audience:
		return form.Fail(BadApproval, "", "the answer is for another device")
	case !a.Lease.Equal(ev.Lease):
		return form.Fail(BadApproval, "", "the lease is not the one that was signed")
	}
	h, ok := p.open(r.Head, signer)
	switch {
	case !ok:
		return form.Fail(BadApproval, "", "the request's head is not signed by the device")
	case h.Statements >= int64(len(p.links)) || h.Events > n || p.links[h.Statements] != h.Link || p.trees[h.Events] != h.Tree:
		return form.Fail(BadApproval, "", "the request was made over another ledger")
	}
	k, err := p.signedBy(h.Statements, form.Digest(domainAnswer, s.Answer), s)
	if err != nil {
		return err
	}
	p.uses[k.ID]++
	return nil
}

// signedBy finds the passkey that signed a challenge, among those that were in
// force at a count of statements or later. A key comes from the roster alone.
func (p *Approvals) signedBy(statements int64, challenge [32]byte, s *form.Signed) (*passkey, error) {
	err := form.Fail(NoPasskey, "", "no roster of this ledger names the passkey")
	for _, k := range p.passkeys {
		switch {
		case !bytes.Equal(k.Credential, s.Credential):
			continue
		case k.until < statements:
			err = form.Fail(NoPasskey, "", "the passkey was removed before the request")
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
func (p *Approvals) intent(r form.Request, ev form.Evidence) error {
	if p.intents[r.ID] {
		return form.Fail(Repeated, "", "the request was used before")
	}
	p.intents[r.ID] = true
	p.report.Intents++
	if slices.ContainsFunc(r.Subjects, func(w form.Subject) bool { return w.Tier != "standard" }) {
		p.report.Presence++
		if ev.Assertion != nil {
			p.report.Signed++
		}
	}
	return nil
}

// Report returns the counts, with the passkeys under their last names.
func (p *Approvals) Report() *Report {
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

package proof_test

import (
	"fmt"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// evidence is what the ledger keeps of a gesture, as the writers lay it out.
type evidence struct {
	Digest    canon.Hash       `json:"digest"`
	Tier      string           `json:"tier"`
	Source    string           `json:"source"`
	Time      int64            `json:"time"`
	Lease     *canon.Terms     `json:"lease,omitempty"`
	Assertion *canon.Assertion `json:"assertion,omitempty"`
}

// scene is one approval from the request to the intent. Each hook changes what was
// made so far; what comes after it is made of that.
type scene struct {
	key       passkey
	request   func(*canon.Request)
	answer    func(*canon.Answer)
	ceremony  func(*ceremony)
	assertion func(*canon.Assertion)
	raw       func([]byte) []byte // after it was shown and signed
	evidence  func(*evidence)
	event     func(*canon.Event)
	decides   int // how many events are the decision; 1 unless told
	intends   int // and the intent
}

func do[T any](hook func(T), v T) {
	if hook != nil {
		hook(v)
	}
}

func requestID(n int) string { return fmt.Sprintf("0123456789abcdefghjkmn%03d0", n) }

// wish is a request over the ledger as it is; n makes its id.
func (l *log) wish(n int) canon.Request {
	return canon.Request{V: 1, ID: requestID(n), Nonce: canon.Bytes(make([]byte, 32)), Audience: l.name, Account: account, Action: "hold",
		Caller: canon.Asker{Kind: "agent", Label: "claude", Root: "4242.1000.boot", UID: 1000}, Principal: canon.Fact{Value: "uid 1000", Derived: true},
		Subjects: []canon.Subject{{Ref: "op://prod/db/password", Vault: vaultID, Item: itemID, Field: "credential", Revision: 2, Record: sum("1"),
			Binding: sum("binding"), Writer: "person", Tier: canon.TierPresence}},
		Place: canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: "/usr/bin/psql", Argv: canon.ArgvDigest([]string{"psql"}), Shown: []string{"psql", "<&>"}, Dir: "/home/ada"},
		Uses:  1, Head: l.head(len(l.statements), len(l.events)), Issued: 1700000000000, Expires: 1700000300000}
}

// answerTo has a passkey sign a yes.
func (k passkey) answerTo(a canon.Answer, change func(*ceremony)) canon.Assertion {
	raw := canon.Encode(a)
	c := honest(canon.AnswerDigest(raw))
	do(change, &c)
	s := k.assert(c)
	return canon.Assertion{Credential: s.Credential, Answer: raw, AuthenticatorData: s.AuthenticatorData, ClientData: s.ClientData, Signature: s.Signature}
}

// play writes the events of a scene.
func (s scene) play(l *log) {
	r := l.wish(len(l.events))
	do(s.request, &r)
	raw := canon.Encode(r)
	digest := canon.RequestDigest(raw)
	a := canon.Answer{V: 1, Audience: l.name, Requests: []canon.Hash{digest}}
	do(s.answer, &a)
	proof := s.key.answerTo(a, s.ceremony)
	do(s.assertion, &proof)
	if s.raw != nil {
		raw = s.raw(raw)
		digest = canon.RequestDigest(raw)
	}
	ev := evidence{Digest: digest, Tier: "passkey", Source: "page", Time: 1700000001000, Lease: a.Lease, Assertion: &proof}
	do(s.evidence, &ev)
	if s.decides+s.intends == 0 {
		s.decides, s.intends = 1, 1
	}
	for i := range s.decides + s.intends {
		e := canon.Event{V: 1, Type: canon.EventDecision, Time: 1700000001000, Request: r.ID, Digest: &digest, Outcome: "approved", Kind: "person", Proof: canon.Encode(ev), Raw: raw}
		if i >= s.decides {
			e.Type, e.Outcome = canon.EventIntent, "allowed"
		}
		do(s.event, &e)
		l.write(e)
	}
}

func (l *log) write(e canon.Event) {
	salt := sum(fmt.Sprint("salt ", len(l.events)))
	l.events = append(l.events, event{salt[:], e.Encode()})
}

// enrol writes a roster with just these passkeys.
func (l *log) enrol(keys ...passkey) {
	r := canon.Roster{V: 1, Slots: []canon.Slot{{Header: canon.Encode(canon.SlotHeader{V: 1, ID: "a", Kind: canon.SlotUnlock})}}}
	for _, k := range keys {
		r.Authenticators = append(r.Authenticators, k.row())
	}
	l.sign(canon.TypeRoster, "roster", r)
}

// row is a passkey as a roster names it.
func (k passkey) row() canon.Authenticator {
	return canon.Authenticator{ID: fmt.Sprintf("%x", k.credential), Name: "key " + string(rune('A'+k.credential[0]%26)), Credential: k.credential, Public: k.public,
		RPID: rpID, Origin: webPage, PRF: true, AAGUID: make([]byte, 16), Created: 1700000000000}
}

// approved is a ledger with two passkeys, and nothing asked yet.
func approved() *log {
	l := sample(2)
	l.events = nil
	l.enrol(es256("one"), edDSA("ed"), rs256())
	return l
}

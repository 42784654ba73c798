package proof_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/proof"
)

// forgery is a ledger with approvals in it, whose links, tree and head agree.
type forgery struct {
	name, want, msg string
	make            func(*log)
}

func one(s scene) func(*log) {
	if s.key.sign == nil {
		s.key = es256("one")
	}
	return s.play
}

func hashes(names ...string) []canon.Hash {
	var out []canon.Hash
	for _, n := range names {
		out = append(out, sum(n))
	}
	slices.SortFunc(out, func(a, b canon.Hash) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// forgeries are what a thief of the database and of the device key would like to
// have believed, and near misses that are fine.
func forgeries() []forgery {
	thief := es256("thief")
	lease := &canon.Terms{Until: 1700001800000, Uses: 20}
	var list []forgery
	add := func(name, want, msg string, f func(*log)) { list = append(list, forgery{name, want, msg, f}) }
	raw := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				panic(old)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}

	// The request.
	add("request-changed-after-display", "approval", "answer is to another request", one(scene{raw: raw("/usr/bin/psql", "/usr/bin/nc")}))
	add("request-changed-digest-kept", "approval", "not that of its digest", one(scene{event: func(e *canon.Event) { e.Raw = raw("/usr/bin/psql", "/usr/bin/nc")(e.Raw) }}))
	add("request-changed-answer-too", "assertion", "challenge", one(scene{raw: raw("/usr/bin/psql", "/usr/bin/nc"), evidence: func(e *evidence) {
		e.Assertion.Answer = canon.Encode(canon.Answer{V: 1, Audience: "0123456789abcdefghjkmnpqrc", Requests: []canon.Hash{e.Digest}})
	}}))
	// A change of the project's file that was shown and signed, and one that was not.
	file := func(r *canon.Request) {
		r.Project = &canon.Project{File: "/home/ada/.thumbturn.toml", Task: "db", Hash: sum("file"), Before: sum("before"), Diff: []string{"@ line 1", "- a", "+ <b>"}}
	}
	add("request-file", "ok", "", one(scene{request: file}))
	add("request-file-changed-after-display", "approval", "answer is to another request", one(scene{request: file, raw: raw(sum("file").String(), sum("other").String())}))
	add("request-file-change-dropped", "approval", "not that of its digest", one(scene{request: file, event: func(e *canon.Event) { e.Raw = raw(`"- a",`, "")(e.Raw) }}))
	add("request-file-added-after-display", "approval", "answer is to another request", one(scene{raw: func(b []byte) []byte {
		var r canon.Request
		if err := canon.Decode(b, &r); err != nil {
			panic(err)
		}
		file(&r)
		return canon.Encode(r)
	}}))
	add("request-file-unknown-member", "format", "request is not in canonical", one(scene{request: file, raw: raw(`"task"`, `"more":1,"task"`)}))
	add("request-file-of-null", "format", "request is not in canonical", one(scene{raw: raw(`,"uses"`, `,"project":null,"uses"`)}))
	add("request-missing", "approval", "request is missing", one(scene{event: func(e *canon.Event) { e.Raw = nil }}))
	add("digest-missing", "approval", "request is missing", one(scene{event: func(e *canon.Event) { e.Digest = nil }}))
	add("intent-without-request", "approval", "request is missing", func(l *log) { l.write(canon.Event{V: 1, Type: canon.EventIntent, Request: requestID(1)}) })
	add("intent-with-a-digest-only", "approval", "request is missing", func(l *log) {
		d := sum("x")
		l.write(canon.Event{V: 1, Type: canon.EventIntent, Request: requestID(1), Digest: &d})
	})
	add("request-of-other-id", "approval", "not that of its digest and id", one(scene{event: func(e *canon.Event) { e.Request = requestID(99) }}))
	add("request-not-canonical", "format", "request is not in canonical", one(scene{raw: raw(`"uses":1`, `"uses":1,"uses":1`)}))
	add("request-version", "format", "request is not in canonical", one(scene{request: func(r *canon.Request) { r.V = 2 }}))
	add("request-for-other-device", "approval", "request is for another device", one(scene{request: func(r *canon.Request) { r.Audience = account }}))
	add("event-unknown-member", "format", "event is not in canonical", func(l *log) {
		one(scene{})(l)
		l.events[1].body = raw(`"type"`, `"more":1,"type"`)(l.events[1].body)
	})
	add("event-version", "format", "event is not in canonical", func(l *log) { l.write(canon.Event{V: 2, Type: canon.EventLock}) })

	// The evidence.
	add("evidence-of-other-request", "approval", "approval is of another request", one(scene{evidence: func(e *evidence) { e.Digest = sum("other") }}))
	add("evidence-unknown-tier", "approval", "unknown kind", one(scene{evidence: func(e *evidence) { e.Tier = "wink" }}))
	add("evidence-no-tier", "approval", "unknown kind", one(scene{evidence: func(e *evidence) { e.Tier = "" }}))
	add("evidence-unknown-source", "approval", "unknown kind", one(scene{evidence: func(e *evidence) { e.Source = "agent" }}))
	add("evidence-without-assertion", "approval", "do not agree", one(scene{evidence: func(e *evidence) { e.Assertion = nil }}))
	add("evidence-signs-without-assertion", "approval", "do not agree", one(scene{evidence: func(e *evidence) { e.Tier, e.Assertion = "passkey-signs", nil }}))
	add("evidence-assertion-of-lower-tier", "approval", "do not agree", one(scene{evidence: func(e *evidence) { e.Tier = "presence-passphrase" }}))
	add("evidence-pin-with-assertion", "approval", "do not agree", one(scene{evidence: func(e *evidence) { e.Tier = "pin" }}))
	add("evidence-brings-its-own-key", "format", "evidence is not in canonical", one(scene{key: thief, event: func(e *canon.Event) {
		e.Proof = raw(`"credential"`, `"public":"`+b64(thief.public)+`","credential"`)(e.Proof)
	}}))
	add("evidence-null-assertion", "format", "evidence is not in canonical", one(scene{evidence: func(e *evidence) { e.Assertion = nil },
		event: func(e *canon.Event) { e.Proof = append(e.Proof[:len(e.Proof)-1], `,"assertion":null}`...) }}))
	add("evidence-two-for-one-request", "approval", "two approvals", func(l *log) {
		r := l.wish(7)
		fix := func(x *canon.Request) { *x = r }
		scene{key: es256("one"), request: fix, decides: 1}.play(l)
		scene{key: edDSA("ed"), request: fix, intends: 1}.play(l)
	})

	// The answer.
	add("answer-to-other-request", "approval", "answer is to another request", one(scene{answer: func(a *canon.Answer) { a.Requests = hashes("other") }}))
	add("answer-for-other-device", "approval", "answer is for another device", one(scene{answer: func(a *canon.Answer) { a.Audience = account }}))
	add("answer-version", "format", "answer is not", one(scene{answer: func(a *canon.Answer) { a.V = 2 }}))
	add("answer-to-nothing", "format", "answer is not", one(scene{answer: func(a *canon.Answer) { a.Requests = nil }}))
	add("answer-to-nine", "format", "answer is not", one(scene{answer: func(a *canon.Answer) { a.Requests = hashes(strings.Split("abcdefghi", "")...) }}))
	add("answer-out-of-order", "format", "answer is not", one(scene{answer: func(a *canon.Answer) { a.Requests = hashes("a", "b"); slices.Reverse(a.Requests) }}))
	add("answer-twice-to-one", "format", "answer is not", one(scene{answer: func(a *canon.Answer) { a.Requests = append(a.Requests, a.Requests...) }}))
	add("answer-to-others-with-lease", "approval", "to another request", one(scene{answer: func(a *canon.Answer) { a.Requests, a.Lease = hashes("a", "b"), lease }}))
	add("answer-lease-without-end", "format", "answer is not", one(scene{answer: func(a *canon.Answer) { a.Lease = &canon.Terms{Uses: 1} }}))
	add("answer-spelled-anew", "format", "answer is not", one(scene{assertion: func(s *canon.Assertion) { s.Answer = append(s.Answer, '\n') }}))
	add("lease-changed-after-signing", "approval", "lease is not", one(scene{answer: func(a *canon.Answer) { a.Lease = lease },
		evidence: func(e *evidence) { e.Lease = &canon.Terms{Until: lease.Until, Uses: 1000} }}))
	add("lease-added-after-signing", "approval", "lease is not", one(scene{evidence: func(e *evidence) { e.Lease = lease }}))
	add("lease-dropped-after-signing", "approval", "lease is not", one(scene{answer: func(a *canon.Answer) { a.Lease = lease }, evidence: func(e *evidence) { e.Lease = nil }}))
	add("lease-changed-in-the-answer-too", "assertion", "challenge", one(scene{evidence: func(e *evidence) {
		e.Lease = lease
		e.Assertion.Answer = canon.Encode(canon.Answer{V: 1, Audience: "0123456789abcdefghjkmnpqrc", Requests: []canon.Hash{e.Digest}, Lease: lease})
	}}))
	add("replay-for-another-request", "approval", "answer is to another request", func(l *log) {
		var old canon.Assertion
		one(scene{evidence: func(e *evidence) { old = *e.Assertion }})(l)
		one(scene{evidence: func(e *evidence) { e.Assertion = &old }})(l)
	})
	return append(append(append(list, byName()...), ceremonies()...), passkeyForgeries()...)
}

// byName are about requests that were signed while locked, by their names.
func byName() []forgery {
	var list []forgery
	add := func(name, want, msg string, signed, used func(*canon.Request), intents int) {
		list = append(list, forgery{name, want, msg, func(l *log) {
			whole := l.wish(7)
			whole.Unlock = true
			names := whole.ByName()
			do(signed, &names)
			do(used, &whole)
			raw := canon.Encode(whole)
			d := canon.RequestDigest(raw)
			scene{key: es256("one"), request: func(r *canon.Request) { *r = names }, decides: 1, intends: intents, event: func(e *canon.Event) {
				if e.Type == canon.EventIntent {
					e.Raw, e.Digest = raw, &d
				}
			}}.play(l)
		}})
	}
	add("names-resolved", "ok", "", nil, nil, 1)
	add("names-never-used", "ok", "", nil, nil, 0)
	add("names-used-twice", "repeated", "used before", nil, nil, 2)
	const other = "approval is of another request"
	add("names-of-another-reference", "approval", other, nil, func(r *canon.Request) { r.Subjects[0].Ref = "op://prod/db/other" }, 1)
	add("names-of-one-more", "approval", other, nil, func(r *canon.Request) { r.Subjects = append(r.Subjects, r.Subjects...) }, 1)
	add("names-of-another-program", "approval", other, nil, func(r *canon.Request) { r.Place.Program = "/usr/bin/nc" }, 1)
	add("names-of-another-time", "approval", other, nil, func(r *canon.Request) { r.Expires++ }, 1)
	add("names-forgotten", "approval", other, nil, func(r *canon.Request) { r.Unlock = false }, 1)
	add("names-for-a-request-in-full", "approval", other, func(r *canon.Request) { r.Unlock = false }, nil, 1)
	return list
}

// ceremonies are assertions that were validly signed, but not for this.
func ceremonies() []forgery {
	var list []forgery
	add := func(name, msg string, s scene) { list = append(list, forgery{name, "assertion", msg, one(s)}) }
	add("ceremony-other-port", "another origin", scene{ceremony: says(":7433", ":7434")})
	add("ceremony-other-origin", "another origin", scene{ceremony: says("http://vault-k3f9.localhost:7433", "https://evil.example")})
	add("ceremony-other-relying-party", "another relying party", scene{ceremony: func(c *ceremony) { c.rp = "localhost" }})
	add("ceremony-cross-origin", "inside another one", scene{ceremony: says(`"crossOrigin":false`, `"crossOrigin":true`)})
	add("ceremony-not-verified", "not verified", scene{ceremony: flags(0x01, "")})
	add("ceremony-nobody-present", "nobody was present", scene{ceremony: flags(0x04, "")})
	add("ceremony-enrolment", "not of an assertion", scene{ceremony: says("webauthn.get", "webauthn.create")})
	add("ceremony-other-challenge", "challenge", scene{ceremony: func(c *ceremony) { *c = honest(sum("other")) }})
	add("signature-bit-flipped", "signature is wrong", scene{assertion: func(s *canon.Assertion) { s.Signature[20] ^= 1 }})
	add("signature-by-other-key", "signature is wrong", scene{key: passkey{es256("one").credential, nil, es256("thief").sign}})
	return list
}

// passkeyForgeries are about who may approve, and over which ledger.
func passkeyForgeries() []forgery {
	var list []forgery
	add := func(name, want, msg string, f func(*log)) { list = append(list, forgery{name, want, msg, f}) }
	thief, second := es256("thief"), es256("second")
	add("passkey-unknown", "passkey", "no roster", one(scene{key: thief}))
	add("passkey-removed", "passkey", "removed", func(l *log) {
		l.enrol(edDSA("ed"))
		one(scene{})(l)
	})
	add("passkey-removed-and-old-head", "passkey", "removed", func(l *log) {
		l.enrol(edDSA("ed"))
		l.sign(canon.TypeSetting, "x", canon.Setting{V: 1, Name: "x"})
		one(scene{request: func(r *canon.Request) { r.Head = l.head(len(l.statements)-1, 0) }})(l)
	})
	add("passkey-removed-after", "ok", "", func(l *log) {
		one(scene{})(l)
		l.enrol(edDSA("ed"))
	})
	add("passkey-added-while-it-waited", "ok", "", func(l *log) {
		n := len(l.statements)
		l.enrol(es256("one"), second)
		one(scene{key: second, request: func(r *canon.Request) { r.Head = l.head(n, 0) }})(l)
	})
	add("passkey-back-again", "ok", "", func(l *log) {
		l.enrol(second)
		l.enrol(es256("one"))
		one(scene{})(l)
	})
	add("passkey-key-replaced", "assertion", "signature is wrong", func(l *log) {
		l.enrol(passkey{es256("one").credential, thief.public, nil})
		one(scene{})(l)
	})
	add("passkey-row-unsigned", "signature", "", func(l *log) {
		l.put(l.next(canon.TypeRoster, "roster", canon.Roster{V: 1, Authenticators: []canon.Authenticator{thief.row()}}), nil)
		one(scene{key: thief})(l)
	})
	add("passkey-row-signed-by-other-key", "signature", "", func(l *log) {
		l.put(l.next(canon.TypeRoster, "roster", canon.Roster{V: 1, Authenticators: []canon.Authenticator{thief.row()}}), key("thief"))
		one(scene{key: thief})(l)
	})
	add("passkey-in-a-slot-only", "passkey", "no roster", func(l *log) {
		h := canon.SlotHeader{V: 1, ID: "b", Kind: canon.SlotUnlock, RPID: rpID, Credential: thief.credential}
		l.sign(canon.TypeRoster, "roster", canon.Roster{V: 1, Slots: []canon.Slot{{Header: canon.Encode(h), Public: thief.public}}})
		one(scene{key: thief})(l)
	})

	other := approved()
	other.sign(canon.TypeSetting, "x", canon.Setting{V: 1, Name: "x"})
	add("head-of-other-statements", "approval", "another ledger", func(l *log) {
		l.sign(canon.TypeSetting, "y", canon.Setting{V: 1, Name: "y"})
		one(scene{request: func(r *canon.Request) { r.Head = other.head(len(other.statements), 0) }})(l)
	})
	add("head-of-later-statements", "approval", "another ledger", one(scene{request: func(r *canon.Request) { r.Head = other.head(len(other.statements), 0) }}))
	add("head-of-other-events", "approval", "another ledger", func(l *log) {
		o := approved()
		o.happen(2)
		l.write(canon.Event{V: 1, Type: canon.EventLock})
		l.write(canon.Event{V: 1, Type: canon.EventUnlock})
		one(scene{request: func(r *canon.Request) { r.Head = o.head(len(o.statements), 2) }})(l)
	})
	add("head-of-later-events", "approval", "another ledger", one(scene{request: func(r *canon.Request) {
		o := approved()
		o.happen(1)
		r.Head = o.head(len(o.statements), 1)
	}}))
	add("head-of-other-device", "approval", "not signed by the device", one(scene{request: func(r *canon.Request) {
		o := approved()
		o.name = account
		r.Head = o.head(len(o.statements), 0)
	}}))
	add("head-by-other-key", "approval", "not signed by the device", one(scene{request: func(r *canon.Request) {
		o := approved()
		o.device = key("thief")
		r.Head = o.head(len(o.statements), 0)
	}}))
	add("head-missing", "approval", "not signed by the device", one(scene{request: func(r *canon.Request) { r.Head = "" }}))
	add("used-twice", "repeated", "used before", one(scene{decides: 1, intends: 2}))
	add("used-twice-without-approval", "repeated", "used before", one(scene{intends: 2, event: func(e *canon.Event) { e.Proof = nil }}))
	return list
}

func (f forgery) log() *log {
	l := approved()
	f.make(l)
	return l
}

func TestForgedApprovals(t *testing.T) {
	for _, f := range forgeries() {
		t.Run(f.name, func(t *testing.T) {
			b := f.log().export()
			r, err := proof.Verify(bytes.NewReader(b), proof.Options{Approvals: true})
			want(t, err, f.want)
			if err != nil && (!strings.Contains(err.Error(), f.msg) || r.Approvals != nil) {
				t.Errorf("%v, want %q", err, f.msg)
			}
			_, err = proof.Verify(bytes.NewReader(b), proof.Options{})
			if f.want != "signature" { // the ledger itself is fine
				want(t, err, "ok")
			}
		})
	}
}

// story is a ledger in which people approve in every way.
func story() *log {
	l := approved()
	first := l.wish(900)
	scene{key: es256("one"), request: func(r *canon.Request) { *r = first }}.play(l)
	l.write(canon.Event{V: 1, Type: canon.EventOutcome, Request: first.ID, Outcome: "delivered", Intent: 2})
	for _, tier := range []string{"presence-passphrase", "pin"} {
		scene{key: es256("one"), evidence: func(e *evidence) { e.Tier, e.Source, e.Assertion = tier, "terminal", nil }}.play(l)
	}
	// One signature over two requests.
	two := []canon.Request{l.wish(901), l.wish(902)}
	var both canon.Answer
	for _, r := range two {
		both.Requests = append(both.Requests, canon.RequestDigest(canon.Encode(r)))
	}
	slices.SortFunc(both.Requests, func(a, b canon.Hash) int { return bytes.Compare(a[:], b[:]) })
	for _, r := range two {
		scene{key: edDSA("ed"), request: func(x *canon.Request) { *x = r }, answer: func(a *canon.Answer) { a.Requests = both.Requests },
			evidence: func(e *evidence) { e.Tier = "passkey-signs" }}.play(l)
	}
	// A lease, and a use of it, which asks nobody.
	standard := func(r *canon.Request) { r.Subjects[0].Tier = canon.TierStandard }
	scene{key: rs256(), request: standard, answer: func(a *canon.Answer) { a.Lease = &canon.Terms{Until: 1700001800000, Uses: 20} }}.play(l)
	scene{key: rs256(), request: standard, intends: 1, event: func(e *canon.Event) { e.Proof, e.Lease = nil, first.ID }}.play(l)
	// One was approved and never used; one passkey gets another name, one goes.
	scene{key: rs256(), decides: 1}.play(l)
	renamed := es256("one").row()
	renamed.Name = "new <name>"
	l.sign(canon.TypeRoster, "roster", canon.Roster{V: 1, Authenticators: []canon.Authenticator{rs256().row(), renamed}})
	scene{key: es256("one")}.play(l)
	return l
}

func TestApprovalReport(t *testing.T) {
	r, err := proof.Verify(bytes.NewReader(story().export()), proof.Options{Approvals: true})
	if err != nil {
		t.Fatal(err)
	}
	one, ed, rsa := es256("one").row(), edDSA("ed").row(), rs256().row()
	want := &proof.Approvals{Requests: 8, Tiers: map[string]int64{"passkey": 4, "passkey-signs": 2, "presence-passphrase": 1, "pin": 1},
		Assertions: 6, Intents: 8, Presence: 6, Signed: 4,
		Passkeys: []proof.Passkey{{ID: one.ID, Name: "new <name>", Uses: 2}, {ID: ed.ID, Name: ed.Name, Uses: 2, Removed: true}, {ID: rsa.ID, Name: rsa.Name, Uses: 2}}}
	if d := cmp.Diff(want, r.Approvals); d != "" {
		t.Error(d)
	}
	if r, err = proof.Verify(bytes.NewReader(story().export()), proof.Options{}); err != nil || r.Approvals != nil {
		t.Errorf("not asked for: %v, %v", r.Approvals, err)
	}
}

// TestApprovalsOfTwoDevices: each part of a ledger has its own device.
func TestApprovalsOfTwoDevices(t *testing.T) {
	const next = "0123456789abcdefghjkmnpqrg"
	move := func(l *log, after scene) *log {
		one(scene{})(l)
		d := canon.Device{V: 1, Device: next, DeviceKey: canon.Bytes(key("next device")[32:]), DeviceKEM: canon.Bytes("kem"), Head: l.head(len(l.statements), len(l.events)), Created: 1}
		l.sign(canon.TypeDevice, "device", d)
		l.device, l.name = key("next device"), next
		one(after)(l)
		return l
	}
	check := func(l *log) error {
		_, err := proof.Verify(bytes.NewReader(l.export()), proof.Options{Approvals: true})
		return err
	}
	old := approved()
	late := old.wish(50)
	want(t, check(move(approved(), scene{})), "ok")
	want(t, check(move(approved(), scene{request: func(r *canon.Request) { *r = late }})), "approval")
	want(t, check(move(approved(), scene{request: func(r *canon.Request) { r.Head = late.Head }})), "approval")
	want(t, check(move(approved(), scene{answer: func(a *canon.Answer) { a.Audience = old.name }})), "approval")
}

// TestLedgerBeforeApprovals: what is wrong with the ledger is named, and not what
// that made of an approval.
func TestLedgerBeforeApprovals(t *testing.T) {
	l := approved()
	one(scene{key: es256("thief")})(l)
	lines := l.lines()
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"whole": {lines, "passkey"}, "cut": {lines[:len(lines)-1], "count"},
		"leaf": {edit(lines, len(lines)-1, func(s string) string { return flip(s, "salt", 0) }), "leaf"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := proof.Verify(bytes.NewReader(file(c.lines)), proof.Options{Approvals: true})
			want(t, err, c.want)
		})
	}
}

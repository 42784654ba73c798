package canon

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTupleIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOf(rapid.String()).Draw(t, "a")
		b := rapid.SliceOf(rapid.String()).Draw(t, "b")
		same := len(a) == len(b)
		for i := range min(len(a), len(b)) {
			same = same && a[i] == b[i]
		}
		if bytes.Equal(Tuple(a...), Tuple(b...)) != same {
			t.Fatalf("tuples of %q and %q", a, b)
		}
	})
}

func TestDomainsEndInNUL(t *testing.T) {
	for _, d := range []string{DomainRequest, DomainStatement, DomainLink, DomainLeaf, DomainSignature, DomainHello, DomainArgv, DomainPolicy, DomainRoot, DomainDevice, DomainProject} {
		if !strings.HasSuffix(d, "\x00") || strings.Count(d, "\x00") != 1 {
			t.Errorf("domain %q must end in its only NUL", d)
		}
	}
}

func TestIDs(t *testing.T) {
	id, err := NewID(rand.Reader)
	if err != nil || !IsID(id) || len(id) != 26 {
		t.Fatalf("NewID = %q, %v", id, err)
	}
	for _, bad := range []string{"", id[:25], id + "0", strings.ToUpper(id), "iiiiiiiiiiiiiiiiiiiiiiiiii", strings.Repeat("z", 26)} {
		if IsID(bad) && bad != strings.ToUpper(id) {
			t.Errorf("IsID(%q)", bad)
		}
	}
	if _, err := NewID(strings.NewReader("short")); err == nil {
		t.Error("NewID without randomness succeeded")
	}
}

func request(t testing.TB) Request {
	id, err := NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Request{V: 1, ID: id, Nonce: make([]byte, 32), Audience: id, Account: id, Action: "hold",
		Caller: Asker{Kind: "agent", Root: "1.2.3"}, Subjects: []Subject{{Ref: "op://dev/x/y", Tier: TierStandard, Revision: 3}},
		Place: Place{Sink: "handoff", Grade: GradeHold, Shown: []string{"curl", "a b"}}, Uses: 1, Issued: 1, Expires: 2}
}

func TestDecodeIsStrict(t *testing.T) {
	good := Encode(request(t))
	var r Request
	if err := Decode(good, &r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(good, Encode(r)); diff != "" {
		t.Fatal(diff)
	}
	s := string(good)
	for name, bad := range map[string]string{
		"white space":   strings.Replace(s, `{"v":1`, `{ "v":1`, 1),
		"unknown field": strings.Replace(s, `{"v":1`, `{"x":1,"v":1`, 1),
		"repeated":      strings.Replace(s, `{"v":1`, `{"v":2,"v":1`, 1),
		"other order":   strings.Replace(s, `"uses":1,`, ``, 1) + "",
		"trailing":      s + " ",
		"second":        s + s,
		"float":         strings.Replace(s, `"uses":1`, `"uses":1.0`, 1),
		"case":          strings.Replace(s, `"uses"`, `"Uses"`, 1),
		"cut":           s[:len(s)-1],
		"empty":         "",
		"upper hash":    strings.Replace(s, `"change":"0000`, `"change":"ABCD`, 1),
	} {
		if bad == s {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if err := Decode([]byte(bad), &r); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestRequestCheck(t *testing.T) {
	for name, spoil := range map[string]func(*Request){
		"version": func(r *Request) { r.V = 2 }, "id": func(r *Request) { r.ID = "x" }, "nonce": func(r *Request) { r.Nonce = nil },
		"caller": func(r *Request) { r.Caller.Kind = "" }, "grade": func(r *Request) { r.Place.Grade = "" },
		"action": func(r *Request) { r.Action = "" }, "life": func(r *Request) { r.Expires = r.Issued }, "uses": func(r *Request) { r.Uses = 0 },
	} {
		r := request(t)
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		if spoil(&r); r.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if (Request{}).Check() == nil {
		t.Error("the zero request was accepted")
	}
}

func TestStatement(t *testing.T) {
	s := Statement{Type: TypeItem, Subject: "abc", Version: 7, Parent: Digest("x\x00"), Payload: []byte(`{"v":1}`)}
	body := s.Body()
	got, err := ParseStatement(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Fatal(diff)
	}
	if !json.Valid(body) {
		t.Fatalf("not JSON: %s", body)
	}
	for name, bad := range map[string]string{
		"type":         strings.Replace(string(body), `"item"`, `"nothing"`, 1),
		"subject":      strings.Replace(string(body), `"abc"`, `"a\"c"`, 1),
		"version":      strings.Replace(string(body), `:7,`, `:07,`, 1),
		"zero version": strings.Replace(string(body), `:7,`, `:0,`, 1),
		"parent":       strings.Replace(string(body), `"parent":"`, `"parent":"x`, 1),
		"payload":      strings.Replace(string(body), `{"v":1}`, `[1]`, 1),
		"cut":          string(body[:len(body)-1]),
		"space":        strings.Replace(string(body), `,"version"`, `, "version"`, 1),
	} {
		if _, err := ParseStatement([]byte(bad)); err == nil {
			t.Errorf("%s was accepted: %s", name, bad)
		}
	}
}

func TestLinkCoversEverything(t *testing.T) {
	base := Link(Hash{}, 1, []byte("body"), []byte("sig"))
	for name, other := range map[string]Hash{
		"previous": Link(Hash{1}, 1, []byte("body"), []byte("sig")), "index": Link(Hash{}, 2, []byte("body"), []byte("sig")),
		"body": Link(Hash{}, 1, []byte("bodY"), []byte("sig")), "signature": Link(Hash{}, 1, []byte("body"), nil),
	} {
		if other == base {
			t.Errorf("the link does not cover the %s", name)
		}
	}
}

func TestItemHead(t *testing.T) {
	m := Item{V: 1, Vault: "vvv", Epoch: 3, State: StateCurrent, Title: Digest("t\x00"), Binding: Digest("b\x00"),
		Records: []FieldHash{{Field: "password"}}}
	h, err := ReadItemHead(Encode(m))
	if err != nil {
		t.Fatal(err)
	}
	want := ItemHead{Vault: "vvv", Epoch: 3, State: StateCurrent, Title: m.Title, Binding: m.Binding, Values: true}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Fatal(diff)
	}
	m.Records = nil
	if h, err = ReadItemHead(Encode(m)); err != nil || h.Values {
		t.Fatalf("an item without records: %+v, %v", h, err)
	}
	if _, err := ReadItemHead([]byte(`{"v":2}`)); err == nil {
		t.Error("another version was accepted")
	}
}

func TestLinesShowEverything(t *testing.T) {
	r := request(t)
	r.Caller.Label, r.Purpose, r.Place.Dir = "claude", Fact{Value: "fix\x1b[2J it"}, "/tmp/a b"
	var all strings.Builder
	last := -1
	order := map[Group]int{Enforced: 0, Reported: 1, Claimed: 2}
	for _, l := range Lines(r) {
		if order[l.Group] < last {
			t.Errorf("%q is out of order", l.Label)
		}
		last = order[l.Group]
		if strings.ContainsAny(l.Text, "\x1b\n") {
			t.Errorf("%q carries control characters", l.Text)
		}
		all.WriteString(string(l.Group) + l.Label + l.Text + "\n")
	}
	for _, want := range []string{"op://dev/x/y", "looks like claude", "'a b'", `fix\u{1b}[2J it`, "gives the value to programs running as you"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q is not shown in:\n%s", want, all.String())
		}
	}
}

func FuzzParseStatement(f *testing.F) {
	f.Add(Statement{Type: TypeVault, Subject: "a", Version: 1, Payload: []byte(`{"v":1}`)}.Body())
	f.Add([]byte(`{"type":"item","subject":"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStatement(b)
		if err == nil && !bytes.Equal(s.Body(), b) {
			t.Fatalf("a second encoding was accepted: %q", b)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add(Encode(request(f)))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if Decode(b, &r) == nil && !bytes.Equal(Encode(r), b) {
			t.Fatal("a second encoding was accepted")
		}
	})
}

// TestEventEncode: an event's own encoding is the canonical one, byte for byte.
func TestEventEncode(t *testing.T) {
	digest := Digest("x\x00")
	for name, ev := range map[string]Event{
		"zero": {},
		"full": {V: 1, Type: EventIntent, Time: 5, Request: "r<>&\u2028", Digest: &digest, Refs: []string{"op://a/b"}, Uses: 3,
			Proof: json.RawMessage(`{"p":1}`), Raw: Encode(Request{V: 1, Action: "hold <&>"}), Evidence: Encode(map[string]string{"argv": "\u2028<x>"})},
		"raw only":      {V: 1, Type: EventRequest, Raw: json.RawMessage(`{"a":"b"}`)},
		"evidence only": {V: 1, Type: EventDenial, Evidence: json.RawMessage(`[]`)},
	} {
		if diff := cmp.Diff(string(Encode(ev)), string(ev.Encode())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		var back Event
		if err := Decode(ev.Encode(), &back); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSubjects(t *testing.T) {
	a := Subject{Ref: "op://v/i/f", Vault: "v1", Tier: TierPresence, Record: Digest("a\x00")}
	b := Subject{Ref: "op://v/i/g", Vault: "v0", Record: Digest("b\x00")} // of an unknown tier: guarded
	c := Subject{Vault: "v2", Tier: TierStandard}
	if got := PresenceVaults([]Subject{a, b, c, a}); len(got) != 2 || got[0] != "v0" || got[1] != "v1" {
		t.Errorf("%v", got)
	}
	if Refs(nil) != "" || Refs([]Subject{a}) != a.Ref || Refs([]Subject{a, b, c}) != "op://v/i/f and 2 more" {
		t.Error(Refs([]Subject{a, b, c}))
	}
	code := a
	code.Ref += "?attribute=otp"
	other, bound := a, a
	other.Record, bound.Binding = b.Record, b.Record
	for _, x := range [][]Subject{{a}, {code}, {other}, {bound}, {a, b}, nil} {
		if SameRecords([]Subject{a}, x) != (len(x) == 1 && x[0] == a) {
			t.Errorf("%v", x)
		}
	}
}

// What is asked while locked names references and nothing else of its subjects, and is
// shown so.
func TestByName(t *testing.T) {
	whole := Request{V: 1, Unlock: true, Subjects: []Subject{{Ref: "op://v/i/f", Vault: "v", Item: "i", Field: "f", Revision: 2, Record: Hash{1}, Binding: Hash{2}, Writer: "agent", Tier: TierPresence}}}
	names := whole.ByName()
	if diff := cmp.Diff([]Subject{{Ref: "op://v/i/f"}}, names.Subjects); diff != "" {
		t.Error(diff)
	}
	if names.Resolved() || !whole.Resolved() || !(Request{}).Resolved() || whole.Subjects[0].Vault == "" {
		t.Error("resolved")
	}
	var told, shown bool
	for _, l := range Lines(names) {
		told = told || l.Label == "unlock" && l.Group == Enforced
		shown = shown || l.Label == "secret" && strings.Contains(l.Text, "by its name")
	}
	if !told || !shown {
		t.Errorf("%v", Lines(names))
	}
}

package spec_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/escape"
)

type requestVector struct {
	Name   string       `json:"name"`
	Raw    string       `json:"raw"`
	Want   string       `json:"want"`
	Digest *canon.Hash  `json:"digest,omitempty"`
	Code   string       `json:"code,omitempty"`
	Lines  []canon.Line `json:"lines,omitempty"`
}

// example is a request with something in every field.
func example() canon.Request {
	return canon.Request{V: 1, ID: itemID, Nonce: bytes.Repeat([]byte{5}, 32), Audience: device, Account: account, Action: "hold",
		Caller:    canon.Asker{Kind: "agent", Label: "claude", Root: "4242.1000.3f04f383-58bc-47c7-9bcf-e8a9c7aaea49", UID: 1000},
		Principal: canon.Fact{Value: "uid 1000", Derived: true}, Tenant: canon.Fact{Value: account, Derived: true},
		Purpose: canon.Fact{Value: "ticket 7 \u202e\u2028\x1b[2J"},
		Subjects: []canon.Subject{{Ref: "op://dev/github/token", Vault: vaultID, Item: itemID, Field: "token", Revision: 3,
			Record: canon.Hash{1}, Binding: canon.Hash{2}, Writer: "person", Tier: canon.TierStandard}},
		Place: canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: "/usr/bin/gh", Argv: canon.ArgvDigest([]string{"gh", "pr", "list"}),
			Shown: []string{"gh", "pr", "list", "it's"}, Dir: "/home/ada/café", Names: []string{"GITHUB_TOKEN"}},
		Uses: 1, Policy: canon.Hash{3}, Head: "thumbturn/" + device + "\n", Issued: 1795539465988, Expires: 1795539765988}
}

func makeRequests() []requestVector {
	var out []requestVector
	add := func(name, want, raw string) { out = append(out, requestVector{Name: name, Raw: raw, Want: want}) }
	edit := func(name, want string, f func(*canon.Request)) {
		r := example()
		f(&r)
		add(name, want, string(canon.Encode(r)))
	}
	edit("hold by an agent", "ok", func(*canon.Request) {})
	edit("hold by an exact program", "ok", func(r *canon.Request) {
		r.Place.Image = &canon.Image{Hash: strings.Repeat("ab", 32), File: "2049:77"}
	})
	edit("hold by an exact script", "ok", func(r *canon.Request) {
		r.Place.Image = &canon.Image{Hash: strings.Repeat("ab", 32), File: "2049:77", Interpreter: "/bin/\x1bsh", IntHash: strings.Repeat("cd", 32), IntFile: "2049:78"}
	})
	edit("values that belong somewhere", "ok", func(r *canon.Request) {
		r.Subjects[0].Addresses = escape.Addresses([]string{"https://me@api.example:8443/v1?x=y", "https://p\u0430ypal.example", "xn--n3h.example", "https://api.example:8443"})
		r.Subjects = append(r.Subjects, r.Subjects[0])
		r.Subjects[1].Ref, r.Subjects[1].Addresses, r.Subjects[1].Writer = "op://dev/github/key", "", "agent (claude)"
		r.Place.Shown, r.Place.Dir = []string{"p\u0430ypal", "cafe\u0301", "a\u0301\u0302\u0303\u0304\u0305"}, "/home/\u0430da"
	})
	edit("reveal in a test home", "ok", func(r *canon.Request) {
		r.TestHome, r.Action, r.Place.Sink, r.Place.Grade, r.Place.Names = true, "reveal", "reveal", canon.GradeReveal, nil
	})
	edit("change of the policy", "ok", func(r *canon.Request) {
		r.Action, r.Subjects, r.Change = "policy-apply", nil, canon.Hash{9}
		r.Place = canon.Place{Sink: "statement", Grade: canon.GradeNone, Names: []string{"+ permit <all>"}}
	})
	edit("hold, asked while locked", "ok", func(r *canon.Request) { r.Unlock = true; *r = r.ByName() })
	edit("the same, when its name was resolved", "ok", func(r *canon.Request) { r.Unlock = true })
	task := func(before canon.Hash, diff ...string) func(*canon.Request) {
		return func(r *canon.Request) {
			r.Project = &canon.Project{File: "/home/ada/café/.thumbturn.toml", Task: "list", Hash: canon.ProjectDigest([]byte("[env]\n")), Before: before, Diff: diff}
		}
	}
	edit("task of a project's file", "ok", task(canon.Hash{}))
	edit("task of a file that was approved before", "ok", task(canon.ProjectDigest([]byte("[env]\n"))))
	edit("task of a file that changed", "ok", task(canon.ProjectDigest([]byte("[env]\nA = 1\n")), "@ line 1", "| [env]", "- A = 1", "+ \u202e<x>", "| "))
	cases := map[string]func(*canon.Request){
		"change of a file that is not shown": task(canon.Hash{7}), "change of a file without one before": task(canon.Hash{}, "+ a"),
		"no file":    func(r *canon.Request) { task(canon.Hash{})(r); r.Project.File = "" },
		"no task":    func(r *canon.Request) { task(canon.Hash{})(r); r.Project.Task = "" },
		"no content": func(r *canon.Request) { task(canon.Hash{})(r); r.Project.Hash = canon.Hash{} },
		"version":    func(r *canon.Request) { r.V = 2 }, "id": func(r *canon.Request) { r.ID = "7" },
		"nonce": func(r *canon.Request) { r.Nonce = r.Nonce[:31] }, "nobody": func(r *canon.Request) { r.Caller.Kind = "" },
		"no action": func(r *canon.Request) { r.Action = "" }, "no grade": func(r *canon.Request) { r.Place.Grade = "" },
		"no life": func(r *canon.Request) { r.Expires = r.Issued }, "no use": func(r *canon.Request) { r.Uses = 0 },
	}
	for _, name := range sorted(cases) {
		f := cases[name]
		edit(name, "incomplete", f)
	}
	good := string(canon.Encode(example()))
	exact := example()
	exact.Place.Image = &canon.Image{Hash: "h"}
	asked := example()
	task(canon.Hash{})(&asked)
	file := string(canon.Encode(asked))
	texts := map[string]string{
		"file of null":           strings.Replace(good, `,"uses"`, `,"project":null,"uses"`, 1),
		"file with no change":    strings.Replace(file, `},"uses"`, `,"diff":[]},"uses"`, 1),
		"file without a member":  strings.Replace(file, `"task":"list",`, "", 1),
		"file at another place":  strings.Replace(good, `,"change"`, file[strings.Index(file, `,"project"`):strings.Index(file, `,"uses"`)]+`,"change"`, 1),
		"image without a member": strings.Replace(string(canon.Encode(exact)), `,"interpreter_file":""`, "", 1),
		"image of null":          strings.Replace(good, `"names":["GITHUB_TOKEN"]`, `"names":["GITHUB_TOKEN"],"image":null`, 1),
		"white space":            strings.Replace(good, ":", ": ", 1), "line break at the end": good + "\n", "two messages": good + good, "empty": "",
		"unknown member": strings.Replace(good, `"uses"`, `"any":1,"uses"`, 1), "member missing": strings.Replace(good, `"uses":1,`, "", 1),
		"repeated member": strings.Replace(good, `"uses":1`, `"uses":1,"uses":1`, 1), "other case": strings.Replace(good, `"uses"`, `"Uses"`, 1),
		"float": strings.Replace(good, `"uses":1`, `"uses":1.0`, 1), "exponent": strings.Replace(good, `"uses":1`, `"uses":1e0`, 1),
		"other escape": strings.Replace(good, `/usr/bin`, `\/usr\/bin`, 1), "upper-case hash": strings.Replace(good, `"030000`, `"0A0000`, 1),
		"unpadded base64": strings.Replace(good, `BQU="`, `BQU"`, 1), "not UTF-8": strings.Replace(good, "café", "caf\\ud800", 1),
	}
	for _, name := range sorted(texts) {
		raw := texts[name]
		add(name, "canonical", raw)
	}
	for i := range out {
		var r canon.Request
		if v := &out[i]; v.Want == "ok" && canon.Decode([]byte(v.Raw), &r) == nil {
			d := canon.RequestDigest([]byte(v.Raw))
			v.Digest, v.Code, v.Lines = &d, canon.ShortCode(d), canon.Lines(r)
		}
	}
	return out
}

// shortCode is request.md §4 once more.
func shortCode(d [32]byte) string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	var n uint64
	for _, b := range d[:5] {
		n = n<<8 | uint64(b)
	}
	s := make([]byte, 8)
	for i := range s {
		s[i] = alphabet[n>>(35-5*i)&31]
	}
	return string(s[:4]) + "-" + string(s[4:])
}

func TestVectorRequests(t *testing.T) {
	count := map[string]int{}
	for _, v := range vectors(t, "request/requests.json", makeRequests) {
		count[v.Want]++
		var r canon.Request
		got := "ok"
		if canon.Decode([]byte(v.Raw), &r) != nil {
			got = "canonical"
		} else if r.Check() != nil {
			got = errIncomplete.Error()
		}
		if got != v.Want {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Want)
		}
		if v.Want != "ok" {
			continue
		}
		d := sha256.Sum256(append([]byte("thumbturn/request/v1\x00"), v.Raw...))
		if v.Digest == nil || canon.Hash(d) != *v.Digest || canon.RequestDigest([]byte(v.Raw)) != *v.Digest || shortCode(d) != v.Code || canon.ShortCode(d) != v.Code {
			t.Errorf("%s: digest %x, code %s", v.Name, d, shortCode(d))
		}
		if diff := cmp.Diff(v.Lines, canon.Lines(r)); diff != "" || len(v.Lines) == 0 {
			t.Errorf("%s: %s", v.Name, diff)
		}
	}
	for _, c := range []string{"ok", "canonical", "incomplete"} {
		if count[c] == 0 {
			t.Errorf("no vector of class %s", c)
		}
	}
}

type leaseVector struct {
	Until    int64        `json:"until"`
	Uses     int          `json:"uses"`
	Evidence string       `json:"evidence"`
	Lines    []canon.Line `json:"lines"`
}

// clock stands still, a minute before the lease of the vectors ends.
type clock struct{}

func (clock) Now() time.Time           { return time.UnixMilli(1795539465988) }
func (clock) SinceBoot() time.Duration { return time.Hour }

func makeLeases() []leaseVector {
	var out []leaseVector
	for _, l := range []approve.Lease{{}, {Until: 1795539525988, Uses: 20}} {
		d := approve.NewDesk(clock{}, approve.DefaultLimits())
		t := approve.Ticket{ID: itemID, Digest: canon.RequestDigest(canon.Encode(example())), Lease: time.Minute}
		if err := d.Park(t); err != nil {
			panic(err)
		}
		ps, err := d.Answer(func([]approve.Proof) error { return nil }, approve.Yes{ID: t.ID, Digest: t.Digest, Gesture: approve.Gesture{Source: "terminal", Lease: l}})
		if err != nil {
			panic(err)
		}
		v := leaseVector{Until: l.Until, Uses: l.Uses, Evidence: string(canon.Encode(ps[0].Evidence())), Lines: []canon.Line{}}
		if l.Uses > 0 {
			v.Lines = canon.LeaseLines(time.UnixMilli(l.Until), l.Uses)
		}
		out = append(out, v)
	}
	return out
}

func TestVectorLeases(t *testing.T) {
	if diff := cmp.Diff(vectors(t, "request/lease.json", makeLeases), makeLeases()); diff != "" {
		t.Error(diff)
	}
	for _, v := range vectors(t, "request/lease.json", makeLeases) {
		var e approve.Evidence
		if err := canon.Decode([]byte(v.Evidence), &e); err != nil || (e.Lease != nil) != (v.Uses > 0) {
			t.Errorf("%s: %v", v.Evidence, err)
		}
	}
}

type answerVector struct {
	Name      string      `json:"name"`
	Answer    string      `json:"answer"`
	Want      string      `json:"want"`
	Challenge *canon.Hash `json:"challenge,omitempty"`
}

func makeAnswers() []answerVector {
	hash := func(b byte) canon.Hash { return canon.Hash{b} }
	var out []answerVector
	add := func(name, want, answer string) {
		v := answerVector{Name: name, Answer: answer, Want: want}
		if want == "ok" {
			h := canon.AnswerDigest([]byte(answer))
			v.Challenge = &h
		}
		out = append(out, v)
	}
	edit := func(name, want string, f func(*canon.Answer)) {
		a := canon.Answer{V: 1, Audience: device, Requests: []canon.Hash{hash(1)}}
		f(&a)
		add(name, want, string(canon.Encode(a)))
	}
	many := func(n int) []canon.Hash {
		var out []canon.Hash
		for i := range n {
			out = append(out, hash(byte(i)))
		}
		return out
	}
	edit("to one request", "ok", func(*canon.Answer) {})
	edit("with a lease", "ok", func(a *canon.Answer) { a.Lease = &canon.Terms{Until: 1795539525988, Uses: 20} })
	edit("to eight requests", "ok", func(a *canon.Answer) { a.Requests = many(8) })
	edit("to nothing", "incomplete", func(a *canon.Answer) { a.Requests = []canon.Hash{} })
	edit("to nine requests", "incomplete", func(a *canon.Answer) { a.Requests = many(9) })
	edit("twice to one", "incomplete", func(a *canon.Answer) { a.Requests = []canon.Hash{hash(1), hash(1)} })
	edit("out of order", "incomplete", func(a *canon.Answer) { a.Requests = []canon.Hash{hash(2), hash(1)} })
	edit("other version", "incomplete", func(a *canon.Answer) { a.V = 2 })
	edit("for nobody", "incomplete", func(a *canon.Answer) { a.Audience = "" })
	edit("a lease for each of two requests", "ok", func(a *canon.Answer) { a.Requests, a.Lease = many(2), &canon.Terms{Until: 1, Uses: 1} })
	edit("a lease without an end", "incomplete", func(a *canon.Answer) { a.Lease = &canon.Terms{Uses: 1} })
	edit("a lease without a use", "incomplete", func(a *canon.Answer) { a.Lease = &canon.Terms{Until: 1} })
	good := out[0].Answer
	texts := map[string]string{"white space": good + "\n", "unknown member": strings.Replace(good, `"aud"`, `"x":1,"aud"`, 1), "empty": "",
		"null lease": strings.Replace(good, "]}", `],"lease":null}`, 1), "repeated member": strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1)}
	for _, name := range sorted(texts) {
		add(name, "canonical", texts[name])
	}
	return out
}

func TestVectorAnswers(t *testing.T) {
	for _, v := range vectors(t, "request/answers.json", makeAnswers) {
		var a canon.Answer
		got := "ok"
		if canon.Decode([]byte(v.Answer), &a) != nil {
			got = "canonical"
		} else if a.Check() != nil {
			got = errIncomplete.Error()
		}
		if got != v.Want {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Want)
		}
		if d := sha256.Sum256(append([]byte("thumbturn/answer/v1\x00"), v.Answer...)); v.Want == "ok" && (v.Challenge == nil || *v.Challenge != d) {
			t.Errorf("%s: challenge %x", v.Name, d)
		}
	}
}

type escapeVector struct {
	Text canon.Bytes `json:"text"`
	Want string      `json:"want"`
}

func TestVectorEscape(t *testing.T) {
	for _, v := range vectors(t, "request/escape.json", func() []escapeVector {
		var out []escapeVector
		for _, s := range []string{"plain é 漢 🔑", "a\nb\tc", "\x1b]0;title\a", "\u202eevil\u200b", "\u00a0\u3000\u2028\u2029", "\xff\xfe", "\u3164\u2800\ufe0f\ue000", `back\slash`,
			"a\U000e0041\u034f\u061c", "p\u0430ypal \u0430", "раураl", "gοοgle Ꭺpple Աx", "日本語Git 한국어API ใช้Git", "p\U0001d41ay \uff41b \U0001d429",
			"cafe\u0301 й ш\u0438\u0306", "हिन्दी ที่นี่ မြို့ שָׁלוֹם مُحَمَّد", "\u0301a 1\u0301 a\u0e48\u0301", "a\u0301\u0302\u0303\u0304\u0305\u0306", "a\u20dd", "\xffпривет"} {
			out = append(out, escapeVector{[]byte(s), canon.Escape(s)})
		}
		return out
	}) {
		if got := canon.Escape(string(v.Text)); got != v.Want {
			t.Errorf("%q: got %s, want %s", v.Text, got, v.Want)
		}
	}
}

type projectVector struct {
	Text   canon.Bytes `json:"text"`
	Digest canon.Hash  `json:"digest"`
}

func TestVectorProject(t *testing.T) {
	for _, v := range vectors(t, "request/project.json", func() []projectVector {
		var out []projectVector
		for _, s := range []string{"", "[env]\n", "[env]\r\n"} {
			out = append(out, projectVector{[]byte(s), canon.ProjectDigest([]byte(s))})
		}
		return out
	}) {
		if d := sha256.Sum256(append([]byte("thumbturn/project/v1\x00"), v.Text...)); canon.Hash(d) != v.Digest {
			t.Errorf("%q: %x", v.Text, d)
		}
	}
}

type argvVector struct {
	Argv   []string   `json:"argv"`
	Digest canon.Hash `json:"digest"`
}

func TestVectorArgv(t *testing.T) {
	for _, v := range vectors(t, "request/argv.json", func() []argvVector {
		var out []argvVector
		for _, a := range [][]string{{"ls"}, {"ls", ""}, {"l", "s"}, {"sh", "-c", "echo $X"}} {
			out = append(out, argvVector{a, canon.ArgvDigest(a)})
		}
		return out
	}) {
		if d := sha256.Sum256(append([]byte("thumbturn/argv/v1\x00"), tuple(v.Argv...)...)); canon.Hash(d) != v.Digest {
			t.Errorf("%q: %x", v.Argv, d)
		}
	}
}

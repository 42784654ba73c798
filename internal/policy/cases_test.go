package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestParseCase(t *testing.T) {
	line := `agent use tier=presence  agent=claude vault=v name="my vault" item=i field=f grade=use sink=egress` +
		"\t" + `program=curl session foreground direct lease window grant principal:=u tenant=t purpose:="a => \"b\" c=d"` +
		` => ask rule=x rule=y lease=1m30s ceiling=hold`
	c, err := ParseCase(line)
	if err != nil {
		t.Fatal(err)
	}
	lease := 90 * time.Second
	want := Case{Text: line, Want: Ask, Rules: []string{"x", "y"}, Lease: &lease, Limit: Hold,
		Facts: Facts{Caller: "agent", Agent: "claude", Session: true, Foreground: true, DirectChild: true, Action: "use",
			Principal: Claim{"u", true}, Tenant: Claim{"t", false}, Purpose: Claim{`a => "b" c=d`, true},
			Lease: true, Window: true, Grant: true, Target: Target{Vault: "v", Name: "my vault", Tier: "presence", Item: "i",
				Field: "f", Grade: "use", Sink: "egress", Program: "curl"}}}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
}

func TestParseCaseRefuses(t *testing.T) {
	for _, line := range []string{
		"", "=>", "person", "person list", "person list =>", "person => allow", "=> allow",
		"human list => allow", "person lits => allow", "person=x list => allow", "person list=x => allow",
		"person use => allow", "person use tier=high => allow", "person use tier => allow",
		"person use tier=standard grade=hold => allow",
		"person use tier=standard tier=standard => allow", "person use tier=standard windwo => allow",
		"person use tier=standard window=yes => allow", "person use tier:=standard => allow",
		"person use tier=standard vualt=x => allow", "person use tier=standard purpose => allow",
		`person use tier=standard name="a => allow`, `person use tier=standard name="a"b => allow`,
		"person list => yes", "person list => allow extra", "person list => allow rule=", "person list => allow lease=x",
		"person list => allow lease=-1s", "person list => allow ceiling=all", "person list => allow rule:=x",
		"person list => allow lease=1s lease=1s", "person list => => allow",
		"person list => allow\x00", "person list\n=> allow", "person list vault=\xff => allow",
		"person list vault=" + strings.Repeat("x", maxCaseLine) + " => allow",
	} {
		if c, err := ParseCase(line); err == nil {
			t.Errorf("%q gives %+v", line, c)
		} else if !fault.Is(err, fault.Usage) {
			t.Errorf("%q: kind of %v", line, err)
		}
	}
}

const goodCases = `
# the table
person list => allow rule=person-list
person reveal vault=dev tier=standard => ask
person reveal vault=dev tier=standard window direct => allow
agent use tier=presence => ask lease=15m ceiling=use rule=agent-use
agent hold tier=standard => ask lease=0s
agent reveal tier=standard => deny rule=agent-never-reveals
service list => deny
`

func TestRunCases(t *testing.T) {
	s := mustLoad(t, Default())
	cases, err := ParseCases("cases", goodCases)
	if err != nil {
		t.Fatal(err)
	}
	results := RunCases(s, cases)
	if len(results) != 7 || results[0].Case.Line != 3 {
		t.Fatalf("got %+v", results)
	}
	for _, r := range results {
		if r.Fault != "" {
			t.Errorf("line %d: %s", r.Case.Line, r.Fault)
		}
	}
	for line, want := range map[string]string{
		"person list => deny":                               "got allow, want deny; decided by person-list",
		"agent use tier=standard => ask rule=no lease=1m":   "rule no did not decide; got lease 15m0s, want 1m0s; decided by agent-use; an agent wants to use a secret",
		"agent use tier=standard => ask ceiling=reveal":     `got ceiling "use", want "reveal"; decided by agent-use; an agent wants to use a secret`,
		"service list => allow":                             "got deny, want allow; no rule lets a caller of kind service do this: list",
		"person use tier=standard => allow ceiling=hold":    "",
		"person use tier=standard sink=x program=y => deny": "got allow, want deny; decided by person-deliver-standard",
	} {
		c, err := ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := RunCases(s, []Case{c})[0].Fault; got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	if got := RunCases(nil, cases[:1])[0].Fault; !strings.Contains(got, "no policy") {
		t.Errorf("no set: %q", got)
	}
}

func TestParseCasesPlaces(t *testing.T) {
	_, err := ParseCases("f.txt", "# x\n\nperson list => allow\r\nperson lits => allow\n")
	if err == nil || !strings.HasPrefix(err.Error(), "f.txt:4: ") || !strings.Contains(err.Error(), "lits") {
		t.Errorf("got %v", err)
	}
	if _, err := ParseCases("f.txt", "# nothing\n"); err == nil {
		t.Error("a file without a case passes")
	}
	if _, err := ParseCases("f.txt", strings.Repeat("person list => allow\n", maxCases+1)); err == nil {
		t.Error("too many cases pass")
	}
}

func FuzzParseCases(f *testing.F) {
	f.Add(goodCases)
	f.Add(`agent use tier=presence purpose:="a \"b\" =>" => allow rule=x lease=1m ceiling=use`)
	f.Add("person list =>")
	f.Add(`person list name="\xff" => allow`)
	f.Add("# only\n\n")
	s := mustLoad(f, Default())
	f.Fuzz(func(t *testing.T, text string) {
		cases, err := ParseCases("fuzz", text)
		if err != nil {
			if !fault.Is(err, fault.Usage) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		for i, r := range RunCases(s, cases) {
			c, err := ParseCase(r.Case.Text)
			if err != nil {
				t.Fatalf("%q alone: %v", r.Case.Text, err)
			}
			c.Line = cases[i].Line
			if d := cmp.Diff(cases[i], c); d != "" {
				t.Fatal(d)
			}
		}
	})
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		v    Verdict
		want string
	}{
		{Verdict{}, "decision: deny\nrule: none matched\n"},
		{Verdict{Decision: Allow, Ceiling: Hold, Rules: []string{"a", "b"}},
			"decision: allow\nrule: a\nrule: b\nceiling: hold\n"},
		{Verdict{Decision: Ask, Ask: Presence, Lease: 15 * time.Minute, Ceiling: Use, Rules: []string{"a"}, Reason: "why"},
			"decision: ask for presence\nreason: why\nrule: a\nlease: up to 15m0s\nceiling: use\n"},
		{Verdict{Decision: Ask, Ask: Presence, Ceiling: Use, Rules: []string{"a"}},
			"decision: ask for presence\nrule: a\nlease: none, each time anew\nceiling: use\n"},
	} {
		if d := cmp.Diff(c.want, Explain(c.v)); d != "" {
			t.Error(d)
		}
	}
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"a\n", "a", ""},
		{"a\r\nb\r\n", "a\nb\n", ""},
		{"", "a\nb\n", "+ a\n+ b\n"},
		{"a\nb\n", "", "- a\n- b\n"},
		{"a\nb\nc\n", "a\nx\nc\n", "  a\n- b\n+ x\n  c\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", "...\n  3\n  4\n- 5\n+ x\n  6\n  7\n...\n"},
		{"a\nb\nc\nd\n", "b\nc\nd\na\n", "- a\n  b\n  c\n  d\n+ a\n"},
		{"...\n", "+ a\n", "- ...\n+ + a\n"},
	} {
		if d := cmp.Diff(c.want, Diff(c.old, c.new)); d != "" {
			t.Errorf("%q to %q: %s", c.old, c.new, d)
		}
	}
}

// What a person approves must be all that changes: the marked lines must turn
// the old text into the new one.
func TestDiffIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "", "- a", "..."}), 0, 12)
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		var old, new []string
		for _, o := range edits(a, b) {
			if o[0] != '+' {
				old = append(old, o[2:])
			}
			if o[0] != '-' {
				new = append(new, o[2:])
			}
		}
		if strings.Join(old, "\n") != strings.Join(a, "\n") || strings.Join(new, "\n") != strings.Join(b, "\n") {
			t.Fatalf("%q to %q gave %q", a, b, edits(a, b))
		}
	})
}

func TestDiffBeyondTheBound(t *testing.T) {
	var a, b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&a, "a%d\n", i)
		fmt.Fprintf(&b, "b%d\n", i)
	}
	got := Diff("same\n"+a.String(), "same\n"+b.String())
	if !strings.HasPrefix(got, "  same\n- a0\n- a1\n") || strings.Count(got, "\n") != 6001 {
		t.Errorf("got %d lines", strings.Count(got, "\n"))
	}
}

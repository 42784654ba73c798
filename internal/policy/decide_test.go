package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var actions = []string{"list", "use", "hold", "run-agent", "reveal", "create", "propose", "edit", "bind", "title",
	"tier", "move", "delete", "grant", "vault-create", "policy-apply", "setting"}

func facts(caller, action, tier string) Facts {
	return Facts{Caller: caller, Action: action, Target: Target{Tier: tier}}
}

// TestDefaultTable is the table of who may do what, every cell of it.
func TestDefaultTable(t *testing.T) {
	const yes, ask, no = Allow, Ask, Deny
	s := mustLoad(t, Default())
	for action, c := range map[string]struct {
		person, guarded      Decision // on standard and presence vaults
		agent, agentGuarded  Decision
		lease                time.Duration // an agent's
		personTop, agentsTop Grade
	}{
		"list":         {yes, yes, yes, yes, 0, Reveal, Reveal},
		"use":          {yes, ask, ask, ask, 15 * time.Minute, Hold, Use},
		"hold":         {yes, ask, ask, ask, 0, Hold, Hold},
		"run-agent":    {ask, ask, ask, ask, 0, Hold, Hold},
		"reveal":       {ask, ask, no, no, 0, Reveal, ""},
		"create":       {yes, yes, yes, yes, 0, Reveal, Reveal},
		"propose":      {yes, yes, yes, yes, 0, Reveal, Reveal},
		"edit":         {yes, yes, no, no, 0, Reveal, ""},
		"bind":         {ask, ask, no, no, 0, Reveal, ""},
		"title":        {ask, ask, no, no, 0, Reveal, ""},
		"tier":         {ask, ask, no, no, 0, Reveal, ""},
		"move":         {ask, ask, no, no, 0, Reveal, ""},
		"delete":       {ask, ask, no, no, 0, Reveal, ""},
		"grant":        {ask, ask, no, no, 0, Reveal, ""},
		"vault-create": {ask, ask, no, no, 0, Reveal, ""},
		"policy-apply": {ask, ask, no, no, 0, Reveal, ""},
		"setting":      {ask, ask, no, no, 0, Reveal, ""},
	} {
		for _, row := range []struct {
			caller, tier string
			want         Decision
			lease        time.Duration
			top          Grade
		}{
			{"person", "standard", c.person, 0, c.personTop},
			{"person", "presence", c.guarded, 0, c.personTop},
			{"agent", "standard", c.agent, c.lease, c.agentsTop},
			{"agent", "presence", c.agentGuarded, c.lease, c.agentsTop},
			{"service", "standard", no, 0, ""},
			{"service", "presence", no, 0, ""},
		} {
			v := s.Decide(facts(row.caller, action, row.tier))
			if v.Decision != row.want || v.Lease != row.lease || v.Ceiling != row.top {
				t.Errorf("%s %s %s: got %+v, want %+v", row.caller, action, row.tier, v, row)
			}
			if (v.Decision == Ask) != (v.Ask == Presence) {
				t.Errorf("%s %s: %s asks %q", row.caller, action, v.Decision, v.Ask)
			}
			if v.Decision == Deny && v.Reason == "" {
				t.Errorf("%s %s: denied without a reason", row.caller, action)
			}
		}
	}
	if n := len(actions); n != 17 {
		t.Errorf("the table has 17 actions, there are %d", n)
	}
}

func TestDefaultHints(t *testing.T) {
	s := mustLoad(t, Default())
	v := s.Decide(facts("agent", "reveal", "standard"))
	if !strings.Contains(v.Reason, "`thumbturn run`") || !slices.Equal(v.Rules, []string{"agent-never-reveals"}) {
		t.Errorf("got %+v", v)
	}
	if v = s.Decide(facts("agent", "edit", "standard")); !strings.Contains(v.Reason, "propose") {
		t.Errorf("got %+v", v)
	}
	if v = s.Decide(facts("service", "list", "")); !strings.Contains(v.Reason, "service") || len(v.Rules) > 0 {
		t.Errorf("got %+v", v)
	}
}

func TestRevealWindow(t *testing.T) {
	s := mustLoad(t, Default())
	for _, c := range []struct {
		tier           string
		window, direct bool
		want           Decision
	}{
		{"standard", true, true, Allow},
		{"standard", true, false, Ask},
		{"standard", false, true, Ask},
		{"presence", true, true, Ask},
	} {
		f := facts("person", "reveal", c.tier)
		f.Window, f.DirectChild = c.window, c.direct
		if v := s.Decide(f); v.Decision != c.want {
			t.Errorf("%+v: got %s", c, v.Decision)
		}
		f.Caller = "agent"
		if v := s.Decide(f); v.Decision != Deny {
			t.Errorf("%+v: agent gets %s", c, v.Decision)
		}
	}
}

// A lease stands for the gesture of an agent's use, and of its hold on a standard
// vault, and of nothing else. The built-in policy gives none for a hold.
func TestLeased(t *testing.T) {
	s := mustLoad(t, Default())
	for _, a := range actions {
		for _, tier := range []string{"standard", "presence"} {
			for _, who := range []string{"person", "agent", "service"} {
				f := facts(who, a, tier)
				before := s.Decide(f)
				if before.Lease != 0 && a != "use" {
					t.Errorf("%s %s %s: gives a lease: %+v", who, a, tier, before)
				}
				f.Lease = true
				want := before.Decision
				if who == "agent" && (a == "use" || a == "hold" && tier == "standard") {
					want = Allow
				}
				if v := s.Decide(f); v.Decision != want || v.Lease != 0 {
					t.Errorf("%s %s %s: got %+v", who, a, tier, v)
				}
			}
		}
	}
}

// A grant stands for the gesture of an agent's hold on a standard vault, and of
// nothing else.
func TestGranted(t *testing.T) {
	s := mustLoad(t, Default())
	for _, a := range actions {
		for _, tier := range []string{"standard", "presence"} {
			for _, who := range []string{"person", "agent", "service"} {
				f := facts(who, a, tier)
				want := s.Decide(f).Decision
				f.Grant = true
				if who == "agent" && a == "hold" && tier == "standard" {
					want = Allow
				}
				if v := s.Decide(f); v.Decision != want {
					t.Errorf("%s %s %s: got %+v, want %s", who, a, tier, v, want)
				}
			}
		}
	}
}

func TestUnknownDenies(t *testing.T) {
	s := mustLoad(t, `@id("all") @ask("none")`+anything)
	ok := facts("person", "use", "standard")
	if v := s.Decide(ok); v.Decision != Allow {
		t.Fatalf("got %+v", v)
	}
	for name, f := range map[string]Facts{
		"zero":                  {},
		"no caller":             facts("", "use", "standard"),
		"caller of other case":  facts("Person", "use", "standard"),
		"unknown action":        facts("person", "usee", "standard"),
		"no action":             facts("person", "", "standard"),
		"unknown tier":          facts("person", "use", "high"),
		"no tier":               facts("person", "use", ""),
		"no tier, delete":       facts("person", "delete", ""),
		"unknown tier, no need": facts("person", "list", "high"),
		"tier none":             facts("person", "use", "none"),
		"other grade":           {Caller: "person", Action: "use", Target: Target{Tier: "standard", Grade: "reveal"}},
		"unknown grade":         {Caller: "person", Action: "use", Target: Target{Tier: "standard", Grade: "x"}},
		"grade of nothing":      {Caller: "person", Action: "list", Target: Target{Grade: "use"}},
	} {
		f.Digest = [32]byte{7}
		v := s.Decide(f)
		if v.Decision != Deny || v.Reason == "" || v.Ask != NoTier || v.Ceiling != "" || v.Digest != f.Digest {
			t.Errorf("%s: got %+v", name, v)
		}
	}
	var zero Set
	for _, s := range []*Set{nil, &zero} {
		if v := s.Decide(ok); v.Decision != Deny {
			t.Errorf("%v: got %+v", s, v)
		}
	}
	if (Verdict{}).Decision != Deny || Decision(9).String() != "deny" {
		t.Error("the zero verdict does not deny")
	}
}

func TestStrictestWins(t *testing.T) {
	permit := func(id, more string) string { return fmt.Sprintf("@id(%q) %s %s\n", id, more, anything) }
	for name, c := range map[string]struct {
		text string
		want Verdict
	}{
		"any ask beats none": {permit("b", `@ask("none")`) + permit("a", `@ask("presence") @reason("r")`),
			Verdict{Decision: Ask, Ask: Presence, Ceiling: Reveal, Rules: []string{"a", "b"}, Reason: "r"}},
		"silence asks": {permit("a", ""),
			Verdict{Decision: Ask, Ask: Presence, Ceiling: Reveal, Rules: []string{"a"}}},
		"shortest lease": {permit("a", `@lease("10m")`) + permit("b", `@lease("5m")`) + permit("c", `@lease("1h")`),
			Verdict{Decision: Ask, Ask: Presence, Lease: 5 * time.Minute, Ceiling: Reveal, Rules: []string{"a", "b", "c"}}},
		"no lease is shortest": {permit("a", `@lease("10m")`) + permit("b", ``),
			Verdict{Decision: Ask, Ask: Presence, Ceiling: Reveal, Rules: []string{"a", "b"}}},
		"a permit that does not ask leaves the lease": {permit("a", `@lease("10m")`) + permit("b", `@ask("none")`),
			Verdict{Decision: Ask, Ask: Presence, Lease: 10 * time.Minute, Ceiling: Reveal, Rules: []string{"a", "b"}}},
		"lowest ceiling": {permit("a", `@ask("none") @ceiling("hold")`) + permit("b", `@ask("none")`),
			Verdict{Decision: Allow, Ceiling: Hold, Rules: []string{"a", "b"}}},
		"above the ceiling": {permit("a", `@ask("none") @ceiling("use")`) + permit("b", `@ask("none")`),
			Verdict{Rules: []string{"a", "b"}, Reason: "the rules give use at most, not hold"}},
		"a forbid denies": {permit("a", `@ask("none")`) + `@id("no") @reason("never") forbid (principal, action, resource);`,
			Verdict{Rules: []string{"no"}, Reason: "never"}},
		"two reasons": {permit("a", `@reason("x")`) + permit("b", `@reason("y")`) + permit("c", `@reason("x")`),
			Verdict{Decision: Ask, Ask: Presence, Ceiling: Reveal, Rules: []string{"a", "b", "c"}, Reason: "x; y"}},
		"the reason of the asking rule": {permit("a", `@ask("none") @reason("x")`) + permit("b", `@reason("y")`),
			Verdict{Decision: Ask, Ask: Presence, Ceiling: Reveal, Rules: []string{"a", "b"}, Reason: "y"}},
		"an error in a permit denies": {permit("a", `@ask("none")`) +
			`@id("broken") permit (principal, action, resource) when { 9223372036854775807 + 1 > 0 };`,
			Verdict{Rules: []string{"broken"}, Reason: "rule broken cannot be evaluated"}},
		"an error in a forbid denies": {permit("a", `@ask("none")`) +
			`@id("broken") forbid (principal, action, resource) when { 9223372036854775807 * 2 == 0 };`,
			Verdict{Rules: []string{"broken"}, Reason: "rule broken cannot be evaluated"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustLoad(t, c.text)
			f := facts("person", "hold", "standard")
			f.Digest, c.want.Digest = [32]byte{1}, [32]byte{1}
			if d := cmp.Diff(c.want, s.Decide(f)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Every fact reaches the rules, under its own name.
func TestFactsReachRules(t *testing.T) {
	full := Facts{Caller: "agent", Agent: "claude", Session: true, Foreground: true, DirectChild: true, Action: "use",
		Principal: Claim{"uid", true}, Tenant: Claim{"acme", true}, Purpose: Claim{"why", true}, Lease: true, Window: true,
		Target: Target{Vault: "v", Name: "n", Tier: "presence", Item: "i", Field: "f", Grade: "use", Sink: "s", Program: "p"}}
	bare := Facts{Caller: "agent", Action: "use", Target: Target{Tier: "standard"}}
	for _, cond := range []string{
		`principal.label == "claude"`, `principal.session`, `principal.foreground`, `principal.direct`,
		`resource.vault == "v"`, `resource.name == "n"`, `resource.presence`, `!resource.standard`, `resource.item == "i"`,
		`resource.field == "f"`, `context.sink == "s"`, `context.program like "p*"`, `context.lease`, `context.window`,
		`context.principal.value == "uid"`, `context.principal.derived`, `context.tenant.value == "acme"`,
		`context.tenant.derived`, `context.purpose.value == "why"`, `context.purpose.derived`,
	} {
		s := mustLoad(t, `@id("a") @ask("none") permit (principal, action, resource) when { `+cond+` };`)
		if v := s.Decide(full); v.Decision != Allow {
			t.Errorf("%s: got %+v", cond, v)
		}
		if v := s.Decide(bare); v.Decision != Deny {
			t.Errorf("%s without it: got %+v", cond, v)
		}
	}
}

func TestStricter(t *testing.T) {
	allow := Verdict{Decision: Allow, Ceiling: Reveal, Rules: []string{"x"}, Reason: "fine"}
	asks := Verdict{Decision: Ask, Ask: Presence, Lease: time.Minute, Ceiling: Use, Rules: []string{"b"}, Reason: "r"}
	asks2 := Verdict{Decision: Ask, Ask: Presence, Lease: time.Second, Ceiling: Hold, Rules: []string{"a", "b"}, Reason: "q"}
	deny := Verdict{Rules: []string{"no"}, Reason: "never"}
	for _, c := range []struct{ a, b, want Verdict }{
		{allow, asks, asks},
		{asks, allow, asks},
		{allow, deny, deny},
		{deny, asks, deny},
		{asks, asks2, Verdict{Decision: Ask, Ask: Presence, Lease: time.Second, Ceiling: Use,
			Rules: []string{"a", "b"}, Reason: "r; q"}},
		{asks, Verdict{Decision: Allow, Digest: [32]byte{1}}, Verdict{Reason: "the verdicts are not about one request"}},
	} {
		if d := cmp.Diff(c.want, c.a.Stricter(c.b)); d != "" {
			t.Errorf("%+v and %+v: %s", c.a, c.b, d)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.SampledFrom([]Verdict{allow, asks, asks2, deny})
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		v, w := a.Stricter(b), b.Stricter(a)
		if v.Decision != min(a.Decision, b.Decision) || v.Decision != w.Decision || v.Lease != w.Lease ||
			v.Ceiling != w.Ceiling || !slices.Equal(v.Rules, w.Rules) || !slices.IsSorted(v.Rules) {
			t.Fatalf("%+v, %+v", v, w)
		}
	})
}

// Adding a rule never turns a denial by a forbid into leave, and a forbid for
// everybody denies everything.
func TestForbidAlwaysWins(t *testing.T) {
	s := mustLoad(t, Default()+`@id("freeze") forbid (principal, action, resource);`)
	rapid.Check(t, func(t *rapid.T) {
		f := facts(rapid.SampledFrom([]string{"person", "agent", "service"}).Draw(t, "caller"),
			rapid.SampledFrom(actions).Draw(t, "action"), rapid.SampledFrom([]string{"", "standard", "presence"}).Draw(t, "tier"))
		f.Window, f.Lease, f.DirectChild = rapid.Bool().Draw(t, "w"), rapid.Bool().Draw(t, "l"), rapid.Bool().Draw(t, "d")
		if v := s.Decide(f); v.Decision != Deny {
			t.Fatalf("%+v: %+v", f, v)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	s := mustLoad(b, Default())
	f := facts("agent", "use", "standard")
	for b.Loop() {
		s.Decide(f)
	}
}

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func mustLoad(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Load("test.cedar", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const anything = `permit (principal, action, resource);`

func TestLoadRefuses(t *testing.T) {
	when := func(cond string) string {
		return "@id(\"a\")\nforbid (principal, action, resource) when { " + cond + " };"
	}
	for name, c := range map[string]struct{ text, at, msg string }{
		"nothing":                {"", "1:1", "no rule"},
		"only a comment":         {"// hm\n", "1:1", "no rule"},
		"not closed":             {"@id(\"a\")\n  permit (principal, action, resource)", "3:1", "want ;"},
		"string not closed":      {`@id("a`, "1:5", "not terminated"},
		"no id":                  {"\n\n" + anything, "3:1", "no @id"},
		"empty id":               {`@id ` + anything, "1:1", "@id"},
		"bad id":                 {`@id("A b")` + anything, "1:1", "@id"},
		"id twice":               {`@id("a")` + anything + "\n" + ` @id("a")` + anything, "2:2", "two rules"},
		"annotation twice":       {`@id("a") @id("b")` + anything, "1:", "duplicate"},
		"misspelt annotation":    {`@id("a") @aks("presence")` + anything, "1:1", "no such annotation"},
		"bad ask":                {`@id("a") @ask("Presence")` + anything, "1:1", "@ask"},
		"empty ask":              {`@id("a") @ask ` + anything, "1:1", "@ask"},
		"bad lease":              {`@id("a") @lease("15")` + anything, "1:1", "@lease"},
		"lease of nothing":       {`@id("a") @lease("0s")` + anything, "1:1", "@lease"},
		"lease backwards":        {`@id("a") @lease("-1m")` + anything, "1:1", "@lease"},
		"lease too long":         {`@id("a") @lease("25h")` + anything, "1:1", "@lease"},
		"lease without ask":      {`@id("a") @ask("none") @lease("5m")` + anything, "1:1", "@lease"},
		"bad ceiling":            {`@id("a") @ceiling("all")` + anything, "1:1", "@ceiling"},
		"reason of two lines":    {`@id("a") @reason("x\ny")` + anything, "1:1", "@reason"},
		"reason turned round":    {`@id("a") @reason("x\u{202e}y")` + anything, "1:1", "@reason"},
		"empty reason":           {`@id("a") @reason("")` + anything, "1:1", "@reason"},
		"forbid that asks":       {`@id("a") @ask("presence") forbid (principal, action, resource);`, "1:1", "forbid"},
		"misspelt attribute":     {when("resource.vualt == \"prod\""), "1:1", "vualt"},
		"misspelt principal's":   {when("principal.forground"), "1:1", "forground"},
		"misspelt in context":    {when("context.windwo"), "1:1", "windwo"},
		"misspelt in a claim":    {when("context.purpose.val == \"x\""), "1:1", "val"},
		"misspelt tier":          {when("resource.presense"), "1:1", "presense"},
		"misspelt type":          {when("principal is Persn"), "2:58", "Persn"},
		"type of resource":       {when("resource is Agent"), "2:54", "principal"},
		"namespace":              {when(`principal is Agent::X`), "2:63", "names"},
		"namespace of actions":   {when(`action == Action::X::"use"`), "2:64", "names"},
		"wrong type":             {when("context.window == \"yes\""), "1:1", ""},
		"misspelt in condition":  {when(`action == Action::"revael"`), "1:1", "revael"},
		"unknown function":       {when(`ipp("1.2.3.4").isLoopback()`), "", ""},
		"has":                    {when("context has windwo"), "2:53", "has"},
		"hidden has":             {when("context/* */has windwo"), "2:57", "has"},
		"misspelt action":        {`@id("a") forbid (principal, action == Action::"revael", resource);`, "1:1", "revael"},
		"misspelt in action set": {`@id("a") forbid (principal, action in [Action::"use", Action::"hodl"], resource);`, "1:1", "hodl"},
		"misspelt kind":          {`@id("a") forbid (principal is Agnt, action, resource);`, "1:31", "Agnt"},
		"named principal":        {`@id("a") forbid (principal == Agent::"claude", action, resource);`, "1:36", "attributes"},
		"named, with blanks":     {`@id("a") forbid (principal == Agent /*x*/ :: "claude", action, resource);`, "1:43", "attributes"},
		"named resource":         {when(`resource == Target::"x"`), "2:63", "attributes"},
		"resource in scope":      {`@id("a") forbid (principal, action, resource == Target::"x");`, "1:55", "attributes"},
		"invisible character":    {"@id(\"a\") // x\u200by\n" + anything, "1:14", "U+200B"},
		"byte order mark":        {"\ufeff@id(\"a\")" + anything, "1:1", "U+FEFF"},
		"not UTF-8":              {"// \xff", "1:4", "UTF-8"},
		"lone carriage return":   {"// a\rb", "1:5", "carriage"},
		"deep brackets":          {when(strings.Repeat("(", 100)), "2:", "deeper"},
		"long rule":              {when(strings.Repeat("true && ", 4<<10)), "2:", "longer"},
		"long text":              {strings.Repeat("\n", 4) + strings.Repeat("// x\n", maxText/5+1), "1:1", "longer"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load("p.cedar", c.text)
			if err == nil || s != nil {
				t.Fatalf("loaded")
			}
			if !fault.Is(err, fault.Usage) {
				t.Errorf("kind of %v is %q", err, fault.KindOf(err))
			}
			if !strings.HasPrefix(err.Error(), "p.cedar:"+c.at) || !strings.Contains(err.Error(), c.msg) {
				t.Errorf("got %q, want it at %s with %q", err, c.at, c.msg)
			}
		})
	}
}

func TestLoadReportsAllRules(t *testing.T) {
	_, err := Load("p", anything+"\n"+`@id("b") @x("1")`+anything+"\n"+`@id("ok")`+anything)
	if err == nil {
		t.Fatal("loaded")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "p:1:1") || !strings.HasPrefix(lines[1], "p:2:1") {
		t.Errorf("got %q", lines)
	}
}

func TestAnnotations(t *testing.T) {
	s := mustLoad(t, `@id("bare")`+anything+
		`@id("full") @ask("presence") @lease("90s") @ceiling("hold") @reason("why: 1 ✓")`+anything+
		`@id("free") @ask("none")`+anything+
		`@id("not") forbid (principal is Service, action, resource);`)
	want := map[string]rule{
		"bare": {id: "bare", ask: Presence, ceiling: Reveal},
		"full": {id: "full", ask: Presence, lease: 90 * time.Second, ceiling: Hold, reason: "why: 1 ✓"},
		"free": {id: "free", ceiling: Reveal},
		"not":  {id: "not", ask: Presence, ceiling: Reveal},
	}
	got := map[string]rule{}
	for id, r := range s.rules {
		got[string(id)] = r
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(rule{})); d != "" {
		t.Error(d)
	}
}

func TestHash(t *testing.T) {
	text := "@id(\"a\")\n" + anything + "\n"
	h := mustLoad(t, text).Hash()
	for _, same := range []string{strings.ReplaceAll(text, "\n", "\r\n"), text + "\n\n", strings.TrimRight(text, "\n")} {
		s := mustLoad(t, same)
		if s.Hash() != h || s.Text() != text {
			t.Errorf("%q has another hash or text", same)
		}
	}
	for _, other := range []string{"// x\n" + text, " " + text, strings.Replace(text, "a", "b", 1)} {
		if mustLoad(t, other).Hash() == h {
			t.Errorf("%q has the same hash", other)
		}
	}
	if (*Set)(nil).Hash() == h || (*Set)(nil).Text() != "" {
		t.Error("a nil set has a text")
	}
}

// The lists of actions in schema and code must be one, and a question must
// conform to the schema, or a rule might be skipped.
func TestSchemaMatchesCode(t *testing.T) {
	check, err := newChecker()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range actions {
		f := Facts{Caller: "agent", Agent: "x", Action: a, Target: Target{Tier: tierStandard}}
		_, why := f.known()
		if why != "" {
			t.Fatal(why)
		}
		for _, who := range []string{"person", "agent", "service"} {
			f.Caller = who
			if err := check.request(question(f)); err != nil {
				t.Errorf("%s %s: %v", who, a, err)
			}
		}
		if n := strings.Count(schemaText, `"`+a+`"`); n < 1 {
			t.Errorf("the schema lacks action %s", a)
		}
	}
	f := Facts{Caller: "agent", Action: "usee", Target: Target{Tier: "x"}}
	if err := check.request(question(f)); err == nil {
		t.Error("the schema knows an action that the code does not")
	}
	block := schemaText[strings.Index(schemaText, "\naction "):]
	block = block[:strings.Index(block, "appliesTo")]
	if n := strings.Count(block, `"`) / 2; n != len(actions) {
		t.Errorf("the schema has %d actions, the tests %d", n, len(actions))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Default())
	f.Add(`@id("a")` + anything)
	f.Add(`@id("a") @ask("none") @ceiling("use") permit (principal is Person, action in [Action::"use"], resource) when { resource.standard && !context.lease };`)
	f.Add(`@id("a") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };`)
	f.Add(`@id("a") forbid (principal, action, resource) unless { if context.window then context.sink like "*\*x" else [1,2].contains(1) };`)
	f.Add(`/* " */ @id("\u{61}") permit (principal, action, resource) when { ip("10.0.0.1").isLoopback() };`)
	f.Add(strings.Repeat("(", 50) + `"\"`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Load("fuzz", text)
		if err != nil {
			if s != nil || !fault.Is(err, fault.Usage) {
				t.Fatalf("set %v, error %v", s, err)
			}
			return
		}
		again, err := Load("fuzz", s.Text())
		if err != nil || again.Hash() != s.Hash() {
			t.Fatalf("its own text does not load to the same: %v", err)
		}
		for _, a := range actions {
			v := s.Decide(Facts{Caller: "agent", Action: a, Target: Target{Tier: tierPresence}})
			if v.Decision != Deny && len(v.Rules) == 0 {
				t.Fatalf("%s: %v without a rule", a, v.Decision)
			}
		}
	})
}

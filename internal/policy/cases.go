package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Bounds of a file of cases.
const (
	maxCases    = 10_000
	maxCaseLine = 4 << 10 // bytes
)

// Case is one line of a test file: facts, and the verdict they should get.
type Case struct {
	Line  int    // counted from 1; 0 where ParseCase read it
	Text  string // the line itself
	Facts Facts
	Want  Decision
	Rules []string       // each must be among the rules that decided
	Lease *time.Duration // must be equal, where given
	Limit Grade          // must be the ceiling, where given
}

// Result is how one case went. Fault is empty where it passed, and one line
// that says what differs where it did not.
type Result struct {
	Case  Case
	Got   Verdict
	Fault string
}

// ParseCases reads a test file: one case a line; empty lines, and lines that
// start with #, are passed over. Errors are fault.Usage and start with
// "name:line".
func ParseCases(name, text string) ([]Case, error) {
	var out []Case
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		c, err := parseCase(line)
		if err != nil {
			return nil, refuse(name+":"+strconv.Itoa(i+1), err.Error())
		}
		c.Line = i + 1
		if out = append(out, c); len(out) > maxCases {
			return nil, refuse(name+":"+strconv.Itoa(i+1), "too many cases")
		}
	}
	if len(out) == 0 {
		return nil, refuse(name, "there is no case")
	}
	return out, nil
}

// ParseCase reads one case:
//
//	person reveal vault=dev tier=standard => ask
//	agent use tier=presence lease purpose="nightly build" => allow rule=agent-use-leased
//
// First the kind of caller and the action; then facts in any order, each once:
// the words session, foreground, direct, lease, window and grant, and agent, vault,
// name, tier, item, field, grade, sink, program, principal, tenant and purpose
// with "=" and a value, in Go's double quotes where it has blanks. The last
// three are claims; with ":=" they are derived. After "=>" the decision, allow,
// ask or deny, and then any of rule=id, lease=15m (0s for none) and
// ceiling=grade. Errors are fault.Usage.
func ParseCase(line string) (Case, error) {
	c, err := parseCase(line)
	if err != nil {
		return Case{}, fault.New(fault.Usage, "policy case", "", err.Error())
	}
	return c, nil
}

func parseCase(line string) (Case, error) {
	words, err := fields(line)
	if err != nil {
		return Case{}, err
	}
	arrow := slices.Index(words, field{key: "=>"})
	if arrow < 2 || arrow == len(words)-1 {
		return Case{}, fmt.Errorf("a case is: caller action [facts] => decision")
	}
	c := Case{Text: line, Facts: Facts{Caller: words[0].key, Action: words[1].key}}
	_, known := action(c.Facts.Action)
	switch {
	case words[0].op != "" || kind(c.Facts.Caller) == "":
		return Case{}, fmt.Errorf("the caller is person, agent or service, not %q", words[0].key)
	case words[1].op != "" || !known:
		return Case{}, fmt.Errorf("there is no action %q", words[1].key)
	}
	seen := map[string]bool{}
	for _, w := range words[2:arrow] {
		if seen[w.key] {
			return Case{}, fmt.Errorf("%q is given twice", w.key)
		}
		seen[w.key] = true
		if !c.Facts.take(w) {
			return Case{}, fmt.Errorf("no such fact, or not of this form: %q", w.key+w.op+w.value)
		}
	}
	if _, why := c.Facts.known(); why != "" {
		return Case{}, fmt.Errorf("%s", why)
	}
	return c, c.expect(words[arrow+1:])
}

// field is one blank-separated word of a case: key, or key op value.
type field struct{ key, op, value string }

// fields cuts a line into its words.
func fields(line string) ([]field, error) {
	if len(line) > maxCaseLine || !utf8.ValidString(line) || strings.ContainsAny(line, "\n\x00") {
		return nil, fmt.Errorf("a case is one line of UTF-8 of at most %d bytes", maxCaseLine)
	}
	var out []field
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		end := strings.IndexAny(rest+" ", " \t")
		cut := strings.IndexByte(rest[:end], '=')
		if cut <= 0 {
			out, rest = append(out, field{key: rest[:end]}), rest[end:]
			continue
		}
		f := field{key: rest[:cut], op: "="}
		if k, ok := strings.CutSuffix(f.key, ":"); ok {
			f.key, f.op = k, ":="
		}
		f.value, rest = rest[cut+1:end], rest[cut+1:]
		if !strings.HasPrefix(rest, `"`) {
			out, rest = append(out, f), rest[end-cut-1:]
			continue
		}
		q, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, fmt.Errorf("the quotes of %s do not close", f.key)
		}
		rest = rest[len(q):]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return nil, fmt.Errorf("a blank is missing after the quotes of %s", f.key)
		}
		if f.value, err = strconv.Unquote(q); err != nil {
			return nil, fmt.Errorf("the quotes of %s are malformed", f.key)
		}
		out = append(out, f)
	}
	return out, nil
}

// take sets one fact and says whether there is such a fact.
func (f *Facts) take(w field) bool {
	flags := map[string]*bool{"session": &f.Session, "foreground": &f.Foreground, "direct": &f.DirectChild,
		"lease": &f.Lease, "window": &f.Window, "grant": &f.Grant}
	texts := map[string]*string{"agent": &f.Agent, "vault": &f.Vault, "name": &f.Name, "tier": &f.Tier,
		"item": &f.Item, "field": &f.Field, "grade": &f.Grade, "sink": &f.Sink, "program": &f.Program}
	claims := map[string]*Claim{"principal": &f.Principal, "tenant": &f.Tenant, "purpose": &f.Purpose}
	if p := flags[w.key]; p != nil && w.op == "" {
		*p = true
		return true
	}
	if p := texts[w.key]; p != nil && w.op == "=" {
		*p = w.value
		return true
	}
	if p := claims[w.key]; p != nil && w.op != "" {
		*p = Claim{Value: w.value, Derived: w.op == ":="}
		return true
	}
	return false
}

// expect reads what stands after the arrow.
func (c *Case) expect(words []field) error {
	switch words[0] {
	case field{key: "allow"}:
		c.Want = Allow
	case field{key: "ask"}:
		c.Want = Ask
	case field{key: "deny"}:
		c.Want = Deny
	default:
		return fmt.Errorf("the decision is allow, ask or deny, not %q", words[0].key)
	}
	for _, w := range words[1:] {
		switch {
		case w.op != "=":
			return fmt.Errorf("no such expectation: %q", w.key)
		case w.key == "rule" && w.value != "":
			c.Rules = append(c.Rules, w.value)
		case w.key == "lease" && c.Lease == nil:
			d, err := time.ParseDuration(w.value)
			if err != nil || d < 0 {
				return fmt.Errorf("lease=%s is not a duration", w.value)
			}
			c.Lease = &d
		case w.key == "ceiling" && c.Limit == "" && Grade(w.value).rank() > 0:
			c.Limit = Grade(w.value)
		default:
			return fmt.Errorf("no such expectation, or given twice: %q", w.key+"="+w.value)
		}
	}
	return nil
}

// RunCases decides every case and compares.
func RunCases(s *Set, cases []Case) []Result {
	out := make([]Result, 0, len(cases))
	for _, c := range cases {
		v := s.Decide(c.Facts)
		out = append(out, Result{Case: c, Got: v, Fault: c.differs(v)})
	}
	return out
}

// differs says in one line how a verdict is not the one expected; "" if it is.
func (c Case) differs(v Verdict) string {
	var say []string
	if v.Decision != c.Want {
		say = append(say, fmt.Sprintf("got %s, want %s", v.Decision, c.Want))
	}
	for _, id := range c.Rules {
		if !slices.Contains(v.Rules, id) {
			say = append(say, "rule "+id+" did not decide")
		}
	}
	if c.Lease != nil && *c.Lease != v.Lease {
		say = append(say, fmt.Sprintf("got lease %s, want %s", v.Lease, *c.Lease))
	}
	if c.Limit != "" && c.Limit != v.Ceiling {
		say = append(say, fmt.Sprintf("got ceiling %q, want %q", v.Ceiling, c.Limit))
	}
	if len(say) == 0 {
		return ""
	}
	if len(v.Rules) > 0 {
		say = append(say, "decided by "+strings.Join(v.Rules, ", "))
	}
	if v.Reason != "" {
		say = append(say, v.Reason)
	}
	return strings.Join(say, "; ")
}

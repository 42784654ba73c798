package policy

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/cedar-policy/cedar-go"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// hashDomain keeps the hash of a policy apart from every other digest.
const hashDomain = "thumbturn/policy/v1\x00"

// Bounds of the annotations.
const (
	maxID     = 64             // bytes
	maxReason = 300            // bytes
	maxLease  = 24 * time.Hour // a lease is for a session, not for a week
	maxFaults = 20             // that one load reports
)

//go:embed default.cedar
var defaultText string

// Default returns the policy text that a new account starts with: who may do
// what when nobody has said otherwise. Services get nothing.
func Default() string { return canonical(defaultText) }

// rule is what the annotations of one policy say.
type rule struct {
	id      string
	ask     Tier
	lease   time.Duration
	ceiling Grade
	reason  string
}

// Set is a loaded policy text. It never changes and may be used by many at
// once. A nil Set and the zero Set deny everything.
type Set struct {
	text     string
	policies *cedar.PolicySet
	rules    map[cedar.PolicyID]rule
}

// Load parses a policy text and checks it strictly. name is the file's name, or
// another name for the text; errors are fault.Usage and start with
// "name:line:column".
//
// Principals are Person, Agent and Service; the resource is a Target; schema.go
// has their attributes and those of the context, and the closed list of
// actions. Every rule carries annotations out of these:
//
//	@id("a-z0-9-")            required, unique
//	@reason("text")           one printable line
//	@ask("none"|"presence")   a permit's; without it a permit asks for presence
//	@lease("15m")             the longest lease of a permit that asks; without it none
//	@ceiling("use"|"hold"|"reveal")   the highest grade of a permit; without it reveal
func Load(name, text string) (*Set, error) {
	text = canonical(text)
	if err := scan(name, text); err != nil {
		return nil, err
	}
	list, err := cedar.NewPolicyListFromBytes(name, []byte(text))
	if err != nil {
		return nil, parseFault(name, err)
	}
	if len(list) == 0 {
		return nil, refuse(place(name, 1, 1), "there is no rule, which would refuse everything")
	}
	check, err := newChecker()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "policy load", "schema", err)
	}
	s := &Set{text: text, policies: cedar.NewPolicySet(), rules: map[cedar.PolicyID]rule{}}
	var faults []error
	for _, p := range list {
		if err := s.add(check, p); err != nil && len(faults) < maxFaults {
			at := p.Position()
			faults = append(faults, refuse(place(name, at.Line, at.Column), err.Error()))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

func (s *Set) add(check checker, p *cedar.Policy) error {
	r, err := annotations(p)
	if err != nil {
		return err
	}
	if _, ok := s.rules[cedar.PolicyID(r.id)]; ok {
		return fmt.Errorf("there are two rules with @id(%q)", r.id)
	}
	if err := check.rule(r.id, p); err != nil {
		return err
	}
	s.rules[cedar.PolicyID(r.id)] = r
	s.policies.Add(cedar.PolicyID(r.id), p)
	return nil
}

// Text returns the canonical text: lines end in LF, the last one too.
func (s *Set) Text() string {
	if s == nil {
		return ""
	}
	return s.text
}

// Hash returns SHA-256 of "thumbturn/policy/v1\0" and the canonical text. It
// covers comments too, since a person who approves a policy reads them.
func (s *Set) Hash() [32]byte {
	return sha256.Sum256([]byte(hashDomain + s.Text()))
}

func canonical(text string) string {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if text == "" {
		return ""
	}
	return text + "\n"
}

func place(name string, line, col int) string { return fmt.Sprintf("%s:%d:%d", name, line, col) }

// refuse is fault.Usage that prints as "name:line:column: message", as
// compilers do.
func refuse(at, msg string) error { return fault.New(fault.Usage, "", at, msg) }

// parseFault moves the place that the parser's message starts with to the front.
func parseFault(name string, err error) error {
	msg := strings.ReplaceAll(err.Error(), "parser error: ", "")
	msg = strings.TrimPrefix(msg, "parse error at ")
	at := regexp.MustCompile(`^<input>:(\d+):(\d+):? ?`).FindStringSubmatch(msg)
	if at == nil {
		return refuse(place(name, 1, 1), msg)
	}
	return refuse(name+":"+at[1]+":"+at[2], strings.TrimPrefix(msg, at[0]))
}

// annotations reads what a policy says beside its conditions.
func annotations(p *cedar.Policy) (rule, error) {
	r := rule{ask: Presence, ceiling: Reveal}
	all := p.Annotations()
	permit := p.Effect() == cedar.Permit
	for _, key := range slices.Sorted(maps.Keys(all)) {
		k, v := string(key), string(all[key])
		if !permit && (k == "ask" || k == "lease" || k == "ceiling") {
			return r, fmt.Errorf("@%s belongs to a permit, this is a forbid", k)
		}
		if !r.set(k, v) {
			return r, fmt.Errorf("@%s(%q): %s", k, v, annotationHelp(k))
		}
	}
	if r.id == "" {
		return r, errors.New("the rule has no @id")
	}
	if r.lease > 0 && r.ask == NoTier {
		return r, errors.New(`@lease is for a permit that asks; this one has @ask("none")`)
	}
	return r, nil
}

// set takes one annotation and says whether name and value are known.
func (r *rule) set(key, value string) bool {
	switch key {
	case "id":
		r.id = value
		return len(value) <= maxID && regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(value)
	case "ask":
		r.ask = Tier(value)
		if value == "none" {
			r.ask = NoTier
		}
		return value == "none" || r.ask == Presence
	case "lease":
		d, err := time.ParseDuration(value)
		r.lease = d
		return err == nil && d > 0 && d <= maxLease
	case "ceiling":
		r.ceiling = Grade(value)
		return r.ceiling.rank() > 0
	case "reason":
		r.reason = value
		hidden := func(c rune) bool { return !unicode.IsPrint(c) }
		return value != "" && len(value) <= maxReason && !strings.ContainsFunc(value, hidden)
	}
	return false
}

func annotationHelp(key string) string {
	switch key {
	case "id":
		return fmt.Sprintf("an id is 1 to %d of a-z, 0-9 and -", maxID)
	case "ask":
		return `it is "none" or "presence"`
	case "lease":
		return `it is a duration such as "15m", at most 24h`
	case "ceiling":
		return `it is "use", "hold" or "reveal"`
	case "reason":
		return fmt.Sprintf("it is one printable line of at most %d bytes", maxReason)
	}
	return "no such annotation; there are @id, @ask, @lease, @ceiling and @reason"
}

// Package policy decides by rules: Cedar policies and the facts of one request
// give one verdict, which denies, allows, or asks for a person.
//
// Whatever is not known denies: an unknown caller, action, tier or grade, a
// rule that cannot be evaluated, a set that is not there. Of all rules that
// match, the strictest counts. The package does no I/O and reads no clock.
package policy

import (
	"slices"
	"strings"
	"time"
)

// Decision is the answer. The zero Decision is Deny.
type Decision uint8

// The decisions, strictest first.
const (
	Deny  Decision = iota
	Ask            // allowed once a person has approved this very request
	Allow          // allowed without a person
)

// String returns "deny", "ask" or "allow".
func (d Decision) String() string {
	switch d {
	case Ask:
		return "ask"
	case Allow:
		return "allow"
	}
	return "deny"
}

// Tier says how a person is asked.
type Tier string

// The tiers of asking.
const (
	NoTier   Tier = ""         // nobody is asked
	Presence Tier = "presence" // a gesture of a person over the request
)

// The tiers of a vault, as facts name them.
const (
	tierStandard = "standard"
	tierPresence = "presence"
)

// Grade is what the place of delivery lets the caller do with a value. The zero
// Grade belongs to verdicts that deny.
type Grade string

// The grades, mildest first.
const (
	Use    Grade = "use"    // the caller cannot read the value
	Hold   Grade = "hold"   // a child of the caller's own user holds it
	Reveal Grade = "reveal" // the caller gets the bytes
)

// rank orders the grades; unknown ones rank lowest.
func (g Grade) rank() int {
	switch g {
	case Use:
		return 1
	case Hold:
		return 2
	case Reveal:
		return 3
	}
	return 0
}

// Claim is a statement about the request, with its mark: derived by us from
// evidence, or merely claimed by the caller.
type Claim struct {
	Value   string
	Derived bool
}

// Facts is all a decision may depend on. The zero Facts is denied.
type Facts struct {
	Digest      [32]byte // of the request; copied into the verdict, seen by no rule
	Caller      string   // kind: person, agent or service
	Agent       string   // label of a recognised agent; may be empty; a label, not evidence
	Session     bool     // the session is marked as a person's
	Foreground  bool     // the caller is in the foreground of its terminal
	DirectChild bool     // the CLI's parent is the session leader itself
	Action      string   // one of the closed list in schema.go
	Principal   Claim    // on behalf of whom
	Tenant      Claim
	Purpose     Claim
	Lease       bool // a live lease covers exactly this
	Grant       bool // a live grant of a person covers exactly this
	Window      bool // the reveal window is open in this terminal
	Target
}

// Target is what a request concerns and where a value would go. Fields that do
// not apply are empty.
type Target struct {
	Vault   string // id
	Name    string // the vault's name
	Tier    string // standard or presence; required where the action concerns a vault
	Item    string // id
	Field   string
	Grade   string // of the sink, or none; must be that of the action where given
	Sink    string // kind of the sink
	Program string // base name of the program that gets the value
}

// Verdict is the answer to one request. The zero Verdict denies.
type Verdict struct {
	Decision Decision
	Ask      Tier          // how a person is asked; NoTier unless Decision is Ask
	Lease    time.Duration // longest lease the person may grant; 0 is none
	Ceiling  Grade         // highest grade the rules give; empty when denied
	Rules    []string      // ids of the rules that decided, sorted, each once
	Reason   string        // one line for people, of the rules' own texts; may be empty
	Digest   [32]byte      // of the request that the facts were about
}

// Stricter joins the verdicts over two subjects of one request: the stricter
// decision, the shorter lease, the lower ceiling. Verdicts about two different
// requests deny.
func (v Verdict) Stricter(w Verdict) Verdict {
	if v.Digest != w.Digest {
		return Verdict{Reason: "the verdicts are not about one request"}
	}
	out := v
	switch {
	case w.Decision < v.Decision:
		out = w
	case w.Decision == v.Decision:
		out.Rules = union(v.Rules, w.Rules)
		out.Reason = join(v.Reason, w.Reason)
		out.Lease = min(v.Lease, w.Lease)
	}
	out.Rules = slices.Clone(out.Rules)
	out.Ceiling = lower(v.Ceiling, w.Ceiling)
	return out
}

// lower returns the lower ceiling; an empty one, that of a denial, is lowest.
func lower(a, b Grade) Grade {
	if b.rank() < a.rank() {
		return b
	}
	return a
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// join puts two reasons on one line, saying nothing twice.
func join(a, b string) string {
	if a == "" {
		return b
	}
	said := strings.Split(a, "; ")
	for _, r := range strings.Split(b, "; ") {
		if r != "" && !slices.Contains(said, r) {
			said = append(said, r)
		}
	}
	return strings.Join(said, "; ")
}

// traits is what the package knows of an action.
type traits struct {
	grade Grade // of the delivery; empty where no value moves
	vault bool  // it concerns a vault, whose tier must be known
}

// action returns the traits of an action, and whether there is such an action.
// The list must equal the one in the schema.
func action(name string) (traits, bool) {
	switch name {
	case "use":
		return traits{grade: Use, vault: true}, true
	case "hold", "run-agent":
		return traits{grade: Hold, vault: true}, true
	case "reveal":
		return traits{grade: Reveal, vault: true}, true
	case "create", "propose", "edit", "bind", "title", "tier", "move", "delete", "grant":
		return traits{vault: true}, true
	case "list", "vault-create", "policy-apply", "setting":
		return traits{}, true
	}
	return traits{}, false
}

// kind returns the entity type of a kind of caller, empty for unknown ones.
func kind(caller string) string {
	switch caller {
	case "person":
		return "Person"
	case "agent":
		return "Agent"
	case "service":
		return "Service"
	}
	return ""
}

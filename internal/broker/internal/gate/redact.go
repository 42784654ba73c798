package gate

import (
	"regexp"
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// concealed stands where a credential stood.
const concealed = "[concealed]"

// shapes are credentials by their look: provider prefixes, JWTs, bearer and
// basic values, user information in URLs, and assignments to names that say
// secret. A signed record can never be taken back, so rather one too many.
var shapes = []*regexp.Regexp{
	regexp.MustCompile(`\b(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{8,}`),
	regexp.MustCompile(`\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|npm_[A-Za-z0-9]{30,})`),
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`),
	regexp.MustCompile(`(?i)\b(bearer|basic|token)[ :]+[A-Za-z0-9._~+/=-]{8,}`),
	regexp.MustCompile(`(?i)(://[^/\s:@]*:)[^/\s@]+@`),
	regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|credential|private[_-]?key)[a-z0-9_.-]*(?:\[[a-z]+\])?[=:])\S+`),
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*`),
}

// Shown returns text from outside as it may be recorded and displayed: without
// what looks like a credential.
func Shown(s string) string {
	if !suspect(s) {
		return s
	}
	for i, re := range shapes {
		with := concealed
		switch i {
		case 3:
			with = "$1 " + concealed
		case 4:
			with = "${1}" + concealed + "@"
		case 5:
			with = "${1}" + concealed
		}
		s = re.ReplaceAllString(s, with)
	}
	return s
}

// hints are what every shape above has one of, in lower case: most text has
// none, and is spared the regular expressions.
var hints = []string{"sk_", "rk_", "pk_", "sk-", "gh", "glpat", "xox", "akia", "aiza", "npm_", "eyj", "bearer", "basic",
	"token", "://", "pass", "pwd", "secret", "key", "credential", "-----begin"}

func suspect(s string) bool {
	low := strings.ToLower(s)
	for _, h := range hints {
		if strings.Contains(low, h) {
			return true
		}
	}
	return false
}

// ShownArgs is Shown for an argument list. Our own writing commands are reduced
// to the subcommand: their arguments may be values of any shape.
func ShownArgs(argv []string) []string {
	out := make([]string, 0, len(argv))
	for i, a := range argv {
		if i >= 1 && i <= 3 && (a == "set" || a == "create" || a == "edit") && writes(argv[:i+1]) {
			return append(out, a, "…")
		}
		if i > 0 && secretFlag(argv[i-1]) {
			a = concealed
		}
		out = append(out, Shown(a))
	}
	return out
}

// writes reports whether an argument list so far is of ours and writes values.
func writes(argv []string) bool {
	return own.MatchString(argv[0]) && (argv[len(argv)-1] == "set" || len(argv) > 2 && argv[len(argv)-2] == "item")
}

var own = regexp.MustCompile(`(^|/)thumbturn(\.exe)?$`)

var secretFlags = regexp.MustCompile(`(?i)^--?(?:u|user|pass(?:word|phrase)?|token|secret|api[_-]?key|oauth2-bearer)$`)

func secretFlag(s string) bool { return secretFlags.MatchString(s) }

// Evidence encodes what is known of a caller, cleaned for the record.
func Evidence(who identity.Caller) []byte { return who.Recorded(evidence) }

func evidence(e identity.Evidence) []byte {
	clean := func(p *identity.Process) {
		p.Argv, p.Cwd, p.Exe.Path = ShownArgs(p.Argv), Shown(p.Cwd), Shown(p.Exe.Path)
	}
	clean(&e.Asker)
	for i := range e.Ancestors { // whose arguments are nobody's business here: their names are enough
		if a := &e.Ancestors[i]; len(a.Argv) > 1 {
			a.Argv = a.Argv[:1]
		}
		clean(&e.Ancestors[i])
	}
	return canon.Encode(e)
}

// Did records an act other than a release.
func Did(who identity.Caller, t canon.EventType, action, outcome string, vault, item, refs string) canon.Event {
	ev := canon.Event{Type: t, Action: action, Outcome: outcome, Kind: string(who.Kind()), Agent: who.Label(), Root: who.Root().String()}
	for _, p := range []struct {
		to *[]string
		v  string
	}{{&ev.Vaults, vault}, {&ev.Items, item}, {&ev.Refs, refs}} {
		if p.v != "" {
			*p.to = []string{p.v}
		}
	}
	return ev
}

package canon

import (
	"fmt"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/escape"
)

// Group tells who vouches for a line of a displayed request.
type Group string

// The groups, in the order they are shown. Text of a later group never looks
// like text of an earlier one.
const (
	Enforced Group = "enforced by thumbturn"
	Reported Group = "reported by the system; programs of your user can imitate it"
	Claimed  Group = "claimed by whoever asks"
)

// FileChange labels the lines of what changed in a project's file.
const FileChange = "file change"

// Line is one line of a displayed request.
type Line struct {
	Group Group
	Label string
	Text  string
}

// Lines renders a request for a person. Everything that came from outside goes
// through Escape; nothing is cut.
func Lines(r Request) []Line {
	var out []Line
	add := func(g Group, label, text string) {
		if text != "" {
			out = append(out, Line{g, label, text})
		}
	}
	if r.TestHome {
		add(Enforced, "home", "TEST HOME: not for real secrets")
	}
	add(Enforced, "action", r.Action+" — "+gradeWords(r.Place.Grade))
	if r.Unlock {
		add(Enforced, "unlock", "THE VAULTS ARE LOCKED: this opens them too, until they lock again")
	}
	for _, s := range r.Subjects {
		out = append(out, secretLines(s)...)
	}
	for _, n := range r.Place.Names {
		label := "as variable"
		if r.Place.Sink == "statement" || r.Place.Sink == "vault" {
			label = "change"
		}
		add(Enforced, label, Escape(n))
	}
	if r.Place.Free {
		add(Enforced, "arguments", "those of the command, AND ANY BEHIND THEM: whoever asks chooses them at each use")
	}
	if p := r.Project; p != nil {
		add(Enforced, "task", "\""+Escape(p.Task)+"\": arguments, secrets and variables are in the project's file under this name")
		add(Enforced, "file", p.words())
	}
	add(Enforced, "uses", fmt.Sprint(r.Uses))
	add(Enforced, "until", time.UnixMilli(r.Expires).UTC().Format(time.RFC3339))
	who := r.Caller.Kind
	if r.Caller.Label != "" {
		who += ", looks like " + Escape(r.Caller.Label)
	}
	add(Reported, "asked by", who+fmt.Sprintf(" (uid %d, session %s)", r.Caller.UID, Escape(r.Caller.Root)))
	add(Reported, "program", Escape(r.Place.Program))
	if i := r.Place.Image; i != nil {
		add(Reported, "content", imageWords(i.Hash, i.File))
		if i.Interpreter != "" {
			add(Reported, "run by", Escape(i.Interpreter)+"  ("+imageWords(i.IntHash, i.IntFile)+")")
		}
	}
	if len(r.Place.Shown) > 0 {
		quoted := make([]string, len(r.Place.Shown))
		for i, a := range r.Place.Shown {
			quoted[i] = quoteArg(Escape(a))
		}
		add(Reported, "command", strings.Join(quoted, " "))
	}
	add(Reported, "directory", Escape(r.Place.Dir))
	if r.Project != nil {
		add(Reported, "file at", Escape(r.Project.File))
	}
	return append(out, factLines(r)...)
}

// factLines are those of what somebody says of the request, or the system.
func factLines(r Request) (out []Line) {
	for _, f := range []struct {
		label string
		fact  Fact
	}{{"for", r.Principal}, {"tenant", r.Tenant}, {"purpose", r.Purpose}} {
		g := Claimed
		if f.fact.Derived {
			g = Reported
		}
		if f.fact.Value != "" {
			out = append(out, Line{g, f.label, Escape(f.fact.Value)})
		}
	}
	if r.Project != nil { // written by whoever can write to the project
		for _, d := range r.Project.Diff {
			out = append(out, Line{Claimed, FileChange, Escape(d)})
		}
	}
	return out
}

// secretLines are those of one value.
func secretLines(s Subject) []Line {
	if s.Record == (Hash{}) {
		return []Line{{Enforced, "secret", Escape(s.Ref) + "  (by its name: what lies there is known once the vaults are open)"}}
	}
	out := []Line{{Enforced, "secret", Escape(s.Ref) + "  (" + string(s.Tier) + ", revision " + fmt.Sprint(s.Revision) + ", last changed by " + Escape(s.Writer) + ")"}}
	if s.Addresses != "" {
		out = append(out, Line{Enforced, "belongs to", Escape(s.Addresses) + "  (the item's addresses; no program is held to them)"})
	}
	return out
}

func imageWords(hash, file string) string {
	if file == "" {
		return "sha256 " + Escape(hash)
	}
	return "sha256 " + Escape(hash) + ", file " + Escape(file)
}

// LeaseLines renders what a person is about to give beyond a request itself:
// leave for many uses until a moment. They belong to the first group.
func LeaseLines(until time.Time, uses int) []Line {
	return []Line{
		{Enforced, "LEASE", "the same session may run exactly this again without asking, with these values, " + fmt.Sprintf("%d times at most", uses)},
		{Enforced, "lease until", until.UTC().Format(time.RFC3339) + "; sooner at a lock, at `thumbturn deny` of this id, or at the session's end"},
		{Enforced, "lease ends", "when a value, its addresses, the program's file, the command, the directory, a secret's variable or the policy change"},
		{Enforced, "not leased", "what the program reads or calls, its other variables and the text around a secret can change meanwhile, and are not looked at"},
	}
}

func gradeWords(g Grade) string {
	switch g {
	case GradeUse:
		return "uses the value; nobody who asked can read it"
	case GradeHold:
		return "gives the value to programs running as you"
	case GradeReveal:
		return "shows the value to whoever asked"
	case GradeNone:
		return "changes settings; no value moves"
	}
	return "unknown grade"
}

func quoteArg(s string) string {
	if s == "" || strings.ContainsAny(s, " '\"\\$`;&|<>()") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// Escape makes text from outside safe to show on a line of its own: see package escape.
func Escape(s string) string { return escape.Text(s) }

// Addresses are the places that a value with these URLs belongs to, as a request names
// them: see package escape.
func Addresses(urls []string) string { return escape.Addresses(urls) }

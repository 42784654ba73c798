package canon

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	for _, s := range r.Subjects {
		add(Enforced, "secret", Escape(s.Ref)+"  ("+string(s.Tier)+", revision "+fmt.Sprint(s.Revision)+", last changed by "+Escape(s.Writer)+")")
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
	for _, f := range []struct {
		label string
		fact  Fact
	}{{"for", r.Principal}, {"tenant", r.Tenant}, {"purpose", r.Purpose}} {
		g := Claimed
		if f.fact.Derived {
			g = Reported
		}
		add(g, f.label, Escape(f.fact.Value))
	}
	if r.Project != nil { // written by whoever can write to the project
		for _, d := range r.Project.Diff {
			add(Claimed, FileChange, Escape(d))
		}
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
		{Enforced, "lease ends", "when a value, its addresses, the program's file, the command, the directory, the variables or the policy change"},
		{Enforced, "not leased", "what the program reads or calls can change meanwhile, and is not looked at"},
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

// Escape makes text from outside safe to show on a line of its own: control
// characters (ANSI and OSC sequences begin with one), line breaks, bidirectional
// and zero-width characters, private-use and invalid bytes become \u{…} or
// \x… . Letters of every script stay as they are.
func Escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !hidden(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		i += n
	}
	return b.String()
}

// hidden lists what is graphic by Unicode's letter and yet invisible or able to
// reorder the line.
func hidden(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Zl, r) ||
		unicode.Is(unicode.Zp, r) || r != ' ' && unicode.Is(unicode.Zs, r) ||
		unicode.Is(unicode.Variation_Selector, r) || r == 0x115f || r == 0x1160 || r == 0x3164 || r == 0xffa0 || r == 0x2800
}

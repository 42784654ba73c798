package man

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// name is the page of a command: thumbturn-item-get.
func name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// Page is the manual page of one command, in the man macros of roff
// (groff_man(7)). It names no date, so that one version has one page.
func Page(cmd *cobra.Command, version string) string {
	var p page
	p.line(`.TH %s 1 "" %s %s`, quote(strings.ToUpper(name(cmd))), quote("Thumbturn "+version), quote("Thumbturn manual"))
	p.section("NAME")
	p.line(`%s \- %s`, text(name(cmd)), text(cmd.Short))
	p.section("SYNOPSIS")
	p.synopsis(cmd)
	p.section("DESCRIPTION")
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	p.prose(long)
	p.commands(cmd)
	p.options("OPTIONS", cmd.NonInheritedFlags())
	p.options("GLOBAL OPTIONS", cmd.InheritedFlags())
	if cmd.Example != "" {
		p.section("EXAMPLES")
		p.verbatim(cmd.Example)
	}
	p.section("EXIT STATUS")
	for _, s := range statuses {
		p.line(".TP\n.B %s\n%s", s.status, s.meaning)
	}
	if strings.Contains(cmd.Long, "Exit status:") {
		p.line(".PP\nWhat the description says of the exit status comes first.")
	}
	p.seeAlso(cmd)
	return p.b.String()
}

// statuses is fault.ExitCode in words; they stand in every page.
var statuses = []struct{ status, meaning string }{
	{"0", "done"},
	{"1", "error"},
	{"2", "wrong usage"},
	{"3", "denied, or a wrong passphrase"},
	{"4", "locked"},
	{"5", "waiting for a person, or nobody answered"},
}

// page is roff in the making.
type page struct{ b strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", title) }

func (p *page) synopsis(cmd *cobra.Command) {
	use := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " COMMAND"
	}
	command, rest := cmd.CommandPath(), strings.TrimPrefix(use, cmd.CommandPath())
	p.line(".nh\n.B %s", text(command))
	if rest = strings.TrimSpace(rest); rest != "" {
		p.line("%s", text(rest))
	}
	p.line(".hy")
}

// prose is text in paragraphs; one that begins with a blank stays as it is.
func (p *page) prose(s string) {
	for i, paragraph := range strings.Split(strings.Trim(s, "\n"), "\n\n") {
		paragraph = strings.Trim(paragraph, "\n")
		if fixed := strings.HasPrefix(paragraph, " ") || strings.HasPrefix(paragraph, "\t"); fixed {
			p.line(".RS 4")
			p.verbatim(paragraph)
			p.line(".RE")
			continue
		}
		if i > 0 {
			p.line(".PP")
		}
		for l := range strings.Lines(paragraph) {
			p.line("%s", text(strings.TrimSpace(l)))
		}
	}
}

func (p *page) verbatim(s string) {
	p.line(".nf")
	for l := range strings.Lines(s) {
		l = strings.TrimPrefix(strings.TrimPrefix(strings.TrimRight(l, "\n"), "\t"), "  ")
		p.line("%s", text(l))
	}
	p.line(".fi")
}

func (p *page) commands(cmd *cobra.Command) {
	first := true
	for _, sub := range cmd.Commands() {
		if !paged(sub) {
			continue
		}
		if first {
			p.section("COMMANDS")
			first = false
		}
		p.line(".TP\n.BR %s (1)\n%s", text(name(sub)), text(sub.Short))
	}
}

func (p *page) options(title string, flags *pflag.FlagSet) {
	first := true
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if first {
			p.section(title)
			first = false
		}
		word, usage := pflag.UnquoteUsage(f)
		head := ""
		if f.Shorthand != "" {
			head = `\fB` + text("-"+f.Shorthand) + `\fR, `
		}
		head += `\fB` + text("--"+f.Name) + `\fR`
		if word != "" {
			head += ` \fI` + text(word) + `\fR`
		}
		p.line(".TP\n%s\n%s", head, text(usage))
		if d := f.DefValue; f.NoOptDefVal == "" && d != "" && d != "0" && d != "[]" {
			p.line("(default: %s)", text(d))
		}
	})
}

func (p *page) seeAlso(cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, name(cmd.Parent()))
		for _, other := range cmd.Parent().Commands() {
			if cmd.Parent().HasParent() && other != cmd && paged(other) {
				pages = append(pages, name(other))
			}
		}
	}
	for _, sub := range cmd.Commands() {
		if paged(sub) {
			pages = append(pages, name(sub))
		}
	}
	p.section("SEE ALSO")
	for i, n := range pages {
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		p.line(".BR %s (1)%s", text(n), end)
	}
}

// text is s as roff prints it, on one line: no character of it is taken for a
// request or an escape, and a hyphen is the one that can be typed.
func text(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case (r == '.' || r == '\'') && i == 0:
			b.WriteString(`\&` + string(r))
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '`':
			b.WriteString("\\(ga")
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r == utf8.RuneError:
			b.WriteByte('?')
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// quote is text as one argument of a macro.
func quote(s string) string { return `"` + text(s) + `"` }

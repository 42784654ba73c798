package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/thumbturn/thumbturn/internal/term"
)

// story prints what happens, one line a step, and remembers what was not shown.
type story struct {
	out    io.Writer
	colour bool
	steps  int
	wrong  int
}

func newStory(f *os.File) *story {
	return &story{out: f, colour: term.IsTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s *story) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// chapter opens a part.
func (s *story) chapter(title, text string) {
	fmt.Fprintf(s.out, "\n%s\n  %s\n", s.paint("1", title), s.paint("2", text))
}

// note is a line that claims nothing that could be checked.
func (s *story) note(text string) { fmt.Fprintf(s.out, "       %s\n", s.paint("2", text)) }

// prove prints a claim with a mark that says whether it holds; evidence, which
// must not hold a secret, is printed where it does not.
func (s *story) prove(holds bool, claim, evidence string) {
	s.steps++
	mark := s.paint("32", "✔")
	if !holds {
		s.wrong++
		mark = s.paint("31", "✘")
	}
	fmt.Fprintf(s.out, "  %2d %s %s\n", s.steps, mark, claim)
	if !holds {
		fmt.Fprintf(s.out, "     not shown; instead:\n       %s\n", strings.ReplaceAll(strings.TrimSpace(evidence), "\n", "\n       "))
	}
}

// score is one row of the last table.
type score struct {
	label         string
	without, with string
}

func (s *story) scores(rows []score) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint("1", fmt.Sprintf("  %-40s %10s %10s", "Score", "without", "with")))
	for _, r := range rows {
		fmt.Fprintf(s.out, "  %-40s %10s %10s\n", r.label, r.without, r.with)
	}
}

// verdict is nil if every step showed what it claims.
func (s *story) verdict() error {
	if s.wrong > 0 {
		return fmt.Errorf("%d of %d steps did not show what they claim", s.wrong, s.steps)
	}
	fmt.Fprintf(s.out, "\n%s\n", s.paint("32", fmt.Sprintf("All %d steps showed what they claim.", s.steps)))
	return nil
}

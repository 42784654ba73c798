package request

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/term"
)

// once replaces the change of a project's file by a word where it is the one that was
// seen.
func once(lines []canon.Line, seen *string) []canon.Line {
	file, all := "", ""
	for _, l := range lines {
		switch {
		case l.Label == canon.FileChange:
			all += l.Text + "\n"
		case l.Group == canon.Enforced && l.Label == "file": // what is concealed differs by this alone
			file = l.Text + "\n"
		}
	}
	if all != "" {
		all = file + all
	}
	if all == "" || all != *seen {
		*seen = all
		return lines
	}
	lines = slices.DeleteFunc(lines, func(l canon.Line) bool { return l.Label == canon.FileChange })
	return append(lines, canon.Line{Group: canon.Claimed, Label: canon.FileChange, Text: "the same as of the request above"})
}

// show prints the lines under the heading of who vouches for them. No text reaches the
// left edge of a terminal of that many columns: there it could look like another line,
// or like the heading of another group.
func show(w io.Writer, lines []canon.Line, code string, columns int) {
	var group canon.Group
	for _, l := range lines {
		if l.Group != group {
			group = l.Group
			fmt.Fprintf(w, "\n%s\n", group)
		}
		for i, part := range folded(l.Text, columns-margin) {
			label := l.Label + ":"
			if i > 0 {
				label = ""
			}
			fmt.Fprintf(w, "  %-12s %s\n", label, part)
		}
	}
	fmt.Fprintf(w, "\ncode: %s (the asking program shows the same)\n\n", code)
}

// margin is the width of what stands before a text.
const margin = 15

// columns is the width of a terminal, 0 of what is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(f) {
		return 0
	}
	if n, _, err := term.Size(f); err == nil && n > 0 {
		return n
	}
	return 80
}

// folded cuts a text into parts of a width; of none it stays whole. It cuts behind a
// blank where one is near, and else within a word. What is not ASCII counts as wide.
func folded(text string, width int) (parts []string) {
	if width <= -margin {
		return []string{text}
	}
	width = max(width, 2)
	start, used := 0, 0
	blank, since := 0, 0 // behind the last blank, and the width from there on
	for i, r := range text {
		n := wide(r)
		if used+n > width {
			if blank <= start || since > width/2 {
				blank, since = i, 0
			}
			parts, start, used = append(parts, text[start:blank]), blank, since
		}
		used, since = used+n, since+n
		if r == ' ' {
			blank, since = i+1, 0
		}
	}
	return append(parts, text[start:])
}

func wide(r rune) int {
	if r > '~' {
		return 2
	}
	return 1
}

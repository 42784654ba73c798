package policy

import (
	"fmt"
	"strings"
)

// Explain tells a verdict to people: the decision in the first line, then one
// line each for what else it says. Every line ends in a line feed.
func Explain(v Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "decision: %s", v.Decision)
	if v.Decision == Ask {
		fmt.Fprintf(&b, " for %s", v.Ask)
	}
	b.WriteByte('\n')
	if v.Reason != "" {
		fmt.Fprintf(&b, "reason: %s\n", v.Reason)
	}
	for _, id := range v.Rules {
		fmt.Fprintf(&b, "rule: %s\n", id)
	}
	if len(v.Rules) == 0 {
		b.WriteString("rule: none matched\n")
	}
	switch {
	case v.Decision == Ask && v.Lease > 0:
		fmt.Fprintf(&b, "lease: up to %s\n", v.Lease)
	case v.Decision == Ask:
		b.WriteString("lease: none, each time anew\n")
	}
	if v.Ceiling != "" {
		fmt.Fprintf(&b, "ceiling: %s\n", v.Ceiling)
	}
	return b.String()
}

// Bounds of Diff.
const (
	maxCells    = 1 << 22 // of the table of common lines, 4 bytes each
	diffContext = 2       // unchanged lines around a change
)

// Diff compares two texts by lines: "- " before a line that goes, "+ " before
// one that comes, two spaces before an unchanged neighbour, "..." alone for a
// run of lines left out. All changes are shown, since a person approves by
// reading them; texts too different for the bound are shown as wholly replaced
// between their common ends. Equal texts give "".
func Diff(old, new string) string {
	ops := edits(lines(old), lines(new))
	keep := make([]bool, len(ops))
	changed := false
	for i, o := range ops {
		if o[0] == ' ' {
			continue
		}
		changed = true
		for j := max(0, i-diffContext); j <= min(len(ops)-1, i+diffContext); j++ {
			keep[j] = true
		}
	}
	if !changed {
		return ""
	}
	var b strings.Builder
	for i, o := range ops {
		switch {
		case keep[i]:
			b.WriteString(o + "\n")
		case i == 0 || keep[i-1]:
			b.WriteString("...\n")
		}
	}
	return b.String()
}

func lines(text string) []string {
	text = canonical(text)
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// edits returns all lines of both texts in order, each with its two-byte mark.
func edits(a, b []string) []string {
	var out []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		out = append(out, "  "+a[0])
		a, b = a[1:], b[1:]
	}
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	out = append(out, middle(a[:len(a)-n], b[:len(b)-n])...)
	for _, l := range a[len(a)-n:] {
		out = append(out, "  "+l)
	}
	return out
}

// middle walks the table of longest common subsequences.
func middle(a, b []string) []string {
	var out []string
	i, j := 0, 0
	if (len(a)+1)*(len(b)+1) <= maxCells {
		t := common(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, "  "+a[i])
				i, j = i+1, j+1
			case t[i+1][j] >= t[i][j+1]:
				out = append(out, "- "+a[i])
				i++
			default:
				out = append(out, "+ "+b[j])
				j++
			}
		}
	}
	for _, l := range a[i:] {
		out = append(out, "- "+l)
	}
	for _, l := range b[j:] {
		out = append(out, "+ "+l)
	}
	return out
}

// common holds, at [i][j], how many lines a[i:] and b[j:] have in common.
func common(a, b []string) [][]int32 {
	t := make([][]int32, len(a)+1)
	for i := range t {
		t[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}

package project

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// apply makes the new text of the old one and what was shown, or says what does not
// fit.
func apply(before string, lines []string) (string, error) {
	a, at := strings.Split(before, "\n"), 0
	var out []string
	for _, l := range lines {
		if n, ok := strings.CutPrefix(l, jump); ok {
			to, err := strconv.Atoi(n)
			if err != nil || to-1 < at || to-1 > len(a) {
				return "", fmt.Errorf("%q at %d", l, at)
			}
			out, at = append(out, a[at:to-1]...), to-1
			continue
		}
		kind, text := l[:2], l[2:]
		if kind == added {
			out = append(out, text)
			continue
		}
		if at >= len(a) || a[at] != text {
			return "", fmt.Errorf("%q is not line %d", l, at+1)
		}
		if at++; kind == same {
			out = append(out, text)
		}
	}
	return strings.Join(append(out, a[at:]...), "\n"), nil
}

// What is shown of a change is all of it.
func TestDiffIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"", "a", "b", "c", "- a", "| a", "@ line 2", "d\r"})
		before := rapid.SliceOfN(line, 0, 60).Draw(t, "before")
		after := append([]string{}, before...)
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			i := rapid.IntRange(0, len(after)).Draw(t, "at")
			if i < len(after) && rapid.Bool().Draw(t, "less") {
				after = append(after[:i], after[i+1:]...)
			} else {
				after = append(after[:i], append([]string{line.Draw(t, "line")}, after[i:]...)...)
			}
		}
		old, want := strings.Join(before, "\n"), strings.Join(after, "\n")
		lines, ok := Diff([]byte(old), []byte(want))
		if !ok {
			t.Fatal("not shown")
		}
		if got, err := apply(old, lines); err != nil || got != want {
			t.Fatalf("%q: %v\n%s", got, err, strings.Join(lines, "\n"))
		}
		if (len(lines) > 0) != (old != want) {
			t.Fatalf("%d lines", len(lines))
		}
	})
}

func TestDiff(t *testing.T) {
	numbers := func(from, to int) (s string) {
		for i := from; i <= to; i++ {
			s += fmt.Sprintf("%d\n", i)
		}
		return s
	}
	for name, c := range map[string]struct{ before, after, want string }{
		"the same":             {"a\nb\n", "a\nb\n", ""},
		"in the middle":        {numbers(1, 9), strings.Replace(numbers(1, 9), "5\n", "five\n", 1), "@ line 2; | 2; | 3; | 4; - 5; + five; | 6; | 7; | 8"},
		"two places":           {numbers(1, 20), "0\n" + numbers(1, 19), "@ line 1; + 0; | 1; | 2; | 3; @ line 17; | 17; | 18; | 19; - 20; | "},
		"no break at the end":  {"a\n", "a", "@ line 1; | a; - "},
		"a break at the end":   {"a", "a\n", "@ line 1; | a; + "},
		"other breaks":         {"a\nb", "a\r\nb", "@ line 1; - a; + a\r; | b"},
		"from nothing":         {"", "a", "@ line 1; - ; + a"},
		"what looks like ours": {"x", "x\n- x\n| x\n@ line 1", "@ line 1; | x; + - x; + | x; + @ line 1"},
		"moved":                {"[a]\n[b]\nfree\n", "[a]\nfree\n[b]\n", "@ line 1; | [a]; - [b]; | free; + [b]; | "},
	} {
		got, ok := Diff([]byte(c.before), []byte(c.after))
		if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" || !ok {
			t.Errorf("%s: %v %s", name, ok, diff)
		}
	}
}

// What is too much to read is not shown in part. Before that, fewer lines around the
// changes are.
func TestDiffTooLong(t *testing.T) {
	many := func(n int, s string) string { return strings.Repeat(s+"\n", n) }
	scattered := func(mark string) string { return many(30, "1\n2\n3\n4\n5\n6\n7\n8\n9\n"+mark) }
	for name, c := range map[string]struct {
		before, after string
		ok            bool
	}{
		"as much as may be":       {"", many(maxDiff-1, "x"), true},
		"a line more":             {"", many(maxDiff, "x"), false},
		"all of it":               {many(100, "a"), many(100, "b"), false},
		"a whole file of nothing": {strings.Repeat("\n", MaxSize), "", false},
		"in many places":          {scattered("a"), scattered("b"), true},
		"a long line":             {"", strings.Repeat("x", maxDiffBytes), false},
		"beside a long line":      {strings.Repeat("x", maxDiffBytes) + "\na", strings.Repeat("x", maxDiffBytes) + "\nb", true},
	} {
		lines, ok := Diff([]byte(c.before), []byte(c.after))
		if ok != c.ok || ok != (len(lines) > 0) {
			t.Errorf("%s: %v, %d lines", name, ok, len(lines))
		}
		if got, err := apply(c.before, lines); ok && (err != nil || got != c.after) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

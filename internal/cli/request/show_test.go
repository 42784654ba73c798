package request

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// The change of one file is shown with the first of its tasks, and another in between
// is shown too.
func TestOneChangeOnce(t *testing.T) {
	lines := func(change ...string) (out []canon.Line) {
		out = append(out, canon.Line{Group: canon.Claimed, Label: "purpose", Text: "test"})
		for _, c := range change {
			out = append(out, canon.Line{Group: canon.Claimed, Label: canon.FileChange, Text: c})
		}
		return out
	}
	seen, again := "", "the same as of the request above"
	for i, c := range []struct{ in, want []string }{
		{nil, nil}, {[]string{"- a", "+ b"}, []string{"- a", "+ b"}}, {[]string{"- a", "+ b"}, []string{again}},
		{[]string{"- a"}, []string{"- a"}}, {[]string{"- a", "+ b"}, []string{"- a", "+ b"}}, {nil, nil}, {[]string{"- a", "+ b"}, []string{"- a", "+ b"}},
	} {
		if diff := cmp.Diff(lines(c.want...), once(lines(c.in...), &seen)); diff != "" {
			t.Errorf("%d: %s", i+1, diff)
		}
	}
}

// Two changes that look alike, since what differs is concealed, are not the same.
func TestOneChangeOfTwoFiles(t *testing.T) {
	seen := ""
	for _, code := range []string{"k3f9-2xq7", "4tq2-9xkd"} {
		in := []canon.Line{{Group: canon.Enforced, Label: "file", Text: code}, {Group: canon.Claimed, Label: canon.FileChange, Text: "+ KEY=[concealed]"}}
		if got := once(in, &seen); got[1].Text != "+ KEY=[concealed]" {
			t.Errorf("%s: %q", code, got[1].Text)
		}
	}
}

// A text that is filled up with blanks does not go on at the left edge, where it could
// pass for a line of ours.
func TestShowKeepsItsMargin(t *testing.T) {
	for _, columns := range []int{1, 20, 40, 80, 200} {
		for _, fill := range []string{" ", ".", "東"} {
			var out bytes.Buffer
			text := "run the tests" + strings.Repeat(strings.Repeat(fill, columns)+"enforced by thumbturn", 3)
			show(&out, []canon.Line{{Group: canon.Claimed, Label: "purpose", Text: text}}, "k3f9-2xq7", columns)
			whole := ""
			for i, l := range strings.Split(strings.TrimRight(out.String(), "\n"), "\n")[2:] {
				if strings.HasPrefix(l, "code:") || l == "" {
					break
				}
				wide := len(l) - strings.Count(l, "東") // three bytes, two columns
				if i > 0 && l[:margin] != strings.Repeat(" ", margin) || wide > max(columns, margin+2) {
					t.Errorf("%d columns: %q", columns, l)
				}
				whole += l[margin:]
			}
			if whole != text {
				t.Errorf("%d columns: %q", columns, whole)
			}
		}
	}
	var out bytes.Buffer
	show(&out, []canon.Line{{Group: canon.Claimed, Label: "purpose", Text: strings.Repeat("x", 500)}}, "", columns(&out))
	if !strings.Contains(out.String(), strings.Repeat("x", 500)) || columns(os.NewFile(^uintptr(0), "")) != 0 {
		t.Errorf("no terminal: %q", out.String())
	}
}

package spec_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// found returns the first group of every match in a file, sorted.
func found(t *testing.T, file, pattern string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(b, -1) {
		out = append(out, string(m[1]))
	}
	if slices.Sort(out); len(out) == 0 {
		t.Fatalf("%s: nothing matches %s", file, pattern)
	}
	return out
}

// TestOperations holds the table of socket.md against the operations of the api
// and the states and value counts of the door.
func TestOperations(t *testing.T) {
	page := found(t, "socket.md", "(?m)^\\| `([a-z.]+)` \\| .* \\| [EHLU ]+ \\|$")
	if diff := cmp.Diff(found(t, "../api/message.go", `(?m)^\tOp\w+\s+Op = "([a-z.]+)"`), page); diff != "" {
		t.Error(diff)
	}
	names := map[string]string{"all": "E H L U", "open": "U", "e": "E", "u": "U", "h": "H", "l": "L"}
	src, err := os.ReadFile("../internal/door/socket/handlers.go")
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, m := range regexp.MustCompile(`api\.(Op\w+):\s+\{(?:(all|open)|\[\]string\{([ehlu, ]+)\}),`).FindAllSubmatch(src, -1) {
		states[string(m[1])] = names[string(m[2])]
		for _, c := range regexp.MustCompile(`[ehlu]`).FindAllString(string(m[3]), -1) {
			if states[string(m[1])] != "" {
				states[string(m[1])] += " "
			}
			states[string(m[1])] += names[c]
		}
	}
	text, err := os.ReadFile("socket.md")
	if err != nil {
		t.Fatal(err)
	}
	api, err := os.ReadFile("../api/message.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, m := range regexp.MustCompile(`(?m)^\t(Op\w+)\s+Op = "([a-z.]+)"`).FindAllSubmatch(api, -1) {
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(string(m[2])) + "` \\| .* \\| ([EHLU ]+) \\|$").FindSubmatch(text)
		if row == nil || string(row[1]) != states[string(m[1])] {
			t.Errorf("%s: the page says %q, the door %q", m[2], row, states[string(m[1])])
		}
		seen++
	}
	if seen == 0 {
		t.Error("no operation was compared")
	}
}

// TestKinds holds the table of error kinds against fault.
func TestKinds(t *testing.T) {
	kinds := found(t, "../internal/fault/fault.go", `Kind = "([a-z-]+)"`)
	if diff := cmp.Diff(kinds, found(t, "socket.md", "(?m)^\\| `([a-z-]+)` \\| \\d \\|")); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile("socket.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		want := "| `" + k + "` | " + strconv.Itoa(fault.ExitCode(fault.New(fault.Kind(k), "", "", ""))) + " |"
		if !regexp.MustCompile(regexp.QuoteMeta(want)).Match(text) {
			t.Errorf("the page has no %q", want)
		}
	}
}

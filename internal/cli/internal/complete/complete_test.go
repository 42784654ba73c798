package complete

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/ref"
)

func TestWords(t *testing.T) {
	for use, want := range map[string][]string{
		"status":                        nil,
		"get ITEM":                      {"ITEM"},
		"edit ITEM [ASSIGNMENT]...":     {"ITEM", "ASSIGNMENT]..."},
		"run [flags] -- COMMAND [ARG]…": {"COMMAND", "ARG"},
		"proof N":                       {"N"},
		"run [flags] -- COMMAND [ARG]... | run --task NAME": {"COMMAND", "ARG]..."},
		"create --ref REF... -- PROGRAM [ARG]...":           {"PROGRAM", "ARG]..."},
	} {
		if diff := cmp.Diff(want, words(use)); diff != "" {
			t.Errorf("%s: %s", use, diff)
		}
	}
}

func TestHarmless(t *testing.T) {
	for name, want := range map[string]bool{
		"github": true, "two words": true, "größe": true, "a.b_c-d@e+f": true,
		"": false, " a": false, "a ": false, "-a": false, "--yes": false, "a\tb": false, "a\nb": false, "a/b": false,
		"$x": false, "`x`": false, "a;b": false, "a&b": false, "a|b": false, "a'b": false, `a"b`: false, `a\b`: false, "a*": false,
		"~": false, "#a": false, "a=b": false, "a:b": false, "!x": false, "<x": false, "{a,b}": false, "(a)": false, "[a]": false, "%x": false,
		"a\u202eb": false, "a\u00a0b": false, "a\x00": false, "\xff": false, "_activeHelp_ x": false,
	} {
		if got := harmless(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// What is offered of a reference is the beginning of the one reference to that
// item, and holds nothing that a shell expands, or is nothing at all.
func TestBegin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vault, item := rapid.String().Draw(t, "vault"), rapid.String().Draw(t, "item")
		got := begin(2, vault, item)
		r, err := ref.Parse(got + "x")
		if got == "" {
			if vault != "" && item != "" {
				t.Fatalf("nothing for %q, %q", vault, item)
			}
			return
		}
		if err != nil || r.Vault != vault || r.Item != item || !strings.HasPrefix(got, begin(1, vault, item)) {
			t.Fatalf("%q, %q: %q, %v", vault, item, got, err)
		}
		if strings.ContainsAny(got, "$`;&|'\"\\*?[](){}<>~#=!\n\t") {
			t.Fatalf("%q says something to a shell", got)
		}
	})
}

func TestMatching(t *testing.T) {
	got := matching([]string{"b\tsecond", "", "ba", "a", "b\tsecond", "xb"}, "b")
	if diff := cmp.Diff([]string{"b\tsecond", "ba"}, got); diff != "" {
		t.Error(diff)
	}
}

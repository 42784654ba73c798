//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tab sources the completion script and presses TAB at the end of the words
// that follow. The first two functions stand for the package bash-completion.
const tab = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${words[cword]} prev=${words[cword-1]}; }
__ltrim_colon_completions() { :; }
compopt() { :; }
source <(thumbturn completion bash) || exit 1
COMP_WORDS=(thumbturn "$@") COMP_CWORD=$# COMP_LINE="thumbturn $*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
__start_thumbturn
printf '%s\n' "${COMPREPLY[@]}"
`

// What bash pastes for a name that an agent chose is one word that runs nothing.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIPPED: there is no bash")
	}
	h := founded(t)
	h.set("op://dev/two words/key", "v")
	h.set("op://dev/%24%28touch %22%24HOME%22%2Fpwned%29/key", "v")
	press := func(words ...string) []string {
		t.Helper()
		r := h.do(command{Argv: append([]string{"bash", "-c", tab, "bash"}, words...)})
		if r.Code != 0 || r.Err != "" {
			t.Errorf("%q: %v", words, r)
		}
		return strings.Split(strings.TrimSpace(r.Out), "\n")
	}
	// Bash ends a word at a colon: what stands before it stays.
	for _, tt := range []struct{ words, want []string }{
		{[]string{"read", "op://d"}, []string{"//dev/"}},
		{[]string{"read", "op://dev/t"}, []string{`//dev/two\ words/`}},
		{[]string{"read", "op://dev/%"}, []string{`//dev/%24%28touch\ %22%24HOME%22%2Fpwned%29/`}},
		{[]string{"item", "get", "tw"}, []string{`two\ words`}},
		{[]string{"item", "get", "$"}, []string{""}},
		{[]string{"item", "list", "--vault", "p"}, []string{"prod"}},
	} {
		if diff := cmp.Diff(tt.want, press(tt.words...)); diff != "" {
			t.Errorf("%q: %s", tt.words, diff)
		}
	}
	// The one that is called otherwise is there, by its id.
	if got := press("item", "get", ""); len(got) != 2 || strings.Contains(strings.Join(got, ""), "$") {
		t.Errorf("all items: %q", got)
	}
	if _, err := os.Stat(h.file("pwned")); err == nil {
		t.Error("a name was executed")
	}
}

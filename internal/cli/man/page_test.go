package man

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"pgregory.net/rapid"
)

func sample() *cobra.Command {
	root := &cobra.Command{Use: "tt", Short: "The root", Example: "  tt sub"}
	root.PersistentFlags().String("format", "human", "print as `FORMAT`")
	sub := &cobra.Command{Use: "sub-one FILE [flags]", Short: "Do one's best", Long: `First paragraph, with a \ in it.
.dangerous line

  kept as it is
    deeper

Last – one.`,
		Example: "  tt sub-one 'a b'\n  tt sub-one -n …", Run: func(*cobra.Command, []string) {}}
	sub.Flags().BoolP("no-wait", "n", false, "do not wait")
	sub.Flags().String("mode", "0600", "a `MODE`")
	hidden := &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}}
	root.AddCommand(sub, hidden, &cobra.Command{Use: "help", Short: "x", Run: func(*cobra.Command, []string) {}})
	return root
}

func TestPage(t *testing.T) {
	root := sample()
	sub, _, err := root.Find([]string{"sub-one"})
	if err != nil {
		t.Fatal(err)
	}
	want := `.TH "TT\-SUB\-ONE" 1 "" "Thumbturn 1.2.3" "Thumbturn manual"
.SH NAME
tt\-sub\-one \- Do one\(aqs best
.SH SYNOPSIS
.nh
.B tt sub\-one
FILE [flags]
.hy
.SH DESCRIPTION
First paragraph, with a \e in it.
\&.dangerous line
.RS 4
.nf
kept as it is
  deeper
.fi
.RE
.PP
Last \[u2013] one.
.SH OPTIONS
.TP
\fB\-\-mode\fR \fIMODE\fR
a MODE
(default: 0600)
.TP
\fB\-n\fR, \fB\-\-no\-wait\fR
do not wait
.SH GLOBAL OPTIONS
.TP
\fB\-\-format\fR \fIFORMAT\fR
print as FORMAT
(default: human)
.SH EXAMPLES
.nf
tt sub\-one \(aqa b\(aq
tt sub\-one \-n \[u2026]
.fi
.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
error
.TP
.B 2
wrong usage
.TP
.B 3
denied, or a wrong passphrase
.TP
.B 4
locked
.TP
.B 5
waiting for a person, or nobody answered
.SH SEE ALSO
.BR tt (1)
`
	if diff := cmp.Diff(want, Page(sub, "1.2.3")); diff != "" {
		t.Error(diff)
	}
	page := Page(root, "1.2.3")
	if !strings.Contains(page, ".SH COMMANDS\n.TP\n.BR tt\\-sub\\-one (1)\n") || strings.Contains(page, "secret") || strings.Contains(page, "help") {
		t.Errorf("the root's page: %s", page)
	}
}

// No text begins a request, ends its line or holds an escape of its own.
func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := text(rapid.String().Draw(t, "s"))
		if strings.HasPrefix(got, ".") || strings.HasPrefix(got, "'") || strings.ContainsFunc(got, func(r rune) bool { return r > '~' || unicode.IsControl(r) }) {
			t.Fatalf("%q", got)
		}
		for i := 0; i < len(got); i++ {
			if got[i] != '\\' {
				continue
			}
			i++
			if i == len(got) || !strings.ContainsRune("e-&([", rune(got[i])) {
				t.Fatalf("%q has an escape of its own at %d", got, i)
			}
		}
	})
}

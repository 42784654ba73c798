//go:build unix

package inject

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// nobody is a Prompter without a terminal.
type nobody struct{ console.Prompter }

func (nobody) IsTerminal() bool { return false }

// yes is a Prompter of somebody who agrees to all.
type yes struct{ console.Prompter }

func (yes) IsTerminal() bool             { return true }
func (yes) Confirm(string) (bool, error) { return true, nil }

// echo answers a release with "<" reference ">" per reference.
func echo(t *testing.T) func(sdktest.Call) []sdktest.Message {
	return func(c sdktest.Call) []sdktest.Message {
		var w api.Want
		c.Into(t, &w)
		m := sdktest.Message{Body: api.Released{Receipt: 1}}
		for _, r := range w.Refs {
			m.Values = append(m.Values, []byte("<"+strings.TrimPrefix(r, "op://")+">"))
		}
		return []sdktest.Message{m}
	}
}

type result struct {
	code     int
	out, err string
}

// inject runs the command against a server, which may be nil.
func inject(t *testing.T, s *sdktest.Server, p console.Prompter, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	c := &console.Console{In: strings.NewReader(stdin), Out: &out, Err: &errs, Prompt: p,
		Dial: func(ctx context.Context) (*sdk.Client, error) {
			if s == nil {
				t.Error("the daemon was asked")
				return nil, fault.New(fault.Unavailable, "", "", "no daemon")
			}
			return sdk.Dial(ctx, s.Home, sdk.Options{})
		}}
	if slices.Contains(args, "--format=json") {
		c.Format = "json"
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--format=json" })
	}
	cmd := New(Options{Console: c, Environ: []string{"VAULT=dev", "Item=db", "EMPTY=", "BAD=s3cr3t'", "VAULT=second"},
		Dir: func() (string, error) { return "/srv/here", nil }})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	code := console.Fail(&errs, c.JSON(), cmd.ExecuteContext(t.Context()))
	return result{code, out.String(), errs.String()}
}

func TestTemplates(t *testing.T) {
	s := sdktest.Start(t, echo(t))
	for _, tt := range []struct{ in, want string }{
		{"k: op://a/b/c\n", "k: <a/b/c>\n"},
		{"k: op://a/b/c", "k: <a/b/c>"}, // no newline is added
		{"{{ op://My Vault/an item/s e/f }}", "<My Vault/an item/s e/f>"},
		{"{{op://a/b/c}}{{op://a/b/d}}", "<a/b/c><a/b/d>"},
		{"op://a/b/c?attribute=otp;", "<a/b/c?attribute=otp>;"},
		{"op://a/b/c d/e", "<a/b/c> d/e"},
		{"shop://a/b/c op://a/b/c", "shop://a/b/c <a/b/c>"},
		{`{{ "{{ op://x }} stays" }} op://a/b/c`, `{{ op://x }} stays <a/b/c>`},
		{`{{ "say \"x\"" }} op://a/b/c`, `say "x" <a/b/c>`},
		{"op://${VAULT:-x}/docker/p op://$VAULT/${ Item }/p op://${NONE:-prod}/i/p op://$vault/i/p",
			"<dev/docker/p> <dev/db/p> <prod/i/p> <dev/i/p>"},
		{"proxy $host $VAULT ${VAULT} $$ op://a/b/c", "proxy $host $VAULT ${VAULT} $$ <a/b/c>"},
		{"\xef\xbb\xbfk=op://a/b/c\r\nl=2\r\n", "\xef\xbb\xbfk=<a/b/c>\r\nl=2\r\n"},
		{"\x00\xff\x80op://a/b/c\x00\xfe", "\x00\xff\x80<a/b/c>\x00\xfe"},
		{"{{ .Values.x }} {{- if }} op://a/b/c }}", "{{ .Values.x }} {{- if }} <a/b/c> }}"},
		{"# op://a/b/c", "# <a/b/c>"},
		{"op://a/b/c op://A/b/C op://a/b/c", "<a/b/c> <a/b/c> <a/b/c>"},
	} {
		if got := inject(t, s, nobody{}, tt.in); got != (result{0, tt.want, ""}) {
			t.Errorf("%q: %+v, want %q", tt.in, got, tt.want)
		}
	}
}

func TestComments(t *testing.T) {
	s := sdktest.Start(t, echo(t))
	for _, tt := range []struct{ in, tokens, want string }{
		{"# op://... is the scheme\nk: op://a/b/c # op://d/e/f\n", "#", "# op://... is the scheme\nk: <a/b/c> # op://d/e/f\n"},
		{"a#op://a/b/c", "#", "a#<a/b/c>"},
		{"u: http://x/op://a/b/c // op://x", "//", "u: http://x/<a/b/c> // op://x"},
		{"; op://x\n-- op://x\nop://a/b/c", "; --", "; op://x\n-- op://x\n<a/b/c>"},
		{"# op://x\r\n\t#op://x\r\nop://a/b/c\r\n", "#", "# op://x\r\n\t#op://x\r\n<a/b/c>\r\n"},
		{"\xef\xbb\xbf# op://x\nop://a/b/c", "#", "\xef\xbb\xbf# op://x\n<a/b/c>"},
		{"op://a/b/c # {{ op://x", "#", "<a/b/c> # {{ op://x"},
		{`{{ "a # b" }} op://a/b/c`, "#", "a # b <a/b/c>"},
		{"op://a/b/c #", "#", "<a/b/c> #"},
		{"# op://a/b/c", ";", "# <a/b/c>"},
	} {
		var args []string
		for _, c := range strings.Fields(tt.tokens) {
			args = append(args, "--comments", c)
		}
		if got := inject(t, s, nobody{}, tt.in, args...); got != (result{0, tt.want, ""}) {
			t.Errorf("%q: %+v, want %q", tt.in, got, tt.want)
		}
	}
}

// One request, each reference once, what is read and written named.
func TestRequest(t *testing.T) {
	s := sdktest.Start(t, echo(t))
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	write(t, in, "op://v/i/b op://v/i/a {{ op://V/I/B }} op://v/i/a")
	got := inject(t, s, nobody{}, "", "-i", in, "-o", out, "--purpose", "p", "--timeout", "90s")
	if got != (result{0, out + "\n", ""}) {
		t.Fatalf("%+v", got)
	}
	calls := s.Calls()
	if len(calls) != 1 || calls[0].Op != api.OpRelease {
		t.Fatalf("%+v", calls)
	}
	var w api.Want
	calls[0].Into(t, &w)
	want := api.Want{Ask: api.Ask{Purpose: "p", Timeout: 90_000}, Sink: "reveal", Refs: []string{"op://v/i/b", "op://v/i/a"},
		Program: api.Program{Argv: []string{"thumbturn", "inject", "--in-file", in, "--out-file", out}, Dir: "/srv/here"}}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutReferencesNobodyIsAsked(t *testing.T) {
	for _, text := range []string{"", "plain $X {{ .y }}\r\n", "\xef\xbb\xbf"} {
		if got := inject(t, nil, nobody{}, text); got != (result{0, text, ""}) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "x.tpl"), filepath.Join(dir, "out")
	write(t, in, "\xef\xbb\xbfa: op://X/Y\r\nb: op://a/b/c\r\n  c: {{ op://a/b/c\r\nd: {{ op://a/it's/c }} op://$NONE/a/b\n\n e: op://$BAD/a/b op://a/b/c/d/e")
	s := sdktest.Start(t, catalogued(t))
	got := inject(t, s, nobody{}, "", "-i", in, "-o", out)
	want := strings.ReplaceAll(`IN:1:12: invalid secret reference: too few '/': secret references should have at least vault, item and field specified
IN:2:4: "a" isn't a vault in this account
IN:3:6: invalid secret reference: '{{' has no matching '}}'
IN:4:16: invalid secret reference: invalid character in secret reference: ''' (write it as %27 or use the id of that part)
IN:4:24: invalid secret reference: a variable in it is not set and has no default
IN:6:5: invalid secret reference: invalid character in secret reference
IN:6:31: invalid secret reference: too many '/': secret references should match op://<vault>/<item>[/<section>]/<field>
thumbturn: inject IN: 7 bad references; nothing was written
`, "IN", in)
	if diff := cmp.Diff(want, got.err); diff != "" || got.code != 2 || got.out != "" {
		t.Errorf("%+v\n%s", got, diff)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
	if strings.Contains(got.err, "s3cr3t") {
		t.Error("the message shows a variable")
	}
	js := inject(t, nil, nobody{}, "op://a\nop://b", "--format=json")
	if js.code != 2 || js.out != "" || strings.Count(js.err, "\n") != 1 || !strings.Contains(js.err, `stdin:1:7: `) || !strings.Contains(js.err, `stdin:2:7: `) {
		t.Errorf("%+v", js)
	}
	if one := inject(t, nil, nobody{}, "op://a"); !strings.HasSuffix(one.err, "inject stdin: nothing was written\n") {
		t.Errorf("%+v", one)
	}
}

func TestFiles(t *testing.T) {
	s := sdktest.Start(t, echo(t))
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	check := func(what string, got result, code int, text string, mode fs.FileMode) {
		t.Helper()
		b, err := os.ReadFile(file)
		fi, err2 := os.Stat(file)
		if got.code != code || err != nil || err2 != nil || string(b) != text || fi.Mode().Perm() != mode {
			t.Errorf("%s: %+v; %q %v %v %v", what, got, b, fi.Mode(), err, err2)
		}
	}
	check("new", inject(t, s, nobody{}, "op://a/b/c", "-o", file), 0, "<a/b/c>", 0o600)
	check("refused", inject(t, s, nobody{}, "op://a/b/d", "--out-file="+file), 1, "<a/b/c>", 0o600)
	if n := len(s.Calls()); n != 1 {
		t.Errorf("%d requests: one for a file that could not be written", n)
	}
	check("forced", inject(t, s, nobody{}, "op://a/b/d", "-f", "-o", file, "--file-mode", "0640"), 0, "<a/b/d>", 0o640)
	check("agreed", inject(t, s, yes{}, "op://a/b/e", "-o", file), 0, "<a/b/e>", 0o600)
	write(t, file, "op://in/place/x")
	check("in place", inject(t, s, nobody{}, "", "-f", "-i", file, "-o", file), 0, "<in/place/x>", 0o600)
	check("JSON", inject(t, s, nobody{}, "op://a/b/c", "-f", "-o", file, "--format=json"), 0, "<a/b/c>", 0o600)
	if err := os.Symlink(file, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	check("link", inject(t, s, nobody{}, "op://a/b/d", "-f", "-o", filepath.Join(dir, "link")), 1, "<a/b/c>", 0o600)
	for _, in := range []string{"-", "/dev/stdin"} {
		if got := inject(t, s, nobody{}, "op://a/b/c", "--in-file="+in); got != (result{0, "<a/b/c>", ""}) {
			t.Errorf("%s: %+v", in, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"--file-mode", "8"}, {"--file-mode", "1777"}, {"--comments", ""}, {"--comments", "a b"}, {"--comments", "§"},
		{"-i", "/nonexistent"}, {"-i", t.TempDir()}} {
		if got := inject(t, nil, nobody{}, "op://a/b/c", args...); got.code != 2 || got.out != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestManyReferences(t *testing.T) {
	s := sdktest.Start(t, echo(t))
	got := inject(t, s, nobody{}, many(10_000, api.MaxValues))
	if got.code != 0 || got.out != strings.NewReplacer("op://", "<", "\n", ">\n").Replace(many(10_000, api.MaxValues)) {
		t.Errorf("%d, %s", got.code, got.err)
	}
	got = inject(t, nil, nobody{}, many(10_000, api.MaxValues+1))
	if got.code != 2 || got.out != "" || !strings.Contains(got.err, "has 4097 different references, and one request holds 4096") {
		t.Errorf("%d %q, %s", got.code, got.out, got.err)
	}
}

func TestLimits(t *testing.T) {
	big := strings.Repeat("x", maxTemplate)
	if got := inject(t, nil, nobody{}, big); got.code != 0 || got.out != big {
		t.Errorf("%d, %s", got.code, got.err)
	}
	if got := inject(t, nil, nobody{}, big+"x"); got.code != 2 || got.out != "" {
		t.Errorf("%d, %s", got.code, got.err)
	}
	value := bytes.Repeat([]byte("v"), api.MaxValue)
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: api.Released{}, Values: [][]byte{value}}}
	})
	if got := inject(t, s, nobody{}, strings.Repeat("op://v/i/f ", 33)); got.code != 2 || got.out != "" || !strings.Contains(got.err, "larger than 512 MiB") {
		t.Errorf("%d, %s", got.code, got.err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

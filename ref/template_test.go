package ref

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// show renders references as <printed form>, so that a test sees what was found.
func show(r Ref) (string, error) { return "<" + r.String() + ">", nil }

func TestParseTemplate(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"no references", "no references"},
		{"op://a/b/c", "<op://a/b/c>"},
		{"postgres://{{op://a/b/u}}:{{ op://a/b/p }}@h:5432/x", "postgres://<op://a/b/u>:<op://a/b/p>@h:5432/x"},
		{"postgres://op://a/b/u:op://a/b/p@h", "postgres://<op://a/b/u>:<op://a/b/p>@h"},
		{"k: op://a/b/c\nl: \"op://a/b/s/d\"\n", "k: <op://a/b/c>\nl: \"<op://a/b/s/d>\"\n"},
		{"op://a/b/c d", "<op://a/b/c> d"},
		{"op://a/b/c?attribute=otp;", "<op://a/b/c?attribute=otp>;"},
		{"op://a/b/c=d", "<op://a/b/c>=d"},
		{"op://a/b/c,op://d/e/f", "<op://a/b/c>,<op://d/e/f>"},
		{"# op://a/b/c", "# <op://a/b/c>"},
		{"{{ op://My Vault/The Item/a field }}", "<op://My Vault/The Item/a field>"},
		{"{{\top://a/b/c%2Fd\t}}", "<op://a/b/c%2Fd>"},
		{"{{{ op://a/b/c }}}", "{<op://a/b/c>}"},
		{"${{ op://a/b/c }}", "$<op://a/b/c>"},
		{`{"x":{"y":"op://a/b/c"}}`, `{"x":{"y":"<op://a/b/c>"}}`},
		{"{{op://a/b/c}}%40", "<op://a/b/c>%40"},
		{`{{ "text with {{ braces }} and op://… left alone" }}`, "text with {{ braces }} and op://… left alone"},
		{`{{"say \"hi\" \n"}}`, `say "hi" \n`},
		{`{{ "" }}`, ""},
		{`{{ "a" | quote }} {{ .Values.x }} {{ if }}`, `{{ "a" | quote }} {{ .Values.x }} {{ if }}`},
		{`{{ "never closed`, `{{ "never closed`},
		{"{{", "{{"},
		{"{{ ", "{{ "},
		{"$NAME ${NAME}", "$NAME ${NAME}"},
		{"shop://a/b/c 1op://x -op://x +op://x .op://x \\op://x", "shop://a/b/c 1op://x -op://x +op://x .op://x \\op://x"},
		{"_op://a/b/c", "_<op://a/b/c>"},
		{"https://x/?u=op://a/b/c", "https://x/?u=<op://a/b/c>"},
		{"OP://a/b/c", "<op://a/b/c>"},
	}
	for _, tt := range tests {
		tpl, err := ParseTemplate(tt.in)
		if err != nil {
			t.Errorf("ParseTemplate(%q): %v", tt.in, err)
			continue
		}
		if got, _ := tpl.Render(show); got != tt.want {
			t.Errorf("ParseTemplate(%q) renders %q, want %q", tt.in, got, tt.want)
		}
	}
}

// places lists kind@pos of every error joined in err.
func places(err error) []string {
	var list []string
	var bad *Error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			list = append(list, places(e)...)
		}
	} else if errors.As(err, &bad) {
		list = append(list, fmt.Sprintf("%s@%d", bad.Kind, bad.Pos))
	}
	return list
}

func TestParseTemplateErrors(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"x op://a/b y", []string{"too-few-parts@10"}},
		{"# op://... is the scheme\nop://a/b/c", []string{"too-few-parts@10"}},
		{"op://a/b {{ op://a/b/c/d/e }} op://v/i/f {{op://a/'/c}}",
			[]string{"too-few-parts@8", "too-many-parts@24", "bad-character@50"}},
		{"op://my vault/x/y", []string{"too-few-parts@7"}},
		{"op://a/b/c/", []string{"empty-part@11"}},
		{"op://a/b/cé", []string{"bad-character@10"}},
		{"op://a/b/c%2Fd", []string{"bad-escape@10"}},
		{"op://a/b/c?d=e", []string{"bad-query@11"}},
		{" {{ op://a/b/c ", []string{"unclosed@1"}},
		{" {{ op://a/b/c\n}}", []string{"unclosed@1"}},
		{"{{ op://a/b/c | upper }}", []string{"bad-character@14"}},
		{"op://${V}/b/c", []string{"too-few-parts@5"}},
	}
	for _, tt := range tests {
		tpl, err := ParseTemplate(tt.in)
		if diff := cmp.Diff(tt.want, places(err)); diff != "" {
			t.Errorf("ParseTemplate(%q) (-want +got):\n%s", tt.in, diff)
		}
		if len(tpl.pieces) != 0 {
			t.Errorf("ParseTemplate(%q): a template beside an error", tt.in)
		}
	}
}

func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"VAULT": "dev", "Item": "db", "EMPTY": "", "BAD": "s3cr3t'", "PATH_": "dev/db",
		"REF": "op://a/b/c", "BRACES": `{{ "x" }}`, "SPACE": "My Vault",
	}[name]
	return v, ok
}

func TestParseTemplateVars(t *testing.T) {
	tests := []struct{ in, want string }{
		{"op://${VAULT:-x}/docker/password", "<op://dev/docker/password>"},
		{"op://${NONE:-dev}/docker/password", "<op://dev/docker/password>"},
		{"op://$VAULT/$Item/p", "<op://dev/db/p>"},
		{"op://$vault/${ vault }/p", "<op://dev/dev/p>"},
		{"op://$PATH_/p", "<op://dev/db/p>"},
		{"{{ op://$VAULT/a b/p }}", "<op://dev/a b/p>"},
		{"{{ op://${SPACE}/a/p}} op://$SPACE/a/p", "<op://My Vault/a/p> <op://My Vault/a/p>"},
		{"{{ $REF }}", "<op://a/b/c>"},
		{"$VAULT-${Item} ${NONE:-d e} [$EMPTY]", "dev-db d e []"},
		{"$REF $BRACES", `op://a/b/c {{ "x" }}`},
		{"$NONE ${NONE} $1 $ ${ ${1x} $$", "$NONE ${NONE} $1 $ ${ ${1x} $$"},
		{"{{ $VAULT }} {{ $x := 1 }}", "{{ dev }} {{ $x := 1 }}"},
		{"op://a/b/c$", "<op://a/b/c>$"},
		{`{{ "$VAULT" }}`, "$VAULT"},
	}
	for _, tt := range tests {
		tpl, err := ParseTemplateVars(tt.in, environment)
		if err != nil {
			t.Errorf("ParseTemplateVars(%q): %v", tt.in, err)
			continue
		}
		if got, _ := tpl.Render(show); got != tt.want {
			t.Errorf("ParseTemplateVars(%q) renders %q, want %q", tt.in, got, tt.want)
		}
	}
	for in, want := range map[string]string{
		"x op://$NONE/a/b":   "unset-variable@2",
		"x op://$EMPTY/a/b":  "empty-part@2",
		"x op://$BAD/a/b":    "bad-character@2",
		"{{ op://${NONE}/b":  "unclosed@0",
		"{{op://a/${x/b}}":   "unclosed@0",
		"op://a/b/${X:-{}}x": "empty-part@9",
	} {
		_, err := ParseTemplateVars(in, environment)
		if diff := cmp.Diff([]string{want}, places(err)); diff != "" {
			t.Errorf("ParseTemplateVars(%q) (-want +got):\n%s", in, diff)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the error shows a variable: %v", err)
		}
	}
}

func TestSyntax(t *testing.T) {
	hash := []string{"#"}
	tests := []struct {
		comments []string
		in, want string
	}{
		{nil, "$VAULT ${Item} op://$VAULT/${Item}/p {{ op://${SPACE}/a/p }}", "$VAULT ${Item} <op://dev/db/p> <op://My Vault/a/p>"},
		{nil, "# op://a/b/c", "# <op://a/b/c>"},
		{hash, "# op://a\nop://a/b/c # op://a {{ op://", "# op://a\n<op://a/b/c> # op://a {{ op://"},
		{hash, "x#op://a/b/c", "x#<op://a/b/c>"},
		{hash, "\xef\xbb\xbf#op://a", "\xef\xbb\xbf#op://a"},
		{hash, "x\xef\xbb\xbf#op://a/b/c", "x\xef\xbb\xbf#<op://a/b/c>"},
		{hash, "#", "#"},
		{hash, `{{ "a # b" }} op://a/b/c`, "a # b <op://a/b/c>"},
		{[]string{"//", "--", ""}, "\t// op://a\r\n-- op://a\nhttp://x/op://a/b/c - op://a/b/c", "\t// op://a\r\n-- op://a\nhttp://x/<op://a/b/c> - <op://a/b/c>"},
	}
	for _, tt := range tests {
		tpl, err := Syntax{Vars: environment, Comments: tt.comments}.Parse(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if got, _ := tpl.Render(show); got != tt.want {
			t.Errorf("%q renders %q, want %q", tt.in, got, tt.want)
		}
	}
	good, err := Syntax{Comments: hash}.Parse("# op://a\nop://b op://v/i/f\n")
	if refs := good.Refs(); len(refs) != 1 || refs[0].String() != "op://v/i/f" || len(good.pieces) != 1 {
		t.Errorf("beside the error: %v", good)
	}
	if diff := cmp.Diff([]string{"too-few-parts@15"}, places(err)); diff != "" {
		t.Error(diff)
	}
}

func TestVariablesAreBounded(t *testing.T) {
	big := strings.Repeat("x", maxExpanded/4)
	_, err := ParseTemplateVars(strings.Repeat("$A ", 100), func(string) (string, bool) { return big, true })
	if diff := cmp.Diff([]string{"too-large@12"}, places(err)); diff != "" {
		t.Error(diff)
	}
}

func TestParseValue(t *testing.T) {
	for in, want := range map[string]string{
		"op://My Vault/an item/a field": "<op://My Vault/an item/a field>",
		"op://a%2Fb/i/f":                "<op://a%2Fb/i/f>",
		"a op://a/b/c d":                "a <op://a/b/c> d",
		"op://a/b/c@host":               "<op://a/b/c>@host",
		"plain $X":                      "plain $X",
	} {
		tpl, err := ParseValue(in)
		if err != nil {
			t.Errorf("ParseValue(%q): %v", in, err)
			continue
		}
		if got, _ := tpl.Render(show); got != want {
			t.Errorf("ParseValue(%q) renders %q, want %q", in, got, want)
		}
	}
	// The whole was meant, so the message is about the whole.
	_, err := ParseValue("op://For Chang's Claude/x/y")
	if diff := cmp.Diff([]string{"bad-character@14"}, places(err)); diff != "" {
		t.Error(diff)
	}
	_, err = ParseValue("op://a/b op://c/d")
	if diff := cmp.Diff([]string{"too-few-parts@8", "too-few-parts@17"}, places(err)); diff != "" {
		t.Error(diff)
	}
}

func TestRefs(t *testing.T) {
	tpl, err := ParseTemplate("op://a/b/c op://a/b/d {{op://a/b/c}} op://A/b/c")
	if err != nil {
		t.Fatal(err)
	}
	c := Ref{Vault: "a", Item: "b", Field: "c"}
	want := []Ref{c, {Vault: "a", Item: "b", Field: "d"}, {Vault: "A", Item: "b", Field: "c"}}
	if diff := cmp.Diff(want, tpl.Refs()); diff != "" {
		t.Error(diff)
	}
	if _, ok := tpl.Ref(); ok {
		t.Error("many references are not one")
	}
	tpl, _ = ParseTemplate("{{ op://a/b/c }}")
	if r, ok := tpl.Ref(); !ok || r != c {
		t.Errorf("Ref() = %v, %v", r, ok)
	}
	var zero Template
	if _, ok := zero.Ref(); ok || zero.Refs() != nil {
		t.Error("the zero Template has no references")
	}
}

func TestAppendTo(t *testing.T) {
	tpl, err := ParseTemplate("u=op://a/b/u p=op://a/b/p")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"u": "me", "p": "pass"}
	lookup := func(r Ref) ([]byte, bool) { v, ok := values[r.Field]; return []byte(v), ok }
	buf := make([]byte, 1, 64)
	buf[0] = '>'
	got, err := tpl.AppendTo(buf, lookup)
	if err != nil || string(got) != ">u=me p=pass" {
		t.Fatalf("AppendTo = %q, %v", got, err)
	}
	if &got[0] != &buf[0] {
		t.Error("a buffer with room must not be replaced")
	}
	got, err = tpl.AppendTo(nil, lookup)
	if err != nil || string(got) != "u=me p=pass" {
		t.Errorf("AppendTo(nil) = %q, %v", got, err)
	}

	values = map[string]string{"u": "me"}
	clear(buf[:cap(buf)])
	got, err = tpl.AppendTo(buf, lookup)
	if diff := cmp.Diff([]string{"unresolved@15"}, places(err)); diff != "" {
		t.Error(diff)
	}
	if len(got) != 1 || !bytes.Equal(buf[:cap(buf)], make([]byte, cap(buf))) {
		t.Errorf("bytes written beside an error: %q", buf[:cap(buf)])
	}
	if want := "could not resolve secret reference 'op://a/b/p': no value"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestRenderError(t *testing.T) {
	tpl, _ := ParseTemplate("x op://a/b/c")
	want := errors.New("no")
	if s, err := tpl.Render(func(Ref) (string, error) { return "v", want }); s != "" || err != want {
		t.Errorf("Render = %q, %v", s, err)
	}
}

// TestEveryRefFitsInTemplates: what String prints can be used in braces as it is.
func TestEveryRefFitsInTemplates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRef(t)
		before := rapid.StringMatching(`[a-z: "#]*[: "#]`).Draw(t, "before")
		tpl, err := ParseTemplate(before + "{{ " + r.String() + " }}after")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Ref{r}, tpl.Refs()); diff != "" {
			t.Fatal(diff)
		}
		if got, _ := tpl.Render(func(Ref) (string, error) { return "!", nil }); got != before+"!after" {
			t.Fatalf("rendered %q", got)
		}
	})
}

func TestTextWithoutMarksIsUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.NewReplacer("{{", "", "://", "").Replace(rapid.String().Draw(t, "text"))
		if strings.Contains(s, "{{") || strings.Contains(s, "://") {
			t.Skip()
		}
		tpl, err := ParseTemplate(s)
		if got, _ := tpl.Render(show); err != nil || got != s {
			t.Fatalf("%q became %q, %v", s, got, err)
		}
	})
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"op://a/b/c", "x {{ op://a b/c/d }} y", `{{ "a\"b" }}`, "op://${V:-d}/$I/f", "{{$R}}", "op://a/b/c%2F", "{{{{op://"} {
		f.Add(s, "v")
	}
	f.Fuzz(func(t *testing.T, s, value string) {
		vars := func(n string) (string, bool) { return value, n != "U" }
		for _, parse := range []func(string) (Template, error){
			ParseTemplate, ParseValue,
			func(s string) (Template, error) { return ParseTemplateVars(s, vars) },
			Syntax{Vars: vars, Comments: []string{"#", "//"}}.Parse,
		} {
			tpl, err := parse(s)
			for _, p := range places(err) {
				var pos int
				if _, err := fmt.Sscanf(p[strings.IndexByte(p, '@'):], "@%d", &pos); err != nil || pos < 0 || pos > len(s) {
					t.Fatalf("error outside of the text: %s", p)
				}
			}
			for _, r := range tpl.Refs() {
				checkCanonical(t, r.String())
			}
			want, _ := tpl.Render(show)
			got, err := tpl.AppendTo(nil, func(r Ref) ([]byte, bool) { return []byte("<" + r.String() + ">"), true })
			if err != nil || string(got) != want {
				t.Fatalf("AppendTo %q, %v; Render %q", got, err, want)
			}
		}
	})
}

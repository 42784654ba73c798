package dotenv

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func environment(name string) (string, bool) {
	v, ok := map[string]string{"HOME": "/home/me", "VAULT": "dev", "A": "from env", "HASH": "x #y "}[name]
	return v, ok
}

func TestValues(t *testing.T) {
	tests := []struct{ in, want string }{
		{"K=v", "v"},
		{"K = v", "v"},
		{"\t K\t=\tv w \t", "v w"},
		{"K=", ""},
		{"K= ", ""},
		{"K=v # c", "v"},
		{"K=v\t#c", "v"},
		{"K= # c", ""},
		{"K=#fff", "#fff"},
		{"K=a#b", "a#b"},
		{`K=a \#b`, "a #b"},
		{"K='a # b' # c", "a # b"},
		{`K="a # b" # c`, "a # b"},
		{`K="  a  "`, "  a  "},
		{`K='  a  '`, "  a  "},
		{"K=\"a\nb\"", "a\nb"},
		{"K='a\r\nb'", "a\nb"},
		{"K=\"a\r\nb\"\r\n", "a\nb"},
		{`K='$HOME \$ \n "'`, `$HOME \$ \n "`},
		{`K="\$HOME \" \\ \n\r \t ' ` + "\\`" + `"`, "$HOME \" \\ \n\r \\t ' `"},
		{`K=\$HOME\n`, `$HOME\n`},
		{`K=C:\temp\new`, `C:\temp\new`},
		{`K={"foo":"bar"}`, `{"foo":"bar"}`},
		{`K={"a": "#b", "c":"\""}`, `{"a": "#b", "c":"\""}`},
		{`K=it's`, `it's`},
		{"K=$HOME/x", "/home/me/x"},
		{"K=${HOME}x", "/home/mex"},
		{"K=${ HOME }", "/home/me"},
		{`K="$HOME"`, "/home/me"},
		{"K=${NONE:-d e}", "d e"},
		{"K=${HOME:-d}", "/home/me"},
		{"K=[$NONE]", "[]"},
		{"K=$HASH", "x #y "},
		{"K=$ $1 $$ ${1x}", "$ $1 $$ ${1x}"},
		{"K=a=b==", "a=b=="},
		{"K=op://$VAULT/my item/f # c", "op://dev/my item/f"},
		{"K=postgres://{{op://a/b/u}}:{{ op://a/b/p }}@h", "postgres://{{op://a/b/u}}:{{ op://a/b/p }}@h"},
		{`K={{ "x" }}`, `{{ "x" }}`},
		{"export K=v", "v"},
		{"\xef\xbb\xbfK=v\r\n", "v"},
		{"K=v\r", "v"},
		{"K=bücher", "bücher"},
		{"K=v", "v"},
	}
	for _, tt := range tests {
		f, err := Parse("e", []byte(tt.in), environment)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if len(f.Entries) != 1 || f.Entries[0].Key != "K" || f.Entries[0].Value != tt.want {
			t.Errorf("Parse(%q) = %+v, want %q", tt.in, f.Entries, tt.want)
		}
		if string(f.Bytes()) != tt.in {
			t.Errorf("Parse(%q).Bytes() = %q", tt.in, f.Bytes())
		}
	}
}

func TestFile(t *testing.T) {
	in := "\xef\xbb\xbf# head\r\n\r\nA=1\r\n  export B='x\r\ny' # c\r\n\tC=$A$B\r\nexport=2\nA=3\n${VAULT}_KEY=$A\n#end"
	f, err := Parse("x.env", []byte(in), environment)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(s string) (int, int) { i := strings.Index(in, s); return i, i + len(s) }
	at := func(e Entry, s string, skip int) Entry {
		e.Start, e.End = raw(s)
		e.Start += skip
		return e
	}
	want := []Entry{
		at(Entry{Key: "A", Value: "1", Line: 3, Col: 1}, "A=1", 2),
		at(Entry{Key: "B", Value: "x\ny", Line: 4, Col: 3, Quote: Single, Export: true}, "'x\r\ny'", 0),
		at(Entry{Key: "C", Value: "1x\ny", Line: 6, Col: 2, Variables: []string{"A", "B"}}, "$A$B", 0),
		at(Entry{Key: "export", Value: "2", Line: 7, Col: 1}, "export=2", 7),
		at(Entry{Key: "A", Value: "3", Line: 8, Col: 1}, "A=3", 2),
		at(Entry{Key: "dev_KEY", Value: "3", Line: 9, Col: 1, Variables: []string{"VAULT", "A"}}, "_KEY=$A", 5),
	}
	if diff := cmp.Diff(want, f.Entries); diff != "" {
		t.Error(diff)
	}
	if v, ok := f.Lookup("A"); !ok || v != "3" {
		t.Errorf("Lookup(A) = %q, %v", v, ok)
	}
	if _, ok := f.Lookup("HOME"); ok {
		t.Error("Lookup sees the environment")
	}
	if len(f.Warnings) != 1 || f.Warnings[0].Line != 8 {
		t.Errorf("warnings %v", f.Warnings)
	}
	b := f.Bytes()
	b[0] = 0
	if string(f.Bytes()) != in {
		t.Error("Bytes must be a copy")
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"A=1\nsecret", "f:2:1: no '='"},
		{"export FOO\n", "f:1:8: no '='"},
		{"=v", "f:1:1: bad key"},
		{"1A=v", "f:1:1: bad key"},
		{"A B=v", "f:1:1: bad key"},
		{"Ä=v", "f:1:1: bad key"},
		{"  $NONE=v", "f:1:3: bad key"},
		{"A='x\nB=2\n", "f:1:3: quote is never closed"},
		{`A="x\"`, "f:1:3: quote is never closed"},
		{`A="x\`, "f:1:3: quote is never closed"},
		{"\n A = 'x'y", "f:2:9: text after the closing quote"},
		{"A='x'#y", "f:1:6: text after the closing quote"},
		{"A='x' y", "f:1:7: text after the closing quote"},
		{"A=x\x00y", "f:1:4: NUL"},
		{"\xff\xfeA\x00=\x00", "f:1:4: NUL"},
		{"A=\xff", "f:1:3: value is not UTF-8"},
		{"A=x${B", "f:1:4: '${'"},
		{"A=${B:-${C}}", "f:1:3: '${'"},
		{"\xef\xbb\xbfA", "f:1:1: no '='"},
	}
	for _, tt := range tests {
		f, err := Parse("f", []byte(tt.in), nil)
		var bad *Error
		if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Parse(%q): %v; want %s", tt.in, err, tt.want)
		}
		if f.Entries != nil || len(f.Bytes()) != 0 {
			t.Errorf("Parse(%q): a file beside an error", tt.in)
		}
	}
}

func TestErrorsShowNoText(t *testing.T) {
	for _, in := range []string{"hunter2", "hunter2 x=1", "A='hunter2", "A='x' hunter2", "A=hunter2\xff", "A=hunter2${hunter2", "A=hunter2\x00"} {
		if _, err := Parse("f", []byte(in), nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q): %v", in, err)
		}
	}
	f, err := Parse("f", []byte("A=pa$hunter2\nA=1"), nil)
	if err != nil || len(f.Warnings) != 2 {
		t.Fatalf("warnings %v, %v", f.Warnings, err)
	}
	for _, w := range f.Warnings {
		if strings.Contains(w.Error(), "hunter2") {
			t.Error(w)
		}
	}
}

func TestExpansionIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("K0=xxxxxxxxxx\n")
	for i := range 60 {
		fmt.Fprintf(&b, "K%d=$K%d$K%d\n", i+1, i, i)
	}
	if _, err := Parse("f", []byte(b.String()), nil); err == nil || !strings.Contains(err.Error(), "too much") {
		t.Errorf("error %v", err)
	}
	nul := func(string) (string, bool) { return "\x00", true }
	if _, err := Parse("f", []byte("A=$B"), nul); err == nil {
		t.Error("a NUL byte came in by a variable")
	}
}

// TestQuotedForms: any text survives each quote that can hold it.
func TestQuotedForms(t *testing.T) {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\r", `\r`)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ReplaceAll(rapid.String().Draw(t, "text"), "\x00", "")
		forms := []string{`"` + escape.Replace(text) + `"`}
		if !strings.ContainsAny(text, "'\r") {
			forms = append(forms, "'"+text+"'")
		}
		for _, form := range forms {
			f, err := Parse("f", []byte("A=1\nexport K = "+form+" # c\nZ=2\n"), nil)
			if err != nil {
				t.Fatalf("%q: %v", form, err)
			}
			e := f.Entries[1]
			if len(f.Entries) != 3 || e.Value != text || string(f.Bytes()[e.Start:e.End]) != form {
				t.Fatalf("%q read as %+v", form, f.Entries)
			}
		}
	})
}

func TestRewrite(t *testing.T) {
	in := "\xef\xbb\xbf# head\r\n  export A = 'x\r\ny' # c\r\nB=1\t# d\nC=\nD=\"q\" #e"
	f, err := Parse("x.env", []byte(in), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "\xef\xbb\xbf# head\r\n  export A = 'new' # c\r\nB=2\t# d\nC=\nD=\"3\" #e"
	if got := string(f.Rewrite(map[int]string{0: "'new'", 1: "2", 3: `"3"`})); got != want {
		t.Errorf("%q", got)
	}
	if got := string(f.Rewrite(nil)); got != in {
		t.Errorf("%q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"A=1\n", "\xef\xbb\xbfexport A='x'\r\n", "A=\"x\\n$B\" # c", "A=${B:-c}", "A", "A=\x00", "$A=1", "A='"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f", data, environment)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) || bad.Line < 1 || bad.Col < 1 && !bytes.HasPrefix(data, []byte(bom)) {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		if !bytes.Equal(file.Bytes(), data) {
			t.Fatal("bytes lost")
		}
		end := 0
		for _, e := range file.Entries {
			if !validKey(e.Key) || e.Start < end || e.End < e.Start || e.End > len(data) {
				t.Fatalf("entry out of order: %+v", e)
			}
			if strings.IndexByte(e.Value, 0) >= 0 {
				t.Fatal("NUL in a value")
			}
			end = e.End
		}
		same := map[int]string{}
		for i, e := range file.Entries {
			same[i] = string(data[e.Start:e.End])
		}
		if !bytes.Equal(file.Rewrite(same), data) {
			t.Fatal("a rewrite of nothing changed something")
		}
	})
}

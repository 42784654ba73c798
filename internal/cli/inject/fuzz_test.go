package inject

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/ref"
)

// parse is a template as the command reads it, or the error it refuses with.
func parse(text string, comments ...string) (template, error) {
	var errs bytes.Buffer
	o := Options{Console: &console.Console{In: strings.NewReader(text), Err: &errs}, Environ: []string{"V=dev"}, Comments: comments}
	t, err := o.template()
	if err == nil && len(t.bad) > 0 {
		err = errors.New(t.bad[0].msg)
	}
	return t, err
}

// FuzzFill: what is no reference comes out byte for byte, and a reference takes
// the room of its value and nothing more.
func FuzzFill(f *testing.F) {
	for _, s := range []string{"", "plain\r\n", "\xef\xbb\xbfop://a/b/c", "{{ op://a b/c/d }} # op://x", "op://$V/a/b $V", "{{{{ .x }}", "a\x00\xffop://"} {
		f.Add(s, "value", "#")
	}
	f.Fuzz(func(t *testing.T, text, value, comment string) {
		plain := strings.NewReplacer("{{", "{", "://", ":/").Replace(text)
		if !strings.Contains(plain, "{{") && !strings.Contains(plain, "://") {
			got, err := parse(plain)
			if err != nil {
				t.Fatalf("%q: %v", plain, err)
			}
			if out, err := got.fill(nil, nil); err != nil || string(out) != plain {
				t.Fatalf("%q became %q, %v", plain, out, err)
			}
		}
		got, err := parse(text, comment)
		if err != nil {
			return
		}
		refs, index := distinct(got.parsed.Refs())
		values := make([][]byte, len(refs))
		for i := range values {
			values[i] = []byte(value)
		}
		out, err := got.fill(values, index)
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := got.parsed.Render(func(ref.Ref) (string, error) { return value, nil }); want != string(out) {
			t.Fatalf("filled %q, rendered %q", out, want)
		}
		if len(refs) == 0 && !strings.Contains(text, "{{") && string(out) != text {
			t.Fatalf("%q became %q", text, out)
		}
		// Text in front and behind changes nothing in between.
		framed, err := parse("<\n"+text+"\n>", comment)
		if err != nil || strings.HasPrefix(text, bom) {
			return
		}
		_, index = distinct(framed.parsed.Refs())
		if again, err := framed.fill(values, index); err != nil || string(again) != "<\n"+string(out)+"\n>" {
			t.Fatalf("%q, %v; alone %q", again, err, out)
		}
	})
}

// many is a template with n references, each different ones after the other.
func many(n, different int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d = op://v/i/f%d\n", i, i%different)
	}
	return b.String()
}

func benchmarkText(size, refs int) string {
	var b strings.Builder
	line := strings.Repeat("some: ordinary configuration of the world, quoted \"so\" # and so on\n", 8)
	for i := 0; b.Len() < size; i++ {
		if b.Len() >= i*size/refs {
			fmt.Fprintf(&b, "key%d: {{ op://vault/item %d/field }}\n", i, i)
		}
		b.WriteString(line[:min(len(line), size/refs)])
	}
	return b.String()
}

func benchmark(b *testing.B, text string, comments ...string) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		t, err := parse(text, comments...)
		if err != nil {
			b.Fatal(err)
		}
		refs, index := distinct(t.parsed.Refs())
		values := make([][]byte, len(refs))
		for i := range values {
			values[i] = []byte("a value of some length, as tokens are")
		}
		if _, err := t.fill(values, index); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFill is all that inject does but for asking: 10 MB, 1,000 references.
func BenchmarkFill(b *testing.B)         { benchmark(b, benchmarkText(10_000_000, 1000)) }
func BenchmarkFillComments(b *testing.B) { benchmark(b, benchmarkText(10_000_000, 1000), "#", "//") }
func BenchmarkFillDense(b *testing.B)    { benchmark(b, many(100_000, 4000)) }

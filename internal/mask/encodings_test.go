package mask

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// encoder writes a value as some program would; one that it cannot write it
// returns as it is.
type encoder struct {
	name   string
	encode func(v string) string
}

// encoders come from the standard library where it has one, and else are
// written as plainly as can be.
var encoders = []encoder{
	{"raw", func(v string) string { return v }},
	{"terminal", func(v string) string { return strings.ReplaceAll(v, "\n", "\r\n") }},
	{"reversed", func(v string) string { b := []byte(v); slices.Reverse(b); return string(b) }},
	{"rev", func(v string) string {
		if !utf8.ValidString(v) {
			return v
		}
		r := []rune(v)
		slices.Reverse(r)
		return string(r)
	}},
	{"base64", func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }},
	{"base64 raw", func(v string) string { return base64.RawStdEncoding.EncodeToString([]byte(v)) }},
	{"base64 URL", func(v string) string { return base64.URLEncoding.EncodeToString([]byte(v)) }},
	{"base64 raw URL", func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }},
	{"base32", func(v string) string { return base32.StdEncoding.EncodeToString([]byte(v)) }},
	{"base32 lower", func(v string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte(v))) }},
	{"base32 raw", func(v string) string {
		return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(v))
	}},
	{"hex", func(v string) string { return hex.EncodeToString([]byte(v)) }},
	{"hex upper", func(v string) string { return fmt.Sprintf("%X", v) }},
	{"hex spaced", func(v string) string { return fmt.Sprintf("% x", v) }},
	{"hex colons", func(v string) string { return strings.ReplaceAll(fmt.Sprintf("% X", v), " ", ":") }},
	{"query", url.QueryEscape},
	{"query lower", func(v string) string { return lowerEscapes(url.QueryEscape(v)) }},
	{"path", func(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "+", "%20") }},
	{"query twice", func(v string) string { return url.QueryEscape(strings.ReplaceAll(url.QueryEscape(v), "+", "%20")) }},
	{"query twice, +", func(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "%", "%25") }},
	{"component", func(v string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%2A", "*", "%27", "'", "%28", "(", "%29", ")").Replace(url.QueryEscape(v))
	}},
	{"percent all", func(v string) string { return eachByte(v, "%%%02x") }},
	{"percent all upper", func(v string) string { return eachByte(v, "%%%02X") }},
	{"percent all twice", func(v string) string { return eachByte(v, "%%25%02X") }},
	{"Go JSON", func(v string) string { return marshal(v, true) }},
	{"Go JSON without HTML", func(v string) string { return marshal(v, false) }},
	{"Go JSON twice", func(v string) string { return marshal(marshal(v, false), false) }},
	{"PHP JSON", func(v string) string { return strings.ReplaceAll(marshal(v, false), "/", `\/`) }},
	{"Python JSON", func(v string) string { return ascii(marshal(v, false), `\u%04x`) }},
	{"JSON all", func(v string) string { return units(v, `\u%04x`) }},
	{"JSON all upper", func(v string) string { return units(v, `\u%04X`) }},
	{"Go HTML", html.EscapeString},
	{"Python HTML", func(v string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(v)
	}},
	{"XML text", func(v string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v) }},
	{"XML", func(v string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(v)
	}},
	{"HTML all", func(v string) string { return eachRune(v, "&#%d;") }},
	{"HTML all hex", func(v string) string { return eachRune(v, "&#x%x;") }},
	{"HTML all HEX", func(v string) string { return eachRune(v, "&#x%X;") }},
	{"shell", func(v string) string { return strings.ReplaceAll(v, "'", `'\''`) }},
	{"Python shell", func(v string) string { return strings.ReplaceAll(v, "'", `'"'"'`) }},
	{"shell double", func(v string) string {
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(v)
	}},
	{"shell backslashes", func(v string) string {
		if hasControl(v, "\n\t") {
			return v
		}
		var b strings.Builder
		for i := range len(v) {
			if strings.IndexByte(" \t!\"#$&'()*;<>?[\\]^`{|}~", v[i]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(v[i])
		}
		return strings.ReplaceAll(b.String(), "\n", "'\n'")
	}},
	{"$''", func(v string) string {
		if hasControl(v, "\n\t\r\a\x1b") {
			return v
		}
		return strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "\a", `\a`, "\x1b", `\E`).Replace(v)
	}},
	{"$'' all", func(v string) string { return eachByte(v, `\x%02x`) }},
	{"$'' octal", func(v string) string { return eachByte(v, `\%03o`) }},
	{"Go string", func(v string) string {
		if strings.ContainsFunc(v, func(r rune) bool { return r >= utf8.RuneSelf && !strconv.IsPrint(r) }) {
			return v // \u among others
		}
		q := strconv.Quote(v)
		return q[1 : len(q)-1]
	}},
}

func eachByte(v, format string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, format, v[i])
	}
	return b.String()
}

func eachRune(v, format string) string {
	if !utf8.ValidString(v) {
		return v
	}
	var b strings.Builder
	for _, r := range v {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// units writes each UTF-16 code unit.
func units(v, format string) string {
	if !utf8.ValidString(v) {
		return v
	}
	var b strings.Builder
	for _, r := range v {
		if r > 0xffff {
			fmt.Fprintf(&b, format+format, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
			continue
		}
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// hasControl tells whether v has control characters besides some.
func hasControl(v, besides string) bool {
	return strings.ContainsFunc(v, func(r rune) bool { return (r < ' ' || r == 0x7f) && !strings.ContainsRune(besides, r) })
}

func ascii(v, format string) string {
	if !utf8.ValidString(v) {
		return v
	}
	var b strings.Builder
	for _, r := range v {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteString(units(string(r), format))
		}
	}
	return b.String()
}

// marshal returns what stands between the quotes. What is not UTF-8 is lost
// in JSON, and returned as it is.
func marshal(v string, html bool) string {
	if !utf8.ValidString(v) {
		return v
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	_ = e.Encode(v) // a string never fails
	return string(b.Bytes()[1 : b.Len()-2])
}

func lowerEscapes(v string) string {
	b := []byte(v)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], bytes.ToLower(b[i:i+3]))
		}
	}
	return string(b)
}

var values = []string{
	"hunter2", "abcdef", "correct horse battery staple", `a"b\c'd/e<f>&g`, "p@ss w0rd+%21!", "~(x)*[y]{z}|$`;",
	"pässwörd€😀", "line one\nline two is long\nthree", "tab\there\x1b[1mbold", "\xff\xfe\xfd\xfc\xfb\xfa", "\x00\x01\x02\x03\x04\x05\x06\x07",
	"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "??>>??>>??>>", "q\u2028r\u2029s=t#u", "sëcret\x80bytes",
}

// TestEncodings has every encoding of every value between others' bytes.
func TestEncodings(t *testing.T) {
	for _, v := range values {
		c := &clock{}
		m := matcher(c, []byte(v))
		for _, e := range encoders {
			form := e.encode(v)
			in := "\t(" + form + ")\t"
			for _, size := range []int{1, 3, 1000} {
				got, err := stream(m, c, []byte(in), []int{size})
				if want := "\t(" + R + ")\t"; err != nil || string(got) != want {
					t.Errorf("%q as %s, %q, in writes of %d: %q, %v", v, e.name, in, size, got, err)
					break
				}
			}
		}
	}
}

// TestColoured has escape sequences between the characters of each form.
func TestColoured(t *testing.T) {
	for _, v := range values {
		c := &clock{}
		m := matcher(c, []byte(v))
		for _, e := range encoders {
			form := e.encode(v)
			for _, between := range betweens[:7] {
				if strings.ContainsRune(form, esc) {
					if e.name != "raw" {
						continue // its own sequences would be cut up
					}
					form = "tab\therebold"
				}
				in := "<" + strings.Join(strings.Split(form, ""), between) + ">"
				got, err := stream(m, c, []byte(in), []int{1 + len(form)%7})
				if want := "<" + R + ">"; err != nil || string(got) != want {
					t.Errorf("%q as %s with %q between: %q, %v", v, e.name, between, got, err)
				}
			}
		}
	}
}

// TestWrapped has base64, base32 and hex in lines of some length, with the
// value at every place in a longer text.
func TestWrapped(t *testing.T) {
	v := "correct horse battery staple"
	c := &clock{}
	m := matcher(c, []byte(v))
	for before := range 60 {
		all := []byte(strings.Repeat("z", before) + v + strings.Repeat("y", 90))
		for name, text := range map[string]string{
			"base64": base64.StdEncoding.EncodeToString(all),
			"base32": base32.StdEncoding.EncodeToString(all),
			"hex":    hex.EncodeToString(all),
		} {
			for _, width := range []int{16, 60, 64, 76} {
				for _, end := range []string{"\n", "\r\n"} {
					var in strings.Builder
					for i := 0; i < len(text); i += width {
						in.WriteString(text[i:min(len(text), i+width)] + end)
					}
					for _, size := range []int{1 + before, 0} {
						got, err := stream(m, c, []byte(in.String()), []int{size})
						most := in.Len() - len(v)*8/6 + 2 + len(R)
						if size == 0 { // the timer fires
							most += firmHold - 1 + len(end)
						}
						if err != nil || strings.Count(string(got), R) != 1 || len(got) > most {
							t.Fatalf("%s after %d bytes in lines of %d with %q: %q, %v", name, before, width, end, got, err)
						}
					}
				}
			}
		}
	}
}

// TestNotWrapped has line breaks that are none inside of a text.
func TestNotWrapped(t *testing.T) {
	c := &clock{}
	m := matcher(c, []byte("hunter2x"))
	for _, in := range []string{"a hunter\n2x", "0123456789abcdefhunter\n 2x", "0123456789abcdefhunter\r2x", "0123456789abcdef.hunter\n2x"} {
		got, err := stream(m, c, []byte(in), []int{3})
		if err != nil || string(got) != in {
			t.Errorf("%q became %q, %v", in, got, err)
		}
	}
}

// TestLines has the lines of a key alone, but not the boundaries, which are no
// secret, and not the short ones.
func TestLines(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\r\n9w0BAQEFAASCBKcw\nshort==\n-----END PRIVATE KEY-----\n"
	c := &clock{}
	got, err := stream(matcher(c, []byte(key)), c,
		[]byte("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG 9w0BAQEFAASCBKcw\nshort==\n"), []int{5})
	if want := "-----BEGIN PRIVATE KEY-----\n" + R + " " + R + "\nshort==\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

package mask

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// rule appends to dst the escape of the character that v begins with, and
// returns how many bytes of v that is.
type rule func(dst, v []byte) ([]byte, int)

// maxEscape is more than any rule appends for one character.
const maxEscape = 64

// escape adds v with each character as next writes it, and returns that; nil
// if it is v itself.
func (f *forms) escape(v []byte, next rule) []byte {
	var scratch [maxEscape]byte
	size, same := 0, true
	for rest := v; len(rest) > 0; {
		out, n := next(scratch[:0], rest)
		same = same && bytes.Equal(out, rest[:n])
		size += len(out)
		rest = rest[n:]
	}
	clear(scratch[:])
	if same {
		return nil
	}
	out := make([]byte, 0, size)
	for rest := v; len(rest) > 0; {
		var n int
		out, n = next(out, rest)
		rest = rest[n:]
	}
	f.own(out)
	return out
}

// again adds form with before in front of each byte that is one of special,
// or with after behind it.
func (f *forms) again(form []byte, special, before, after string) {
	n := 0
	for _, c := range form {
		if strings.IndexByte(special, c) >= 0 {
			n++
		}
	}
	if n == 0 {
		return
	}
	out := make([]byte, 0, len(form)+n*(len(before)+len(after)))
	for _, c := range form {
		if strings.IndexByte(special, c) < 0 {
			out = append(out, c)
			continue
		}
		out = append(append(append(out, before...), c), after...)
	}
	f.own(out)
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isASCII(v []byte) bool {
	for _, c := range v {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// present returns the characters of set that stand in v.
func present(v []byte, set string) string {
	return strings.Map(func(r rune) rune {
		if bytes.IndexByte(v, byte(r)) < 0 {
			return -1
		}
		return r
	}, set)
}

// percent adds the escapes of RFC 3986, once and twice over, for the sets of
// characters that the common encoders leave alone besides letters and digits,
// and for none. A set that begins with a space writes that as +.
func (f *forms) percent(v []byte) {
	for _, digits := range []string{lower, upper} {
		f.again(f.escape(v, func(dst, v []byte) ([]byte, int) {
			return append(dst, '%', digits[v[0]>>4], digits[v[0]&15]), 1
		}), "%", "", "25")
		var seen []string
		for _, leaves := range []string{
			"-._~",                 // RFC 3986 section 2.3; Go, Python
			"-._~/",                // Python's quote
			"-._~!*'()",            // JavaScript's encodeURIComponent
			"-._~!*'();/?:@&=+$,#", // JavaScript's encodeURI
			" -._~",                // forms
			" -._*",                // the same, WHATWG and Java
		} {
			leaves := present(v, leaves)
			if slices.Contains(seen, leaves) {
				continue // as another
			}
			seen = append(seen, leaves)
			f.again(f.escape(v, func(dst, v []byte) ([]byte, int) {
				c := v[0]
				if !alphanumeric(c) && strings.IndexByte(leaves, c) < 0 {
					return append(dst, '%', digits[c>>4], digits[c&15]), 1
				}
				if c == ' ' {
					c = '+'
				}
				return append(dst, c), 1
			}), "%", "", "25")
		}
	}
}

// jsonStyle is what a JSON encoder escapes beyond what it must.
type jsonStyle struct {
	slash bool   // / as \/
	html  bool   // < > & as \u00XX
	ends  bool   // U+2028 and U+2029, which end lines, as \uXXXX
	ascii bool   // what is not ASCII as \uXXXX
	all   bool   // every character as \uXXXX
	long  bool   // control characters as \u00XX, even where \n and the like exist
	hex   string // the digits of \uXXXX
}

// json adds what stands between the quotes of a JSON string, and that as part
// of a JSON text in a JSON string.
func (f *forms) json(v []byte) {
	ascii, slash := isASCII(v), bytes.IndexByte(v, '/') >= 0
	for _, hex := range []string{lower, upper} {
		for _, s := range []jsonStyle{
			{}, {slash: true}, {ends: true}, {ends: true, slash: true}, {ends: true, html: true},
			{ascii: true}, {long: true}, {all: true},
			{ascii: true, slash: true}, {ascii: true, html: true}, {ascii: true, long: true},
		} {
			if f.bare && !s.all || (s.ascii || s.ends && !s.html) && ascii || s.slash && !slash {
				continue // as without
			}
			s.hex = hex
			f.again(f.escape(v, s.next), `"\`, `\`, "")
		}
	}
}

func (s jsonStyle) next(dst, v []byte) ([]byte, int) {
	r, n := utf8.DecodeRune(v)
	if r == utf8.RuneError && n == 1 { // no text: the byte as it is, or as Latin-1
		r = rune(v[0])
	}
	short := "" // the letter or sign after the backslash
	if i := strings.IndexRune("\b\f\n\r\t", r); i >= 0 && !s.long {
		short = "bfnrt"[i : i+1]
	}
	if r == '"' || r == '\\' || r == '/' && s.slash {
		short = string(v[:1])
	}
	switch {
	case s.all || r < 0x20 && short == "" || r >= utf8.RuneSelf && s.ascii ||
		s.html && strings.ContainsRune("<>&", r), s.ends && (r == '\u2028' || r == '\u2029'):
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			return s.unit(s.unit(dst, hi), lo), n
		}
		return s.unit(dst, r), n
	case short != "":
		return append(append(dst, '\\'), short...), n
	}
	return append(dst, v[:n]...), n
}

func (s jsonStyle) unit(dst []byte, u rune) []byte {
	return append(dst, '\\', 'u', s.hex[u>>12&15], s.hex[u>>8&15], s.hex[u>>4&15], s.hex[u&15])
}

// htmlStyle is how an HTML or XML encoder writes a character: a name, %d, %x
// or %X; empty means as it is.
type htmlStyle struct {
	amp, lt, gt string
	quote       string
	apostrophe  string
	beyond      string // what is not ASCII
	rest        string // all others
}

// html adds the entities of HTML and XML.
func (f *forms) html(v []byte) {
	ascii, quotes := isASCII(v), bytes.ContainsAny(v, `"'`)
	for _, beyond := range []string{"", "%d", "%x", "%X"} {
		for _, q := range [][2]string{
			{"", ""}, {"quot", ""}, {"quot", "%d"}, {"quot", "0%d"}, {"quot", "%x"}, {"quot", "%X"}, {"quot", "apos"}, {"%d", "%d"},
		} {
			if f.bare || beyond != "" && ascii || q[0]+q[1] != "" && !quotes {
				continue // as without
			}
			f.escape(v, htmlStyle{"amp", "lt", "gt", q[0], q[1], beyond, ""}.next)
		}
	}
	for _, n := range []string{"%d", "%x", "%X"} {
		f.escape(v, htmlStyle{n, n, n, n, n, "", ""}.next)
		f.escape(v, htmlStyle{n, n, n, n, n, n, ""}.next)
		f.escape(v, htmlStyle{n, n, n, n, n, n, n}.next)
	}
}

func (s htmlStyle) next(dst, v []byte) ([]byte, int) {
	r, n := utf8.DecodeRune(v)
	if r == utf8.RuneError && n == 1 {
		r = rune(v[0])
	}
	how := s.rest
	switch {
	case r == '&':
		how = s.amp
	case r == '<':
		how = s.lt
	case r == '>':
		how = s.gt
	case r == '"':
		how = s.quote
	case r == '\'':
		how = s.apostrophe
	case r >= utf8.RuneSelf:
		how = s.beyond
	}
	switch how {
	case "":
		return append(dst, v[:n]...), n
	case "%d":
		dst = strconv.AppendInt(append(dst, "&#"...), int64(r), 10)
	case "0%d":
		dst = strconv.AppendInt(append(dst, "&#0"...), int64(r), 10)
	case "%x":
		dst = strconv.AppendInt(append(dst, "&#x"...), int64(r), 16)
	case "%X":
		from := len(dst)
		dst = strconv.AppendInt(append(dst, "&#x"...), int64(r), 16)
		for i := from + 3; i < len(dst); i++ {
			if dst[i] >= 'a' {
				dst[i] -= 'a' - 'A'
			}
		}
	default:
		dst = append(append(dst, '&'), how...)
	}
	return append(dst, ';'), n
}

// shell adds what stands between the quotes of a shell or of a C string, and
// words made safe by backslashes.
func (f *forms) shell(v []byte) {
	for _, q := range []string{`'\''`, `'"'"'`} {
		f.escape(v, func(dst, v []byte) ([]byte, int) {
			if v[0] == '\'' {
				return append(dst, q...), 1
			}
			return append(dst, v[0]), 1
		})
	}
	f.escape(v, func(dst, v []byte) ([]byte, int) {
		if strings.IndexByte("\\\"$`", v[0]) >= 0 {
			dst = append(dst, '\\')
		}
		return append(dst, v[0]), 1
	})
	for _, leaves := range []string{"_@%+=:,./-", "_-.,:+/@", "_"} { // bash's %q, Ruby, escapers of patterns
		f.escape(v, func(dst, v []byte) ([]byte, int) {
			c := v[0]
			if c == '\n' {
				return append(dst, "'\n'"...), 1
			}
			if c < utf8.RuneSelf && !alphanumeric(c) && strings.IndexByte(leaves, c) < 0 {
				dst = append(dst, '\\')
			}
			return append(dst, c), 1
		})
	}
	for _, s := range []cStyle{
		{quotes: "'", digits: "", beyond: true}, {quotes: "'", digits: ""}, {quotes: "'", digits: "", escape: 'e'},
		{quotes: "'", digits: lower}, {quotes: "'", digits: upper}, {quotes: "'", digits: lower, beyond: true},
		{quotes: `"`, digits: "", beyond: true}, {quotes: `"`, digits: ""},
		{quotes: `"`, digits: lower}, {quotes: `"`, digits: upper}, {quotes: `"`, digits: lower, beyond: true},
		{digits: "", all: true}, {digits: lower, all: true}, {digits: upper, all: true},
	} {
		if s.all || !f.bare {
			f.escape(v, s.next)
		}
	}
}

// cStyle is how $'...' and the strings of C and its heirs are written.
type cStyle struct {
	quotes string // escaped with a backslash, as the backslash itself
	digits string // of \xHH; empty: \ooo
	beyond bool   // what is not ASCII stays
	all    bool   // every byte by number
	escape byte   // the letter for ESC; 0: E
}

func (s cStyle) next(dst, v []byte) ([]byte, int) {
	c := v[0]
	if !s.all {
		const controls = "\a\b\t\n\v\f\r"
		i := strings.IndexByte(controls, c)
		switch {
		case i >= 0:
			return append(dst, '\\', "abtnvfr"[i]), 1
		case c == 0x1b && s.digits == "" && s.quotes == "'":
			return append(dst, '\\', max(s.escape, 'E')), 1
		case c == '\\' || strings.IndexByte(s.quotes, c) >= 0:
			return append(dst, '\\', c), 1
		case 0x20 <= c && c < 0x7f:
			return append(dst, c), 1
		}
		if _, n := utf8.DecodeRune(v); n > 1 && s.beyond {
			return append(dst, v[:n]...), n
		}
	}
	if s.digits == "" {
		return append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7), 1
	}
	return append(dst, '\\', 'x', s.digits[c>>4], s.digits[c&15]), 1
}

package mask

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	lower = "0123456789abcdef"
	upper = "0123456789ABCDEF"

	minLine = 8 // bytes from which a line of a longer value is known alone
)

// forms collects the byte strings to look for. Each slice is allocated at its
// final size and belongs to the collection, so that wiping the collection
// leaves no copy behind.
type forms struct {
	patterns [][]byte // views into owned
	owned    [][]byte
	plain    []byte // the value whose forms are being added
	bare     bool   // it has nothing that JSON, HTML or C escape
}

// add copies the forms of one value and tells whether it is long enough. Line
// ends at the end are dropped first: the shell's $(...) drops them as well,
// and they are not secret.
func (f *forms) add(value []byte) bool {
	v := bytes.TrimRight(value, "\r\n")
	if len(v) < MinLen {
		return false
	}
	f.plain = nil
	f.own(bytes.Clone(v))
	f.plain = f.owned[len(f.owned)-1]
	f.bare = !bytes.ContainsFunc(v, func(r rune) bool {
		return r < ' ' || r > '~' || strings.ContainsRune("\"'\\/&<>", r)
	})
	f.lines(f.plain)
	f.stripped(f.plain)
	f.reversed(f.plain)
	for before := range 3 {
		f.base64(f.plain, before, base64.RawStdEncoding)
		f.base64(f.plain, before, base64.RawURLEncoding)
	}
	for before := range 5 {
		f.base32(f.plain, before)
	}
	f.hex(f.plain)
	f.percent(f.plain)
	f.json(f.plain)
	f.html(f.plain)
	f.shell(f.plain)
	return true
}

// own takes b over, unless it is the plain value once more.
func (f *forms) own(b []byte) {
	if bytes.Equal(b, f.plain) {
		clear(b)
		return
	}
	f.owned = append(f.owned, b)
	f.patterns = append(f.patterns, b)
}

// lines adds what a terminal makes of a value of several lines, and each long
// line alone. The boundaries of a PEM block are the same in all of them.
func (f *forms) lines(v []byte) {
	n := bytes.Count(v, []byte("\n"))
	if n == 0 {
		return
	}
	all := make([]byte, 0, len(v)+n)
	for _, c := range v {
		if c == '\n' {
			all = append(all, '\r')
		}
		all = append(all, c)
	}
	f.own(all)
	for line := range bytes.SplitSeq(v, []byte("\n")) {
		line = bytes.TrimRight(line, "\r")
		if len(line) < minLine || bytes.HasPrefix(line, []byte("-----")) && bytes.HasSuffix(line, []byte("-----")) {
			continue
		}
		f.own(bytes.Clone(line))
	}
}

// stripped adds what is left of the value without escape sequences.
func (f *forms) stripped(v []byte) {
	if bytes.IndexByte(v, esc) < 0 {
		return
	}
	rest := make([]byte, 0, len(v))
	for i := 0; i < len(v); {
		if v[i] == esc {
			if n, _ := sequence(v[i:]); n > 0 {
				i += n
				continue
			}
		}
		rest = append(rest, v[i])
		i++
	}
	if len(rest) < MinLen {
		clear(rest)
		return
	}
	f.own(rest)
}

// reversed adds the value from its end to its beginning, by bytes and, where
// that differs, by characters.
func (f *forms) reversed(v []byte) {
	b := bytes.Clone(v)
	slices.Reverse(b)
	f.own(b)
	if !utf8.Valid(v) || utf8.RuneCount(v) == len(v) {
		return
	}
	b = make([]byte, 0, len(v))
	for rest := v; len(rest) > 0; {
		_, n := utf8.DecodeLastRune(rest)
		b = append(b, rest[len(rest)-n:]...)
		rest = rest[:len(rest)-n]
	}
	f.own(b)
}

// base64 adds what the encoding of v looks like when before other bytes (mod
// 3) come ahead of it.
func (f *forms) base64(v []byte, before int, enc *base64.Encoding) {
	src := make([]byte, before+len(v))
	copy(src[before:], v)
	dst := make([]byte, (len(src)+2)/3*4)
	enc.Encode(dst, src)
	clear(src)
	f.aligned(dst, 8*before, 8*len(src), 6)
}

// base32 does the same, mod 5, in upper and lower case.
func (f *forms) base32(v []byte, before int) {
	src := make([]byte, before+len(v))
	copy(src[before:], v)
	dst := make([]byte, (len(src)+4)/5*8)
	base32.StdEncoding.WithPadding(base32.NoPadding).Encode(dst, src)
	clear(src)
	f.aligned(dst, 8*before, 8*len(src), 5)
	low := bytes.Clone(dst)
	for i, c := range low {
		if 'A' <= c && c <= 'Z' {
			low[i] = c + 'a' - 'A'
		}
	}
	f.aligned(low, 8*before, 8*len(src), 5)
}

// aligned adds three parts of text, an encoding of bits to each character that
// has room for its padding at the end: the characters that the value's bits
// from..to alone decide, and the two ways a text can go on when the value is
// its end.
func (f *forms) aligned(text []byte, from, to, bits int) {
	first := (from + bits - 1) / bits // without a bit of a byte before the value
	core := to / bits                 // with a bit of a byte after the value
	raw := (to + bits - 1) / bits
	for i := raw; i < len(text); i++ {
		text[i] = '='
	}
	f.owned = append(f.owned, text)
	f.patterns = append(f.patterns, text[first:core])
	if core < raw {
		f.patterns = append(f.patterns, text[first:raw], text[first:])
	}
}

// hex adds the hexadecimal digits of one case, together or with a byte between
// each two.
func (f *forms) hex(v []byte) {
	for _, digits := range []string{lower, upper} {
		h := make([]byte, 0, hex.EncodedLen(len(v)))
		for _, c := range v {
			h = append(h, digits[c>>4], digits[c&15])
		}
		f.own(h)
		for _, between := range []byte(": ") {
			h := make([]byte, 0, 3*len(v)-1)
			for i, c := range v {
				if i > 0 {
					h = append(h, between)
				}
				h = append(h, digits[c>>4], digits[c&15])
			}
			f.own(h)
		}
	}
}

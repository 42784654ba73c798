package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

// forms collects the byte strings to look for. Each slice is allocated at its
// final size and belongs to the collection, so that wiping the collection
// leaves no copy behind.
type forms struct {
	patterns [][]byte // views into owned
	owned    [][]byte
}

// add copies the forms of one value and tells whether it is long enough. Line
// ends at the end are dropped first: the shell's $(...) drops them as well,
// and they are not secret.
func (f *forms) add(value []byte) bool {
	v := bytes.TrimRight(value, "\r\n")
	if len(v) < MinLen {
		return false
	}
	f.own(append(make([]byte, 0, len(v)), v...))
	if n := bytes.Count(v, []byte("\n")); n > 0 {
		f.own(terminalLines(v, n))
	}
	for before := range 3 {
		f.base64(v, before, base64.RawStdEncoding)
		f.base64(v, before, base64.RawURLEncoding)
	}
	const lower, upper = "0123456789abcdef", "0123456789ABCDEF"
	h := make([]byte, hex.EncodedLen(len(v)))
	hex.Encode(h, v)
	f.own(h)
	f.own(upperHex(h))
	for _, digits := range []string{lower, upper} {
		f.own(percent(v, digits, func(byte) bool { return false }))
		f.own(percent(v, digits, unreserved))
	}
	return true
}

func (f *forms) own(b []byte) {
	f.owned = append(f.owned, b)
	f.patterns = append(f.patterns, b)
}

// base64 adds what the encoding of v looks like when before other bytes (mod
// 3) come ahead of it: the characters that v alone decides, and the two ways a
// text can go on when v is its end.
func (f *forms) base64(v []byte, before int, enc *base64.Encoding) {
	src := make([]byte, before+len(v))
	copy(src[before:], v)
	raw := enc.EncodedLen(len(src))
	padded := (raw + 3) / 4 * 4
	dst := make([]byte, padded)
	enc.Encode(dst, src)
	clear(src)
	for i := raw; i < padded; i++ {
		dst[i] = '='
	}
	from := (8*before + 5) / 6        // first character with no bit of a byte before v
	core := 8 * (before + len(v)) / 6 // first one with a bit of a byte after v
	f.owned = append(f.owned, dst)
	f.patterns = append(f.patterns, dst[from:core])
	if core < raw {
		f.patterns = append(f.patterns, dst[from:raw], dst[from:padded])
	}
}

// terminalLines returns v with each of its n line feeds as CR LF.
func terminalLines(v []byte, n int) []byte {
	out := make([]byte, 0, len(v)+n)
	for _, c := range v {
		if c == '\n' {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

func upperHex(lower []byte) []byte {
	out := make([]byte, len(lower))
	for i, c := range lower {
		if c >= 'a' {
			c -= 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

// percent returns v with every byte escaped that plain does not spare.
func percent(v []byte, digits string, plain func(byte) bool) []byte {
	n := 0
	for _, c := range v {
		if plain(c) {
			n++
		} else {
			n += 3
		}
	}
	out := make([]byte, 0, n)
	for _, c := range v {
		if plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}

// unreserved follows RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

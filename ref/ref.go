// Package ref is the grammar of secret references and of templates that carry
// them: parse, print, find in text. It knows no value and does no I/O.
//
// A reference points at one field:
//
//	op://<vault>/<item>/[<section>/]<field>[?<parameter>=<value>]
//
// Each part is a title or an id. Letters, digits, '-', '_', '.' and inner
// spaces stand for themselves, as in 1Password. Every other character, and a
// space at either end of a part, is written as the percent-encoded bytes of
// its UTF-8 form. Nothing else may be encoded, so that one reference has one
// spelling, apart from letter case and the alias attr for attribute.
package ref

import (
	"strings"
	"unicode/utf8"
)

const scheme = "op://"

// Query is the optional parameter of a reference, in its printed form. The
// zero Query asks for the value of the field or the content of the file.
type Query string

// The parameters a reference may carry; anything else is refused.
const (
	QueryType    Query = "attribute=type"
	QueryValue   Query = "attribute=value"
	QueryID      Query = "attribute=id"
	QueryPurpose Query = "attribute=purpose"
	QueryOTP     Query = "attribute=otp"
	QueryTitle   Query = "attribute=title"
	QueryContent Query = "attribute=content"
	QuerySize    Query = "attribute=size"
	QueryName    Query = "attribute=name"
	QueryOpenSSH Query = "ssh-format=openssh"
)

// Attribute returns the value of the attribute parameter, such as "otp", or
// the empty string.
func (q Query) Attribute() string {
	name, value, _ := strings.Cut(string(q), "=")
	if name != "attribute" {
		return ""
	}
	return value
}

// Ref is a parsed reference. Its parts are decoded titles or ids; Section may
// be empty, the others may not. It is comparable, but == sees letter case: use
// Equal to ask whether two references name the same thing.
type Ref struct {
	Vault, Item, Section, Field string
	Query                       Query
}

// IsRef reports whether s begins like a reference. It promises nothing about
// the rest: Parse decides.
func IsRef(s string) bool {
	return len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme)
}

// IsID reports whether s has the shape of an id: 26 lower-case letters or digits.
func IsID(s string) bool {
	if len(s) != 26 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Parse reads one reference that fills s entirely. The error is an *Error
// whose Pos counts bytes from the start of s.
func Parse(s string) (Ref, error) {
	if !IsRef(s) {
		// s may be anything, even a value typed in the wrong place: never echo it.
		return Ref{}, &Error{Kind: NotRef, Msg: `secret reference is not prefixed with "op://"`}
	}
	path, query, asked := strings.Cut(s[len(scheme):], "?")
	segments := strings.Split(path, "/")
	switch n := len(segments); {
	case n < 3:
		return Ref{}, &Error{Ref: s, Kind: TooFew, Pos: len(scheme) + len(path),
			Msg: "too few '/': secret references should have at least vault, item and field specified"}
	case n > 4:
		return Ref{}, &Error{Ref: s, Kind: TooMany, Pos: len(scheme) + len(strings.Join(segments[:4], "/")),
			Msg: "too many '/': secret references should match op://<vault>/<item>[/<section>]/<field>"}
	}
	pos := len(scheme)
	for i, raw := range segments {
		part, bad := decode(raw)
		if bad != nil {
			bad.Ref, bad.Pos = s, bad.Pos+pos
			return Ref{}, bad
		}
		segments[i] = part
		pos += len(raw) + 1
	}
	r := Ref{Vault: segments[0], Item: segments[1], Field: segments[len(segments)-1]}
	if len(segments) == 4 {
		r.Section = segments[2]
	}
	if asked {
		q, ok := parseQuery(query)
		if !ok {
			return Ref{}, &Error{Ref: s, Kind: BadQuery, Pos: pos, Msg: "unknown query parameter",
				Hint: "write attribute=<type|value|id|purpose|otp|title|content|size|name> or ssh-format=openssh"}
		}
		r.Query = q
	}
	return r, nil
}

func parseQuery(s string) (Query, bool) {
	s = strings.ToLower(s)
	if v, ok := strings.CutPrefix(s, "attr="); ok {
		s = "attribute=" + v
	}
	switch q := Query(s); q {
	case QueryType, QueryValue, QueryID, QueryPurpose, QueryOTP, QueryTitle,
		QueryContent, QuerySize, QueryName, QueryOpenSSH:
		return q, true
	}
	return "", false
}

// String prints the one spelling of r that Parse reads back as r. A Ref with
// an empty vault, item or field, with text that is not UTF-8, or with a Query
// that is none of the constants, prints as something that Parse refuses.
func (r Ref) String() string {
	var b strings.Builder
	b.WriteString(scheme)
	encode(&b, r.Vault)
	b.WriteByte('/')
	encode(&b, r.Item)
	b.WriteByte('/')
	if r.Section != "" {
		encode(&b, r.Section)
		b.WriteByte('/')
	}
	encode(&b, r.Field)
	if r.Query != "" {
		b.WriteByte('?')
		b.WriteString(string(r.Query))
	}
	return b.String()
}

// Equal reports whether r and o are the same reference under simple Unicode
// case folding. A title and the id of the same thing are not equal here: only
// who resolves them can know.
func (r Ref) Equal(o Ref) bool {
	return strings.EqualFold(r.Vault, o.Vault) && strings.EqualFold(r.Item, o.Item) &&
		strings.EqualFold(r.Section, o.Section) && strings.EqualFold(r.Field, o.Field) &&
		strings.EqualFold(string(r.Query), string(o.Query))
}

// plain reports whether c stands for itself anywhere in a part.
func plain(c byte) bool {
	return isAlnum(c) || c == '-' || c == '_' || c == '.'
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func encode(b *strings.Builder, part string) {
	const digits = "0123456789ABCDEF"
	for i := range len(part) {
		c := part[i]
		inner := i > 0 && i < len(part)-1
		if plain(c) || c == ' ' && inner {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
}

// decode undoes encode. An escape of what could stand for itself is taken too:
// encoders of other makers write %20. The error's Pos counts from the start of raw.
func decode(raw string) (string, *Error) {
	if raw == "" {
		return "", &Error{Kind: EmptyPart, Msg: "a part between two '/' is empty"}
	}
	var b strings.Builder
	for i := 0; i < len(raw); {
		c := raw[i]
		size := 1
		if c == '%' {
			v, ok := unescape(raw[i:])
			if !ok {
				return "", &Error{Kind: BadEscape, Pos: i, Msg: "invalid percent escape: two hex digits must follow '%'",
					Hint: "write '%' itself as %25"}
			}
			c, size = v, 3
		}
		edge := i == 0 || i+size == len(raw)
		self := plain(c) || c == ' ' && !edge
		switch {
		case size == 1 && c == ' ' && edge:
			return "", &Error{Kind: BadChar, Pos: i, Msg: "space at the start or end of a part",
				Hint: "if it belongs to the title, write it as %20"}
		case size == 1 && !self:
			return "", badChar(raw, i)
		}
		b.WriteByte(c)
		i += size
	}
	if !utf8.ValidString(b.String()) {
		return "", &Error{Kind: BadEscape, Msg: "percent escapes do not form UTF-8 text"}
	}
	return b.String(), nil
}

func badChar(raw string, i int) *Error {
	r, size := utf8.DecodeRuneInString(raw[i:])
	var hint strings.Builder
	encode(&hint, raw[i:i+size])
	return &Error{Kind: BadChar, Pos: i,
		Msg:  "invalid character in secret reference: '" + printable(string(r)) + "'",
		Hint: "write it as " + hint.String() + " or use the id of that part"}
}

// unescape reads the percent escape that s begins with.
func unescape(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, ok1 := unhex(s[1])
	lo, ok2 := unhex(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

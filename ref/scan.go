package ref

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxExpanded bounds the text, in bytes, that the variables of one template
// may produce: a short template can name a long variable many times.
const maxExpanded = 16 << 20

// scanner splits a template into pieces in one pass. Every look ahead stops at
// a brace, a quote or a line end, so that hostile input costs linear time.
type scanner struct {
	text   string
	vars   func(string) (string, bool) // nil: '$' is an ordinary character
	pieces []piece
	lit    strings.Builder // text since the last reference
	errs   []error
	spent  int  // bytes that variables produced so far
	full   bool // they were too many, and that was said
}

func (s *scanner) run() {
	for i := 0; i < len(s.text); {
		i = s.step(i)
	}
	s.flush()
}

func (s *scanner) flush() {
	if s.lit.Len() > 0 {
		s.pieces = append(s.pieces, piece{text: s.lit.String()})
		s.lit.Reset()
	}
}

func (s *scanner) fail(kind Kind, start, end, pos int, msg string) {
	s.errs = append(s.errs, &Error{Ref: s.text[start:end], Kind: kind, Pos: pos, Msg: msg})
}

// step consumes what begins at i and returns where to go on.
func (s *scanner) step(i int) int {
	rest := s.text[i:]
	switch {
	case strings.HasPrefix(rest, "{{"):
		if next, ok := s.enclosed(i); ok {
			return next
		}
	case IsRef(rest) && (i == 0 || !continues(s.text[i-1])):
		return s.bare(i)
	case rest[0] == '$' && s.vars != nil:
		if v, ok := parseVariable(rest); ok {
			value, set := s.expand(v, i)
			if !set {
				value = rest[:v.size]
			}
			s.lit.WriteString(value)
			return i + v.size
		}
	}
	s.lit.WriteByte(rest[0])
	n := strings.IndexAny(rest[1:], "{$oO")
	if n < 0 {
		n = len(rest) - 1
	}
	s.lit.WriteString(rest[1 : 1+n])
	return i + 1 + n
}

// continues reports whether a scheme after c is part of a longer word.
func continues(c byte) bool {
	return isAlnum(c) || strings.IndexByte(`-+\.`, c) >= 0
}

// bare consumes a reference without braces.
func (s *scanner) bare(start int) int {
	b := body{s: s, start: start, end: start + len(scheme)}
	b.out.WriteString(scheme)
	query := false
	for b.end < len(s.text) {
		if b.variable() {
			continue
		}
		r, size := utf8.DecodeRuneInString(s.text[b.end:])
		// A letter outside ASCII does not end the token: what looks like one
		// word must not resolve as a shorter one. Parse then refuses it.
		word := r < utf8.RuneSelf && (plain(byte(r)) || r == '/' || r == '?' || r == '=' && query) ||
			r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
		if !word {
			break
		}
		query = query || r == '?'
		b.out.WriteString(s.text[b.end : b.end+size])
		b.end += size
	}
	if _, ok := unescape(s.text[b.end:]); ok {
		s.fail(BadEscape, start, b.end+3, b.end, "a percent escape needs {{ }} around the reference")
		return b.end + 3
	}
	b.finish()
	return b.end
}

// enclosed consumes {{ ... }} at i. It returns false for braces that are none
// of ours, such as those of other template languages.
func (s *scanner) enclosed(i int) (int, bool) {
	start := i + 2
	for start < len(s.text) && isBlank(s.text[start]) {
		start++
	}
	rest := s.text[start:]
	if strings.HasPrefix(rest, `"`) {
		return s.literal(start + 1)
	}
	sure := IsRef(rest)
	if !sure && (s.vars == nil || !strings.HasPrefix(rest, "$")) {
		return 0, false
	}
	b := body{s: s, start: start, end: start}
	for b.end < len(s.text) && strings.IndexByte("{}\n", s.text[b.end]) < 0 {
		if !b.variable() {
			b.out.WriteByte(s.text[b.end])
			b.end++
		}
	}
	closed := strings.HasPrefix(s.text[b.end:], "}}")
	switch {
	case !sure && (!closed || !IsRef(b.out.String())):
		return 0, false
	case !closed:
		s.fail(Unclosed, start, b.end, i, "'{{' has no matching '}}'")
		return b.end, true
	}
	next := b.end + 2
	b.trim()
	b.finish()
	return next, true
}

// literal consumes the rest of {{ "text" }} from behind the opening quote.
func (s *scanner) literal(i int) (int, bool) {
	var out strings.Builder
	for i < len(s.text) && s.text[i] != '"' {
		if strings.HasPrefix(s.text[i:], `\"`) {
			i++
		}
		out.WriteByte(s.text[i])
		i++
	}
	i++ // the closing quote
	for i < len(s.text) && isBlank(s.text[i]) {
		i++
	}
	if i >= len(s.text) || !strings.HasPrefix(s.text[i:], "}}") {
		return 0, false
	}
	s.lit.WriteString(out.String())
	return i + 2, true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// body is a reference while it is being read.
type body struct {
	s          *scanner
	start, end int             // of the source text
	out        strings.Builder // the same with variables expanded
	expanded   bool
	unset      bool
}

// variable consumes a variable at b.end, if there is one.
func (b *body) variable() bool {
	if b.s.vars == nil || b.s.text[b.end] != '$' {
		return false
	}
	v, ok := parseVariable(b.s.text[b.end:])
	if !ok {
		return false
	}
	value, set := b.s.expand(v, b.end)
	b.unset = b.unset || !set
	b.expanded = true
	b.out.WriteString(value)
	b.end += v.size
	return true
}

func (b *body) trim() {
	for b.end > b.start && isBlank(b.s.text[b.end-1]) {
		b.end--
	}
}

// finish parses the reference and adds it to the pieces or to the errors.
func (b *body) finish() {
	if b.unset {
		b.s.fail(Unset, b.start, b.end, b.start, "a variable in it is not set and has no default")
		return
	}
	text := b.s.text[b.start:b.end]
	if b.expanded {
		text = strings.TrimRight(b.out.String(), " \t")
	}
	r, err := Parse(text)
	if err != nil {
		bad := *err.(*Error)
		// The expansion may hold anything from the environment: show the source,
		// and describe the mistake without the character that caused it.
		if b.expanded {
			bad.Pos = 0
			if bad.Kind == BadChar {
				bad.Msg, bad.Hint = "invalid character in secret reference", ""
			}
		}
		bad.Ref, bad.Pos = b.s.text[b.start:b.end], bad.Pos+b.start
		b.s.errs = append(b.s.errs, &bad)
		return
	}
	b.s.flush()
	b.s.pieces = append(b.s.pieces, piece{ref: &r, pos: b.start})
}

// variable is a parsed $NAME, ${NAME} or ${NAME:-default}.
type variable struct {
	name, otherwise string
	hasDefault      bool
	size            int // bytes of source text
}

// parseVariable reads the variable that s, which begins with '$', starts with.
// A default holds no brace, no '$' and no line end.
func parseVariable(s string) (variable, bool) {
	if !strings.HasPrefix(s, "${") {
		n := nameLen(s[1:])
		return variable{name: s[1 : 1+n], size: 1 + n}, n > 0
	}
	end := 2
	for end < len(s) && strings.IndexByte("{}$\n", s[end]) < 0 {
		end++
	}
	if end == len(s) || s[end] != '}' {
		return variable{}, false
	}
	name, otherwise, has := strings.Cut(s[2:end], ":-")
	name = strings.Trim(name, " \t")
	v := variable{name: name, otherwise: strings.TrimRight(otherwise, " \t"), hasDefault: has, size: end + 1}
	return v, name != "" && nameLen(name) == len(name)
}

func nameLen(s string) int {
	n := 0
	for n < len(s) && (isAlnum(s[n]) || s[n] == '_') && (n > 0 || s[0] < '0' || s[0] > '9') {
		n++
	}
	return n
}

// expand returns the text of v. It returns false if v has none.
func (s *scanner) expand(v variable, pos int) (string, bool) {
	value, ok := s.vars(v.name)
	if !ok {
		value, ok = s.vars(strings.ToUpper(v.name))
	}
	if !ok {
		value, ok = v.otherwise, v.hasDefault
	}
	if len(value) > maxExpanded-s.spent {
		if !s.full {
			s.fail(TooLarge, pos, pos+v.size, pos, "variables expand to too much text")
		}
		s.full = true
		return "", true
	}
	s.spent += len(value)
	return value, ok
}

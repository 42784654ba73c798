package ref

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxExpanded bounds the text, in bytes, that the variables of one template
// may produce: a short template can name a long variable many times.
const maxExpanded = 16 << 20

// bom is a byte order mark in UTF-8; what follows it begins a line.
const bom = "\xef\xbb\xbf"

// scanner splits a template into pieces in one pass. Every look ahead stops at
// a brace, a quote or a line end, so that hostile input costs linear time.
type scanner struct {
	text     string
	vars     func(string) (string, bool) // nil: '$' is an ordinary character
	inRefs   bool                        // variables count in references only
	comments []string                    // tokens that begin one
	stops    string                      // the bytes with which something other than text may begin
	pieces   []piece
	from     int // where the text begins that is in no piece yet
	errs     []error
	spent    int  // bytes that variables produced so far
	full     bool // they were too many, and that was said
}

func (s *scanner) run() {
	s.stops = "{$oO"
	for _, c := range s.comments {
		s.stops += c[:1]
	}
	for i := 0; i < len(s.text); {
		i = s.step(i)
	}
	s.flush(len(s.text), len(s.text))
}

// flush makes a piece of the text up to end, and of what follows from next on
// the beginning of a new one.
func (s *scanner) flush(end, next int) {
	s.add(s.text[s.from:end])
	s.from = next
}

func (s *scanner) add(text string) {
	if text != "" {
		s.pieces = append(s.pieces, piece{text: text})
	}
}

func (s *scanner) fail(kind Kind, start, end, pos int, msg string) {
	s.errs = append(s.errs, &Error{Ref: s.text[start:end], Kind: kind, Pos: pos, Msg: msg})
}

// step consumes what begins at i and returns where to go on.
func (s *scanner) step(i int) int {
	rest := s.text[i:]
	switch {
	case len(s.comments) > 0 && s.comment(i):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return i + n + 1
		}
		return len(s.text)
	case strings.HasPrefix(rest, "{{"):
		if next, ok := s.enclosed(i); ok {
			return next
		}
	case IsRef(rest) && (i == 0 || !continues(s.text[i-1])):
		return s.bare(i)
	case rest[0] == '$' && s.vars != nil && !s.inRefs:
		if v, ok := parseVariable(rest); ok {
			if value, set := s.expand(v, i); set {
				s.flush(i, i+v.size)
				s.add(value)
			}
			return i + v.size
		}
	}
	n := strings.IndexAny(rest[1:], s.stops)
	if n < 0 {
		return len(s.text)
	}
	return i + 1 + n
}

// comment reports whether one begins at i: a token that stands at the start of
// a line or after white space.
func (s *scanner) comment(i int) bool {
	if i > 0 && strings.IndexByte(" \t\n\r\v\f", s.text[i-1]) < 0 && s.text[:i] != bom {
		return false
	}
	for _, c := range s.comments {
		if strings.HasPrefix(s.text[i:], c) {
			return true
		}
	}
	return false
}

// continues reports whether a scheme after c is part of a longer word.
func continues(c byte) bool {
	return isAlnum(c) || strings.IndexByte(`-+\.`, c) >= 0
}

// bare consumes a reference without braces.
func (s *scanner) bare(start int) int {
	b := body{s: s, whole: start, start: start, end: start + len(scheme)}
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
	b.finish(b.end)
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
		return s.literal(i, start+1)
	}
	sure := IsRef(rest)
	if !sure && (s.vars == nil || !strings.HasPrefix(rest, "$")) {
		return 0, false
	}
	b := body{s: s, whole: i, start: start, end: start}
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
	b.finish(next)
	return next, true
}

// literal consumes {{ "text" }} at start; i is behind the opening quote.
func (s *scanner) literal(start, i int) (int, bool) {
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
	s.flush(start, i+2)
	s.add(out.String())
	return i + 2, true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// body is a reference while it is being read.
type body struct {
	s          *scanner
	whole      int             // where it begins, braces included
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

// finish parses the reference and adds it to the pieces or to the errors; next
// is behind all of it.
func (b *body) finish(next int) {
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
	b.s.flush(b.whole, next)
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

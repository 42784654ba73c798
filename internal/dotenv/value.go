package dotenv

import (
	"strings"
	"unicode/utf8"
)

// mode says which escapes a piece of text knows.
type mode int

const (
	keyMode mode = iota
	bareMode
	doubleMode
)

// value consumes the value at pos and what may follow it on its line.
func (p *parser) value(e *Entry) error {
	e.Start = p.pos
	var err error
	quote := Quote(0)
	if p.pos < len(p.s) {
		quote = Quote(p.s[p.pos])
	}
	switch quote {
	case Single, Double:
		e.Quote = quote
		err = p.quoted(e)
	default:
		err = p.bare(e)
	}
	if err != nil {
		return err
	}
	if !utf8.ValidString(p.s[e.Start:e.End]) {
		return p.errorAt(e.Start, "value is not UTF-8 text")
	}
	if strings.IndexByte(e.Value, 0) >= 0 {
		return p.errorAt(e.Start, "a variable expands to text with a NUL byte")
	}
	return nil
}

// bare consumes an unquoted value up to a comment or the end of the line.
func (p *parser) bare(e *Entry) error {
	end := p.lineEnd(p.pos)
	for i := p.pos; i < end; i++ {
		if p.s[i] == '#' && isBlank(p.s[i-1]) {
			end = i
			break
		}
	}
	e.End = p.pos + len(strings.TrimRight(p.s[p.pos:end], " \t\r"))
	value, err := p.expand(e.Start, e.End, bareMode)
	if err != nil {
		return err
	}
	e.Value = value
	p.pos = end
	return nil
}

// quoted consumes a value in quotes of either kind.
func (p *parser) quoted(e *Entry) error {
	open := p.pos
	close := open + 1
	for close < len(p.s) && p.s[close] != byte(e.Quote) {
		if e.Quote == Double && p.s[close] == '\\' {
			close++
		}
		close++
	}
	if close >= len(p.s) {
		return p.errorAt(open, "quote is never closed")
	}
	e.End = close + 1
	p.pos = e.End
	p.skipBlank()
	if comment := p.pos > e.End && p.pos < len(p.s) && p.s[p.pos] == '#'; !comment && !p.atEnd() {
		return p.errorAt(p.pos, "text after the closing quote")
	}
	if e.Quote == Single {
		e.Value = strings.ReplaceAll(p.s[open+1:close], "\r\n", "\n")
		return nil
	}
	value, err := p.expand(open+1, close, doubleMode)
	if err != nil {
		return err
	}
	e.Value = value
	return nil
}

// expand returns the text between two offsets with escapes and variables
// replaced.
func (p *parser) expand(from, to int, m mode) (string, error) {
	var b strings.Builder
	for i := from; i < to; {
		rest := p.s[i:to]
		if c, ok := unescape(rest, m); ok {
			b.WriteByte(c)
			i += 2
			continue
		}
		if m == doubleMode && strings.HasPrefix(rest, "\r\n") {
			i++ // the CR; the LF follows
			continue
		}
		size, err := 0, error(nil)
		if rest[0] == '$' {
			size, err = p.variable(&b, i, rest)
		}
		if err != nil {
			return "", err
		}
		if size == 0 {
			b.WriteByte(rest[0])
			size = 1
		}
		i += size
	}
	return b.String(), nil
}

// unescape returns the byte that the two bytes at the start of s stand for.
func unescape(s string, m mode) (byte, bool) {
	if len(s) < 2 || s[0] != '\\' {
		return 0, false
	}
	switch c := s[1]; {
	case m == bareMode && (c == '$' || c == '#'):
		return c, true
	case m == doubleMode && strings.IndexByte("\\\"$`", c) >= 0:
		return c, true
	case m == doubleMode && c == 'n':
		return '\n', true
	case m == doubleMode && c == 'r':
		return '\r', true
	}
	return 0, false
}

// variable writes the value of the variable that s, at offset i, begins with
// and returns the bytes consumed; 0 means that it is no variable. One that is
// not set is empty text, with a warning: a '$' in a password is the usual cause.
func (p *parser) variable(b *strings.Builder, i int, s string) (int, error) {
	name, otherwise, size, hasDefault := "", "", 0, false
	if strings.HasPrefix(s, "${") {
		// Stopping at the next brace or '$' keeps the cost linear.
		n := strings.IndexAny(s[2:], "{}$\n")
		if n < 0 || s[2+n] != '}' {
			return 0, p.errorAt(i, "'${' has no matching '}', or another variable inside")
		}
		name, otherwise, hasDefault = strings.Cut(s[2:2+n], ":-")
		name, size = strings.Trim(name, " \t"), n+3
		if name == "" || nameLen(name) != len(name) {
			return 0, nil
		}
	} else {
		n := nameLen(s[1:])
		if n == 0 {
			return 0, nil
		}
		name, size = s[1:1+n], 1+n
	}
	p.expanded = append(p.expanded, name)
	value, ok := p.known[name]
	if !ok && p.lookup != nil {
		value, ok = p.lookup(name)
	}
	if !ok {
		value = otherwise
		if !hasDefault {
			p.warn(i, "variable is not set; for a plain '$' use single quotes or \\$")
		}
	}
	if p.spent += len(value); p.spent > maxExpanded {
		return 0, p.errorAt(i, "variables expand to too much text")
	}
	b.WriteString(value)
	return size, nil
}

func nameLen(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' ||
		n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}

package policy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a policy text. The parser of cedar-go recurses without a limit, and
// a stack that overflows ends the process: so depth and length of a statement
// are bounded before it sees the text.
const (
	maxText      = 256 << 10 // bytes of a whole text
	maxStatement = 16 << 10  // bytes of one statement, comments apart
	maxDepth     = 32        // nested brackets
)

// scanner walks the text once, with the lexical rules of cedar-go: strings with
// backslash escapes, comments of two kinds.
type scanner struct {
	name      string
	text      string
	pos       int
	line, col int // from 1; characters
	depth     int
	size      int    // bytes of the statement so far
	last      string // the last token, where it was a word
}

// scan refuses what must not reach the parser, and what it and the schema check
// let pass although a rule that has it may never match:
//   - characters that a reader does not see or sees elsewhere;
//   - "has", since every attribute is always there and a misspelt one is false;
//   - names of single callers or targets, since only their attributes count;
//   - types that there are not, and asking for the type of anything but principal.
func scan(name, text string) error {
	s := &scanner{name: name, text: text, line: 1, col: 1}
	if len(text) > maxText {
		return s.fail("the text is longer than %d bytes", maxText)
	}
	for s.pos < len(s.text) {
		if err := s.token(); err != nil {
			return err
		}
		if s.size > maxStatement {
			return s.fail("the rule is longer than %d bytes", maxStatement)
		}
	}
	return nil
}

func (s *scanner) fail(format string, args ...any) error {
	return refuse(place(s.name, s.line, s.col), fmt.Sprintf(format, args...))
}

// step passes over one character and returns it.
func (s *scanner) step() (rune, error) {
	r, n := utf8.DecodeRuneInString(s.text[s.pos:])
	switch {
	case r == utf8.RuneError && n <= 1:
		return 0, s.fail("the text is not valid UTF-8")
	case r != '\n' && r != '\t' && r != '\r' && !unicode.IsPrint(r):
		return 0, s.fail("character %U cannot be seen", r)
	case r == '\r' && !s.ahead("\r\n"):
		return 0, s.fail("a carriage return without a line feed")
	}
	s.pos += n
	s.size += n
	s.col++
	if r == '\n' {
		s.line, s.col = s.line+1, 1
	}
	return r, nil
}

func (s *scanner) ahead(prefix string) bool { return strings.HasPrefix(s.text[s.pos:], prefix) }

func (s *scanner) token() error {
	switch {
	case s.ahead("//"):
		return s.comment("\n")
	case s.ahead("/*"):
		return s.comment("*/")
	case s.ahead(`"`):
		s.last = ""
		return s.quoted()
	case s.ahead("::") && s.last != "Action":
		return s.fail("only actions have names; test attributes of principal and resource instead")
	case wordByte(s.text[s.pos]):
		return s.word()
	}
	r, err := s.step()
	switch r {
	case '(', '[', '{':
		s.depth++
	case ')', ']', '}':
		s.depth = max(0, s.depth-1)
	case ';':
		s.size = 0
	}
	if r > ' ' {
		s.last = ""
	}
	if s.depth > maxDepth {
		return s.fail("brackets are nested deeper than %d", maxDepth)
	}
	return err
}

// comment passes over a comment; its bytes do not count as the statement's.
func (s *scanner) comment(end string) error {
	size, stop := s.size, len(s.text)
	if i := strings.Index(s.text[s.pos+2:], end); i >= 0 {
		stop = s.pos + 2 + i + len(end)
	}
	for s.pos < stop {
		if _, err := s.step(); err != nil {
			return err
		}
	}
	s.size = size
	return nil
}

func (s *scanner) quoted() error {
	for opened := false; s.pos < len(s.text); opened = true {
		r, err := s.step()
		if err == nil && r == '\\' && s.pos < len(s.text) {
			_, err = s.step()
		}
		if err != nil || opened && r == '"' {
			return err
		}
	}
	return nil
}

func wordByte(b byte) bool {
	return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

func (s *scanner) word() error {
	end := s.pos
	for end < len(s.text) && wordByte(s.text[end]) {
		end++
	}
	word := s.text[s.pos:end]
	switch {
	case word == "has":
		return s.fail("has is not used here: every attribute is always there")
	case word == "is" && s.last != "principal":
		return s.fail("only principal has different types")
	case s.last == "is" && word != "Person" && word != "Agent" && word != "Service":
		return s.fail("there is no type %s of principal; there are Person, Agent and Service", word)
	}
	s.last, s.pos, s.col, s.size = word, end, s.col+len(word), s.size+len(word)
	return nil
}

package ref

import (
	"strconv"
	"strings"
)

// Kind is a class of mistake. The zero Kind is none of them.
type Kind string

// The kinds of mistake.
const (
	NotRef     Kind = "not-a-reference" // no op:// in front
	TooFew     Kind = "too-few-parts"
	TooMany    Kind = "too-many-parts"
	EmptyPart  Kind = "empty-part"
	BadChar    Kind = "bad-character"
	BadEscape  Kind = "bad-escape"
	BadQuery   Kind = "bad-query"
	Unclosed   Kind = "unclosed"       // {{ without }}
	Unset      Kind = "unset-variable" // in a reference, without a default
	TooLarge   Kind = "too-large"      // variables expand to too much text
	Unresolved Kind = "unresolved"     // the lookup had no value
)

// Error is one bad reference.
type Error struct {
	Ref  string // the text of the reference as written, variables not expanded; may be empty
	Kind Kind
	Msg  string // one sentence without full stop; never a value
	Hint string // what to write instead; may be empty
	Pos  int    // bytes from the start of the parsed text to the mistake
}

// Error prints "invalid secret reference '<ref>': <msg>", which is what
// clients of 1Password's CLI match on. Characters that could drive a terminal
// are replaced and a long reference is cut.
func (e *Error) Error() string {
	if e.Ref == "" {
		return e.Msg
	}
	verb := "invalid secret reference"
	if e.Kind == Unresolved {
		verb = "could not resolve secret reference"
	}
	return verb + " '" + printable(e.Ref) + "': " + e.Msg
}

// maxShown is how many bytes of a reference an error message shows.
const maxShown = 512

func printable(s string) string {
	tail := ""
	if len(s) > maxShown {
		s, tail = s[:maxShown], "..."
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s) + tail
}

package ref

import (
	"errors"
	"slices"
	"strings"
)

// Template is text with references in it. The zero Template is empty text.
type Template struct {
	pieces []piece
}

// piece is literal text or, if ref is set, a reference.
type piece struct {
	text string
	ref  *Ref
	pos  int // of the reference, bytes from the start of the template
}

// ParseTemplate finds the references in text:
//
//   - op://... where the byte before is none of letters, digits, '-', '+',
//     '\' and '.'. It ends before the first character that is not a letter, a
//     digit or one of - _ . / ? and, after the '?', =. Names with spaces or
//     percent escapes need braces.
//   - {{ op://... }} on one line, spaces inside the braces optional.
//   - {{ "text" }} stands for the text itself; \" in it is a quote.
//
// Other braces are text, and there are no comments. The error joins one *Error
// for every bad reference, each with its byte offset in Pos.
func ParseTemplate(text string) (Template, error) {
	return parseTemplate(&scanner{text: text})
}

// Syntax reads templates with more than references in them. The zero Syntax
// reads what ParseTemplate reads.
type Syntax struct {
	// Vars gives the variables of references. Unlike ParseTemplateVars it leaves
	// a '$' elsewhere alone: most formats use it for something of their own.
	Vars func(name string) (string, bool)
	// Comments are the tokens, in ASCII, that begin a comment in the format of
	// the text when they stand at the start of a line or after white
	// space. Up to the end of the line nothing is a reference.
	Comments []string
}

// Parse is ParseTemplate under x. Beside an error comes a Template of the good
// references alone, so that all that is wrong with a text can be told at once.
func (x Syntax) Parse(text string) (Template, error) {
	comments := slices.DeleteFunc(slices.Clone(x.Comments), func(c string) bool { return c == "" })
	s := scanner{text: text, vars: x.Vars, inRefs: true, comments: comments}
	t, err := parseTemplate(&s)
	if err != nil {
		t.pieces = slices.DeleteFunc(s.pieces, func(p piece) bool { return p.ref == nil })
	}
	return t, err
}

// ParseTemplateVars is ParseTemplate for text with variables: $NAME, ${NAME}
// and ${NAME:-default} are replaced inside references and outside of them.
// Names are asked for as written, then in upper case. What a variable expands
// to is never searched for references or variables again. A variable that is
// not set and has no default is an error in a reference; elsewhere it stays as
// it is written.
func ParseTemplateVars(text string, vars func(name string) (string, bool)) (Template, error) {
	return parseTemplate(&scanner{text: text, vars: vars})
}

// ParseValue reads the value of an environment variable. If all of it is one
// reference, as it mostly is, then names with spaces and percent escapes need
// no braces. Otherwise it is a template without variables.
func ParseValue(text string) (Template, error) {
	r, whole := Parse(text)
	if whole == nil {
		return Template{pieces: []piece{{ref: &r}}}, nil
	}
	t, err := ParseTemplate(text)
	if err != nil && IsRef(text) && strings.Count(strings.ToLower(text), scheme) == 1 {
		return Template{}, whole // it was meant to be one reference
	}
	return t, err
}

func parseTemplate(s *scanner) (Template, error) {
	s.run()
	if len(s.errs) > 0 {
		return Template{}, errors.Join(s.errs...)
	}
	return Template{pieces: s.pieces}, nil
}

// Ref returns the reference that t consists of, if it is nothing else.
func (t Template) Ref() (Ref, bool) {
	if len(t.pieces) != 1 || t.pieces[0].ref == nil {
		return Ref{}, false
	}
	return *t.pieces[0].ref, true
}

// Refs returns the distinct references of t in order of first appearance;
// those that differ in case only count as distinct.
func (t Template) Refs() []Ref {
	var refs []Ref
	seen := map[Ref]bool{}
	for _, p := range t.pieces {
		if p.ref != nil && !seen[*p.ref] {
			seen[*p.ref] = true
			refs = append(refs, *p.ref)
		}
	}
	return refs
}

// Render returns t with each reference replaced by what lookup returns for it.
// The first error of lookup is returned as it is. Strings cannot be wiped: for
// secret values use AppendTo.
func (t Template) Render(lookup func(Ref) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t.pieces {
		text := p.text
		if p.ref != nil {
			value, err := lookup(*p.ref)
			if err != nil {
				return "", err
			}
			text = value
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// AppendTo appends t to dst, each reference replaced by its value, and returns
// the extended buffer. lookup is asked once per occurrence and lends its bytes
// until AppendTo returns. If a value is missing, nothing is written, dst
// comes back unchanged, and the error joins one *Error of kind Unresolved per
// missing occurrence.
//
// dst is grown before the first value is copied and at most once, so that
// values lie in the returned buffer and nowhere else. What dst already held
// stays behind in its old array when it must grow: a caller who reuses a
// buffer of values gives it enough capacity.
func (t Template) AppendTo(dst []byte, lookup func(Ref) ([]byte, bool)) ([]byte, error) {
	values := make([][]byte, len(t.pieces))
	size := 0
	var errs []error
	for i, p := range t.pieces {
		if p.ref == nil {
			size += len(p.text)
			continue
		}
		value, ok := lookup(*p.ref)
		if !ok {
			errs = append(errs, &Error{Ref: p.ref.String(), Kind: Unresolved, Pos: p.pos, Msg: "no value"})
		}
		values[i] = value
		size += len(value)
	}
	if len(errs) > 0 {
		return dst, errors.Join(errs...)
	}
	dst = slices.Grow(dst, size)
	for i, p := range t.pieces {
		if p.ref == nil {
			dst = append(dst, p.text...)
		} else {
			dst = append(dst, values[i]...)
		}
	}
	return dst, nil
}

package strict

import (
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Node is a JSON value. A string's text is unescaped in place, in the data that
// was parsed: no copy of a secret is made, and none has to be hunted.
type Node struct {
	Kind byte   // one of { [ " 0 t f n; zero for what is not there
	Text []byte // of a string, number or literal
	Keys []string
	Kids []Node
}

// maxNodes bounds the memory that small values take: a Node is larger than the
// two bytes that can make it.
const maxNodes = 4 << 20

// jsonParser is stricter than encoding/json: a key that stands twice, a lone
// surrogate, a NUL and text that is not UTF-8 are refused, since each program
// reads them its own way.
type jsonParser struct {
	data  []byte
	pos   int
	depth int
	nodes int
	names map[string]string // each key once
}

// JSON reads all values that stand one after the other. It changes data, and the
// nodes alias it.
func JSON(data []byte) ([]Node, error) {
	p := jsonParser{data: data, names: map[string]string{}}
	var all []Node
	for p.blank(); p.pos < len(data); p.blank() {
		n, err := p.value()
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return nil, p.bad("nothing in it")
	}
	return all, nil
}

func (p *jsonParser) bad(msg string) error {
	return Error(fmt.Sprintf("%s, at byte %d", msg, p.pos))
}

func (p *jsonParser) blank() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (p *jsonParser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *jsonParser) value() (Node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return Node{}, p.bad("too many values")
	}
	switch c := p.peek(); {
	case c == '{' || c == '[':
		if p.depth++; p.depth > maxDepth {
			return Node{}, p.bad("nested too deeply")
		}
		n, err := p.container(c)
		p.depth--
		return n, err
	case c == '"':
		text, err := p.str()
		return Node{Kind: '"', Text: text}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true")
	case c == 'f':
		return p.literal("false")
	case c == 'n':
		return p.literal("null")
	case p.pos >= len(p.data):
		return Node{}, p.bad("cut short")
	}
	return Node{}, p.bad("not JSON")
}

func (p *jsonParser) container(open byte) (Node, error) {
	n := Node{Kind: open}
	end := open + 2 // the closing bracket, in ASCII
	var seen map[string]bool
	p.pos++
	for first := true; ; first = false {
		p.blank()
		c := p.peek()
		if c == end && (first || len(n.Kids) > 0) {
			p.pos++
			return n, nil
		}
		if !first {
			if c != ',' {
				return Node{}, p.bad("cut short, or a comma is missing")
			}
			p.pos++
			p.blank()
		}
		if open == '{' {
			key, err := p.key()
			if err != nil {
				return Node{}, err
			}
			if twice(key, n.Keys, &seen) {
				return Node{}, p.bad("a key stands twice in one object")
			}
			n.Keys = append(n.Keys, key)
		}
		kid, err := p.value()
		if err != nil {
			return Node{}, err
		}
		n.Kids = append(n.Kids, kid)
	}
}

// twice reports whether a key is among those before it. Few are looked through;
// of many, which a hostile object may have, a set is made.
func twice(key string, before []string, seen *map[string]bool) bool {
	if *seen == nil && len(before) < 16 {
		return slices.Contains(before, key)
	}
	if *seen == nil {
		*seen = map[string]bool{}
		for _, k := range before {
			(*seen)[k] = true
		}
	}
	was := (*seen)[key]
	(*seen)[key] = true
	return was
}

// key reads a key, its colon and the blanks around.
func (p *jsonParser) key() (string, error) {
	if p.peek() != '"' {
		return "", p.bad("cut short, or a key is missing")
	}
	b, err := p.str()
	if err != nil {
		return "", err
	}
	key, ok := p.names[string(b)]
	if !ok {
		key = string(b)
		p.names[key] = key
	}
	p.blank()
	if p.peek() != ':' {
		return "", p.bad("cut short, or a colon is missing")
	}
	p.pos++
	p.blank()
	return key, nil
}

// str reads a string and unescapes it where it stands; no escape is shorter
// than what it means.
func (p *jsonParser) str() ([]byte, error) {
	p.pos++
	start, out := p.pos, p.pos
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		switch {
		case c == '"':
			text := p.data[start:out:out]
			if !utf8.Valid(text) {
				return nil, p.bad("text that is not UTF-8")
			}
			p.pos++
			return text, nil
		case c < ' ':
			return nil, p.bad("a control character in a string")
		case c == '\\':
			n, err := p.escape(p.data[out:])
			if err != nil {
				return nil, err
			}
			out += n
			continue
		}
		p.data[out] = c
		out++
		p.pos++
	}
	return nil, p.bad("cut short within a string")
}

// escape writes what the escape at pos means to the front of to and returns its
// length.
func (p *jsonParser) escape(to []byte) (int, error) {
	if p.pos+1 >= len(p.data) {
		return 0, p.bad("cut short within a string")
	}
	c := p.data[p.pos+1]
	if c == 'u' {
		return p.unicode(to)
	}
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	default:
		return 0, p.bad("an unknown escape")
	}
	to[0] = c
	p.pos += 2
	return 1, nil
}

func (p *jsonParser) unicode(to []byte) (int, error) {
	r, ok := p.hex()
	if ok && utf16.IsSurrogate(r) {
		low, paired := p.hex()
		r = utf16.DecodeRune(r, low)
		ok = paired && r != utf8.RuneError
	}
	if !ok {
		return 0, p.bad(`a malformed \u escape`)
	}
	if r == 0 {
		return 0, p.bad("a NUL")
	}
	var buf [utf8.UTFMax]byte
	n := utf8.EncodeRune(buf[:], r)
	copy(to, buf[:n])
	return n, nil
}

// hex reads \uXXXX.
func (p *jsonParser) hex() (rune, bool) {
	if p.pos+6 > len(p.data) || p.data[p.pos] != '\\' || p.data[p.pos+1] != 'u' {
		return 0, false
	}
	r := rune(0)
	for _, c := range p.data[p.pos+2 : p.pos+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.pos += 6
	return r, true
}

func (p *jsonParser) digits() bool {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}

func (p *jsonParser) number() (Node, error) {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	first := p.pos
	ok := p.digits() && (p.data[first] != '0' || p.pos == first+1)
	if p.peek() == '.' {
		p.pos++
		ok = ok && p.digits()
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		ok = ok && p.digits()
	}
	if !ok {
		return Node{}, p.bad("a malformed number")
	}
	return Node{Kind: '0', Text: p.data[start:p.pos:p.pos]}, nil
}

func (p *jsonParser) literal(word string) (Node, error) {
	if len(p.data)-p.pos < len(word) || string(p.data[p.pos:p.pos+len(word)]) != word {
		return Node{}, p.bad("not JSON")
	}
	n := Node{Kind: word[0], Text: p.data[p.pos : p.pos+len(word) : p.pos+len(word)]}
	p.pos += len(word)
	return n, nil
}

// Get returns the value of a key, the zero Node if there is none.
func (n Node) Get(key string) Node {
	for i, k := range n.Keys {
		if k == key {
			return n.Kids[i]
		}
	}
	return Node{}
}

// Value is the text of a string, number or truth value; of anything else nil.
func (n Node) Value() []byte {
	if n.Kind == 'n' {
		return nil
	}
	return n.Text
}

// Name is a value that is no secret.
func (n Node) Name() string { return string(n.Value()) }

// Empty tells null, nothing, "", {} and [].
func (n Node) Empty() bool {
	return n.Kind == 0 || n.Kind == 'n' || len(n.Text) == 0 && len(n.Kids) == 0
}

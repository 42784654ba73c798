package foreign

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// node is a JSON value. A string's text is unescaped in place, in the data that
// was parsed: no copy of a secret is made, and none has to be hunted.
type node struct {
	kind byte   // one of { [ " 0 t f n; zero for what is not there
	text []byte // of a string, number or literal
	keys []string
	kids []node
}

// maxNodes bounds the memory that small values take: a node is larger than the
// two bytes that can make it.
const maxNodes = 4 << 20

// jsonParser is stricter than encoding/json: a key that stands twice, a lone
// surrogate, a NUL and text that is not UTF-8 are refused, since each program
// reads them its own way.
type jsonParser struct {
	format Format
	data   []byte
	pos    int
	depth  int
	nodes  int
	names  map[string]string // each key once
}

// parseJSON reads all values that stand one after the other.
func parseJSON(f Format, data []byte) ([]node, error) {
	p := jsonParser{format: f, data: data, names: map[string]string{}}
	var all []node
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
	return refuse(p.format, fmt.Sprintf("%s, at byte %d", msg, p.pos))
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

func (p *jsonParser) value() (node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return node{}, p.bad("too many values")
	}
	switch c := p.peek(); {
	case c == '{' || c == '[':
		if p.depth++; p.depth > maxDepth {
			return node{}, p.bad("nested too deeply")
		}
		n, err := p.container(c)
		p.depth--
		return n, err
	case c == '"':
		text, err := p.str()
		return node{kind: '"', text: text}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true")
	case c == 'f':
		return p.literal("false")
	case c == 'n':
		return p.literal("null")
	case p.pos >= len(p.data):
		return node{}, p.bad("cut short")
	}
	return node{}, p.bad("not JSON")
}

func (p *jsonParser) container(open byte) (node, error) {
	n := node{kind: open}
	end := open + 2 // the closing bracket, in ASCII
	var seen map[string]bool
	p.pos++
	for first := true; ; first = false {
		p.blank()
		c := p.peek()
		if c == end && (first || len(n.kids) > 0) {
			p.pos++
			return n, nil
		}
		if !first {
			if c != ',' {
				return node{}, p.bad("cut short, or a comma is missing")
			}
			p.pos++
			p.blank()
		}
		if open == '{' {
			key, err := p.key()
			if err != nil {
				return node{}, err
			}
			if seen == nil {
				seen = map[string]bool{}
			}
			if seen[key] {
				return node{}, p.bad("a key stands twice in one object")
			}
			seen[key] = true
			n.keys = append(n.keys, key)
		}
		kid, err := p.value()
		if err != nil {
			return node{}, err
		}
		n.kids = append(n.kids, kid)
	}
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

func (p *jsonParser) number() (node, error) {
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
		return node{}, p.bad("a malformed number")
	}
	return node{kind: '0', text: p.data[start:p.pos:p.pos]}, nil
}

func (p *jsonParser) literal(word string) (node, error) {
	if len(p.data)-p.pos < len(word) || string(p.data[p.pos:p.pos+len(word)]) != word {
		return node{}, p.bad("not JSON")
	}
	n := node{kind: word[0], text: p.data[p.pos : p.pos+len(word) : p.pos+len(word)]}
	p.pos += len(word)
	return n, nil
}

// get returns the value of a key, the zero node if there is none.
func (n node) get(key string) node {
	for i, k := range n.keys {
		if k == key {
			return n.kids[i]
		}
	}
	return node{}
}

// value is the text of a string, number or truth value; of anything else nil.
func (n node) value() []byte {
	if n.kind == 'n' {
		return nil
	}
	return n.text
}

// name is a value that is no secret.
func (n node) name() string { return string(n.value()) }

// empty tells null, nothing, "", {} and [].
func (n node) empty() bool {
	return n.kind == 0 || n.kind == 'n' || len(n.text) == 0 && len(n.kids) == 0
}

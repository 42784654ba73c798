package mask

import "bytes"

const (
	esc = 0x1b
	bel = 0x07

	maxControl  = 64      // bytes of a control sequence; no terminal takes longer ones
	maxSequence = 4 << 10 // bytes of any sequence, such as a title or a link
)

// stripped looks for matches in text without its escape sequences. Only what
// is near to one is looked at: a match that goes over none was seen before.
func (e *sight) stripped(text []byte) {
	next := bytes.IndexByte(text, esc)
	e.escapes = next >= 0
	if !e.escapes {
		return
	}
	near := e.t.longest
	plain := 0 // where the text after the last sequence begins
	for i := next; i < len(text); {
		n, _ := sequence(text[i:])
		if n > 0 {
			if i-plain > 2*near {
				if plain > 0 {
					e.part.add(text, plain, plain+near)
					e.flush(text, false)
				}
				plain = i - near
			}
			e.part.add(text, plain, i)
			plain = i + n
		}
		i += max(n, 1)
		if k := bytes.IndexByte(text[i:], esc); k >= 0 {
			i += k
		} else {
			break
		}
	}
	end := min(len(text), plain+near)
	e.part.add(text, plain, end)
	e.flush(text, end == len(text))
}

// sequence returns the length of the escape sequence of ECMA-48 that b begins
// with, 0 if there is none, and whether it is whole; if it is not, b ends
// within it. b begins with an ESC.
func sequence(b []byte) (n int, whole bool) {
	if len(b) == 1 {
		return 1, false
	}
	switch c := b[1]; {
	case c == '[':
		return controlSequence(b)
	case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
		return controlString(b)
	case 0x20 <= c && c < 0x7f:
		return shortSequence(b)
	}
	return 0, true
}

// controlSequence is a CSI: parameters, intermediate bytes and a final one.
func controlSequence(b []byte) (n int, whole bool) {
	i := 2
	for i < len(b) && i < maxControl && 0x30 <= b[i] && b[i] < 0x40 {
		i++
	}
	for i < len(b) && i < maxControl && 0x20 <= b[i] && b[i] < 0x30 {
		i++
	}
	return final(b, i, 0x40)
}

// shortSequence is ESC, intermediate bytes and a final one, such as what
// chooses a set of characters.
func shortSequence(b []byte) (n int, whole bool) {
	i := 1
	for i < len(b) && i < maxControl && 0x20 <= b[i] && b[i] < 0x30 {
		i++
	}
	return final(b, i, 0x30)
}

func final(b []byte, i int, least byte) (n int, whole bool) {
	switch {
	case i == maxControl:
		return 0, true
	case i == len(b):
		return i, false
	case least <= b[i] && b[i] < 0x7f:
		return i + 1, true
	}
	return 0, true
}

// controlString is an OSC or one of its like: text up to BEL or ESC \. As in a
// terminal, any other ESC ends it and begins a sequence of its own.
func controlString(b []byte) (n int, whole bool) {
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case i == maxSequence:
			return 0, true
		case c == bel:
			return i + 1, true
		case c == esc && i+1 == len(b):
			return i + 1, false
		case c == esc && b[i+1] == '\\':
			return i + 2, true
		case c == esc:
			return i, true
		case c < 0x20 || c == 0x7f:
			return 0, true
		}
	}
	return len(b), false
}

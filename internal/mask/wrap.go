package mask

import "bytes"

// minRun is how many characters of an encoding must stand before a line break
// for it to be taken as one within the encoded text.
const minRun = 16

// unwrapped looks for matches in encoded text without its line breaks, LF or
// CR LF. The alphabets of base32 and hexadecimal are parts of that of base64.
func (e *sight) unwrapped(text []byte) {
	for i := 0; i < len(text); {
		lf := bytes.IndexByte(text[i:], '\n')
		if lf < 0 && text[len(text)-1] != '\r' {
			return
		}
		if lf < 0 {
			lf = len(text) // where the other half of CR LF may come
		} else {
			lf += i
		}
		end := runEnd(text[:lf])
		if !encodedBefore(text, end) {
			i = lf + 1
			continue
		}
		i = e.unwrap(text, i, end, lf+1)
	}
}

// unwrap looks at the encoded text whose first line ends at end, with the next
// line at next, and does not begin before floor. It returns its end.
func (e *sight) unwrap(text []byte, floor, end, next int) int {
	from := end
	for floor = max(floor, end-e.t.longest); from > floor && encoded(text[from-1]); {
		from--
	}
	e.part.add(text, from, end)
	for next < len(text) {
		end = next
		for end < len(text) && encoded(text[end]) {
			end++
		}
		e.part.add(text, next, end)
		after := end
		if after < len(text) && text[after] == '\r' {
			after++
		}
		if end-next < minRun || after < len(text) && text[after] != '\n' {
			break
		}
		next = after + 1
	}
	e.flush(text, max(next, end) >= len(text))
	return max(next, end)
}

// runEnd returns where the line ends that has its LF at the end of text.
func runEnd(text []byte) int {
	if n := len(text); n > 0 && text[n-1] == '\r' {
		return n - 1
	}
	return len(text)
}

// encodedBefore tells whether minRun characters of an encoding stand before i.
func encodedBefore(text []byte, i int) bool {
	if i < minRun {
		return false
	}
	for k := 1; k <= minRun; k++ {
		if !encoded(text[i-k]) {
			return false
		}
	}
	return true
}

// encoded tells whether c is of the alphabet of base64 or its URL variant.
func encoded(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}

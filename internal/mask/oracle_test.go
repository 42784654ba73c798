package mask

import (
	"bytes"
	"regexp"
	"slices"
	"sync"
	"time"
)

// oracle masks the whole input at once, by comparing every pattern at every
// place: of the input as it stands, of the input without escape sequences and
// of the input without the line breaks inside of encoded text. Overlapping
// occurrences give one replacement, touching ones two.
func oracle(patterns [][]byte, in []byte) []byte {
	ends := make([]int, len(in)) // by where it begins: the end of the longest match
	all := make([]int, len(in))
	for i := range in {
		all[i] = i
	}
	encodedOnly := slices.DeleteFunc(slices.Clone(patterns), func(p []byte) bool {
		return len(bytes.Trim(p, base64Alphabet)) != 0
	})
	match(ends, patterns, in, all)
	match(ends, patterns, in, outsideSequences(in))
	match(ends, encodedOnly, in, withoutBreaks(in))

	var out []byte
	reach := 0 // end of the matches found so far
	for i, c := range in {
		if ends[i] > 0 && i >= reach {
			out = append(out, Replacement...)
		}
		if reach = max(reach, ends[i]); i >= reach {
			out = append(out, c)
		}
	}
	return out
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="

// match looks for patterns in the bytes of in that stand at the given places.
func match(ends []int, patterns [][]byte, in []byte, places []int) {
	seen := make([]byte, len(places))
	for i, at := range places {
		seen[i] = in[at]
	}
	for i := range seen {
		for _, p := range patterns {
			if bytes.HasPrefix(seen[i:], p) {
				ends[places[i]] = max(ends[places[i]], places[i+len(p)-1]+1)
			}
		}
	}
}

// outsideSequences returns the places of in that are in no escape sequence.
func outsideSequences(in []byte) []int {
	chars := make([]rune, len(in)) // bytes as characters, for regexp
	for i, c := range in {
		chars[i] = rune(c)
	}
	var places []int
	for i := 0; i < len(in); {
		if n := oracleSequence(chars[i:]); n > 0 {
			i += n
			continue
		}
		places = append(places, i)
		i++
	}
	return places
}

var (
	control = regexp.MustCompile(`^\x1b\[[0-?]*[ -/]*([@-~]|$)`)
	short   = regexp.MustCompile(`^\x1b([0-OQ-WYZ\\` + "`" + `-~]|[ -/]+[0-~]|[ -/]*$)`)
	str     = regexp.MustCompile(`^\x1b[\]PX^_][^\x00-\x1f\x7f]*(\x07|\x1b\\|\x1b|$)`)
)

func oracleSequence(chars []rune) int {
	if chars[0] != esc {
		return 0
	}
	s := string(chars[:min(len(chars), 2*maxSequence)])
	length := func(m string) int { return len([]rune(m)) }
	if n := length(control.FindString(s)); n > 0 && n <= maxControl {
		return n
	}
	if n := length(short.FindString(s)); n > 0 && n <= maxControl {
		return n
	}
	m := str.FindString(s)
	if n := length(m); n > 0 && n <= maxSequence {
		if m[len(m)-1] == esc {
			return n - 1
		}
		return n
	}
	return 0
}

// withoutBreaks returns the places of in that are in no line break right after
// 16 characters of base64.
func withoutBreaks(in []byte) []int {
	var places []int
	for i := 0; i < len(in); i++ {
		n := 0
		if bytes.HasPrefix(in[i:], []byte("\n")) {
			n = 1
		} else if bytes.HasPrefix(in[i:], []byte("\r\n")) {
			n = 2
		}
		if n > 0 && i >= 16 && len(bytes.Trim(in[i-16:i], base64Alphabet)) == 0 {
			i += n - 1
			continue
		}
		places = append(places, i)
	}
	return places
}

// clock is a hand-driven AfterFunc. The zero value never fires by itself.
type clock struct {
	mu      sync.Mutex
	pending map[int]func() // by turn
	armed   int            // how often a timer was started
	last    time.Duration
}

func (c *clock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed++
	c.last = d
	turn := c.armed
	if c.pending == nil {
		c.pending = make(map[int]func())
	}
	c.pending[turn] = f
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, running := c.pending[turn]
		delete(c.pending, turn)
		return running
	}
}

// running counts the timers started and neither stopped nor fired.
func (c *clock) running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// fire runs the timers that run, and returns when they are done.
func (c *clock) fire() {
	c.mu.Lock()
	all := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// stream masks in, cut into writes of the given sizes in turn; a size of 0
// or below fires the clock and then writes one byte.
func stream(m *Matcher, c *clock, in []byte, sizes []int) ([]byte, error) {
	var out bytes.Buffer
	w := m.Writer(&out)
	for i := 0; len(in) > 0; i++ {
		n := len(in)
		if len(sizes) > 0 {
			n = min(n, sizes[i%len(sizes)])
		}
		if n <= 0 {
			c.fire()
			n = 1
		}
		if _, err := w.Write(in[:n]); err != nil {
			return out.Bytes(), err
		}
		in = in[n:]
	}
	err := w.Close()
	return out.Bytes(), err
}

func matcher(c *clock, values ...[]byte) *Matcher {
	vs := make([]Value, len(values))
	for i, v := range values {
		vs[i] = Bytes(string(rune('a'+i%26)), v)
	}
	return New(vs, Options{AfterFunc: c.AfterFunc})
}

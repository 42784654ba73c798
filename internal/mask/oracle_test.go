package mask

import (
	"bytes"
	"sync"
	"time"
)

// oracle masks the whole input at once, by comparing every pattern at every
// place. Overlapping occurrences give one replacement, touching ones two.
func oracle(patterns [][]byte, in []byte) []byte {
	var out []byte
	covered := make([]bool, len(in))
	begins := make([]bool, len(in)) // a replacement begins here
	reach := 0                      // end of the matches found so far
	for i := range in {
		longest := 0
		for _, p := range patterns {
			if len(p) > longest && bytes.HasPrefix(in[i:], p) {
				longest = len(p)
			}
		}
		begins[i] = longest > 0 && i >= reach
		reach = max(reach, i+longest)
		covered[i] = i < reach
	}
	for i, c := range in {
		if begins[i] {
			out = append(out, Replacement...)
		}
		if !covered[i] {
			out = append(out, c)
		}
	}
	return out
}

// clock is a hand-driven AfterFunc. The zero value never fires by itself.
type clock struct {
	mu      sync.Mutex
	pending []func()
	armed   int // how often a timer was started
	last    time.Duration
}

func (c *clock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed++
	c.last = d
	at := len(c.pending)
	c.pending = append(c.pending, f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if at >= len(c.pending) || c.pending[at] == nil {
			return false
		}
		c.pending[at] = nil
		return true
	}
}

// running counts the timers started and neither stopped nor fired.
func (c *clock) running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range c.pending {
		if f != nil {
			n++
		}
	}
	return n
}

// fire runs the timers that run, and returns when they are done.
func (c *clock) fire() {
	c.mu.Lock()
	fs := append([]func(){}, c.pending...)
	for i := range c.pending {
		c.pending[i] = nil
	}
	c.mu.Unlock()
	for _, f := range fs {
		if f != nil {
			f()
		}
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

package mask

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
)

const (
	block     = 3       // bytes hashed together; MinLen is above it
	slots     = 1 << 16 // hashes of a block
	maxWindow = 255     // so that a shift fits a byte

	multiplier = 2654435761 // Knuth's, for hashes by multiplication
)

// tables finds patterns by Wu and Manber's method (A Fast Algorithm for
// Multi-Pattern Searching, 1994): a window as long as the shortest pattern
// moves over the text, and the hash of its last three bytes tells how far it
// may jump without passing over a pattern. Where it may not jump, the few
// patterns that share the hash are compared one by one.
type tables struct {
	patterns [][]byte // sorted, no two equal, none under MinLen
	owned    [][]byte
	longest  int // bytes; 0 with no patterns
	window   int // bytes of each pattern that take part in the shifts

	shift []uint8  // by hash: bytes the window may move; 0: compare
	head  []uint32 // by hash: 1 + first pattern to compare; 0: none
	links []link   // by pattern
	first []uint64 // bit set of the hashes of patterns' first 1, 2 and 3 bytes
}

// link chains the patterns of one hash.
type link struct {
	next uint32 // 1 + the next one with its hash; 0: none
	lead uint32 // its first 4 bytes
}

// hashAt returns the hash of the block that ends at i, above block.
func hashAt(text []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(text[i-block-1:i]) >> 8 * multiplier >> 16
}

// headHash returns the hash of the first block of b, which may be shorter.
func headHash(b []byte) uint32 {
	v := uint32(b[0])
	if len(b) > 1 {
		v |= uint32(b[1]) << 8
	}
	if len(b) > 2 {
		v |= uint32(b[2]) << 16
	}
	return v * multiplier >> 16
}

// newTables takes over f.
func newTables(f forms) *tables {
	t := &tables{patterns: f.patterns, owned: f.owned}
	slices.SortFunc(t.patterns, bytes.Compare)
	t.patterns = slices.CompactFunc(t.patterns, bytes.Equal)
	if len(t.patterns) == 0 {
		return t
	}
	t.window = maxWindow
	for _, p := range t.patterns {
		t.window = min(t.window, len(p))
		t.longest = max(t.longest, len(p))
	}
	t.shift = make([]uint8, slots)
	for i := range t.shift {
		t.shift[i] = uint8(t.window - block + 1)
	}
	t.head = make([]uint32, slots)
	t.links = make([]link, len(t.patterns))
	t.first = make([]uint64, slots/64)
	for i, p := range t.patterns {
		h := headHash(p)
		t.shift[h] = min(t.shift[h], uint8(t.window-block))
		for end := block + 1; end <= t.window; end++ {
			h = hashAt(p, end)
			t.shift[h] = min(t.shift[h], uint8(t.window-end))
		}
		t.links[i] = link{t.head[h], binary.LittleEndian.Uint32(p)}
		t.head[h] = uint32(i + 1)
		for n := 1; n <= block; n++ {
			h = headHash(p[:n])
			t.first[h/64] |= 1 << (h % 64)
		}
	}
	return t
}

// span is a stretch of a text, from its first byte to after its last.
type span struct{ from, to int }

// scan adds to spans where patterns stand whole in text, in order and with
// those that overlap as one. It returns where the longest end of text begins
// that is the beginning, and not the whole, of a pattern; len(text) if none
// is. Only from there on can a match begin that has yet to be completed.
func (t *tables) scan(text []byte, spans []span) (found []span, unfinished int) {
	unfinished = len(text)
	if t.window == 0 || len(text) < t.window {
		return spans, unfinished - t.start(text)
	}
	// Two windows move at once, each over one half, for a step waits for
	// memory most of the time.
	shift := t.shift
	old := len(spans)
	i, j := t.window, (t.window+len(text))/2
	half := j
	for i < half && j <= len(text) {
		h, k := hashAt(text, i), hashAt(text, j)
		s, u := int(shift[h&(slots-1)]), int(shift[k&(slots-1)])
		if s == 0 {
			spans, unfinished = t.look(text, i, h, spans, unfinished)
			s = 1
		}
		if u == 0 {
			spans, unfinished = t.look(text, j, k, spans, unfinished)
			u = 1
		}
		i += s
		j += u
	}
	for end := half - 1; ; i, end = j, len(text) {
		for i <= end {
			h := hashAt(text, i)
			s := int(shift[h&(slots-1)])
			if s == 0 {
				spans, unfinished = t.look(text, i, h, spans, unfinished)
				s = 1
			}
			i += s
		}
		if end == len(text) {
			break
		}
	}
	spans = append(spans[:old], joined(spans[old:])...)
	if unfinished == len(text) {
		unfinished -= t.start(text)
	}
	return spans, unfinished
}

// look compares the patterns whose window ends at i with hash h.
func (t *tables) look(text []byte, i int, h uint32, spans []span, unfinished int) ([]span, int) {
	from := i - t.window
	n, more := t.at(text[from:], h, from < unfinished)
	if n > 0 {
		spans = append(spans, span{from, from + n})
	}
	if more {
		unfinished = from
	}
	return spans, unfinished
}

// joined sorts spans and makes one of those that overlap.
func joined(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	out := spans[:0]
	for _, s := range spans {
		if last := len(out) - 1; last >= 0 && s.from < out[last].to {
			out[last].to = max(out[last].to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// at returns the length of the longest pattern that text begins with, of those
// whose window ends with hash h, 0 for none; and whether the whole of text is
// the beginning of a longer one, where that is asked.
func (t *tables) at(text []byte, h uint32, ask bool) (longest int, more bool) {
	lead := binary.LittleEndian.Uint32(text)
	for n := t.head[h]; n != 0; n = t.links[n-1].next {
		if t.links[n-1].lead != lead {
			continue
		}
		p := t.patterns[n-1]
		if len(p) > len(text) {
			more = more || ask && bytes.HasPrefix(p, text)
		} else if len(p) > longest && bytes.HasPrefix(text, p) {
			longest = len(p)
		}
	}
	return longest, more
}

// start returns the length of the longest end of text that begins a pattern
// and is shorter than the window.
func (t *tables) start(text []byte) int {
	for n := min(len(text), t.window-1); n > 0; n-- {
		tail := text[len(text)-n:]
		if h := headHash(tail); t.first[h/64]&(1<<(h%64)) != 0 && t.begins(tail) {
			return n
		}
	}
	return 0
}

// begins tells whether some pattern begins with s, which is shorter than any.
func (t *tables) begins(s []byte) bool {
	i := sort.Search(len(t.patterns), func(i int) bool { return bytes.Compare(t.patterns[i], s) >= 0 })
	return i < len(t.patterns) && bytes.HasPrefix(t.patterns[i], s)
}

// wipe overwrites everything that tells of the values.
func (t *tables) wipe() {
	for _, b := range t.owned {
		clear(b)
	}
	clear(t.shift)
	clear(t.head)
	clear(t.links)
	clear(t.first)
}

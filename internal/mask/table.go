package mask

import (
	"bytes"
	"slices"
	"sort"
)

const (
	block     = 3       // bytes hashed together; MinLen is above it
	slots     = 1 << 16 // hashes of a block
	maxWindow = 255     // so that a shift fits a byte
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
	next  []uint32 // by pattern: 1 + the next one with its hash
	first []uint64 // bit set of the hashes of patterns' first blocks
}

func hash(b []byte) uint32 {
	_ = b[2]
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) * 2654435761 >> 16
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
	t.next = make([]uint32, len(t.patterns))
	t.first = make([]uint64, slots/64)
	for i, p := range t.patterns {
		for end := block; end <= t.window; end++ {
			h := hash(p[end-block : end])
			t.shift[h] = min(t.shift[h], uint8(t.window-end))
		}
		h := hash(p[t.window-block : t.window])
		t.next[i], t.head[h] = t.head[h], uint32(i+1)
		h = hash(p)
		t.first[h/64] |= 1 << (h % 64)
	}
	return t
}

// find returns the first place at or after from where a pattern stands whole,
// and the end of the longest pattern there; start is -1 when there is none.
func (t *tables) find(text []byte, from int) (start, end int) {
	if t.window == 0 {
		return -1, 0
	}
	shift := t.shift
	for i := from + t.window; i <= len(text); {
		h := hash(text[i-block : i])
		s := int(shift[h&(slots-1)])
		if s != 0 {
			i += s
			continue
		}
		start = i - t.window
		if end = t.longestAt(text[start:], h); end != 0 {
			return start, start + end
		}
		i++
	}
	return -1, 0
}

// longestAt returns the length of the longest pattern that text begins with,
// of those whose window ends with hash h; 0 for none.
func (t *tables) longestAt(text []byte, h uint32) int {
	longest := 0
	for n := t.head[h]; n != 0; n = t.next[n-1] {
		if p := t.patterns[n-1]; len(p) > longest && bytes.HasPrefix(text, p) {
			longest = len(p)
		}
	}
	return longest
}

// pending returns the length of the longest end of text that is the beginning,
// and not the whole, of a pattern. Only there can a later match begin.
func (t *tables) pending(text []byte) int {
	for n := min(len(text), t.longest-1); n > 0; n-- {
		tail := text[len(text)-n:]
		if n >= block {
			if h := hash(tail); t.first[h/64]&(1<<(h%64)) == 0 {
				continue
			}
		}
		if t.begins(tail) {
			return n
		}
	}
	return 0
}

// begins tells whether some pattern is longer than s and begins with it.
func (t *tables) begins(s []byte) bool {
	i := sort.Search(len(t.patterns), func(i int) bool { return bytes.Compare(t.patterns[i], s) >= 0 })
	if i < len(t.patterns) && len(t.patterns[i]) == len(s) {
		i++ // s itself, or one that does not begin with s and neither do those after it
	}
	return i < len(t.patterns) && bytes.HasPrefix(t.patterns[i], s)
}

// wipe overwrites everything that tells of the values.
func (t *tables) wipe() {
	for _, b := range t.owned {
		clear(b)
	}
	clear(t.shift)
	clear(t.head)
	clear(t.next)
	clear(t.first)
}

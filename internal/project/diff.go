package project

import (
	"slices"
	"strconv"
	"strings"
)

// The most that a difference may be: what a person reads in one question. Longer ones
// are not cut, since a change could hide in the rest.
const (
	maxDiff      = 120     // lines, those around a change too
	maxDiffBytes = 8 << 10 // in all
)

// What a line of a difference begins with.
const (
	same    = "| "
	removed = "- "
	added   = "+ "
	jump    = "@ line " // the number, in the old text, of the line that comes next
)

// Diff tells how one text becomes another, line by line, with a few lines around each
// change; ok is false where that is too much to read. A text ends behind its last line
// break, so that one more or less is a line too.
func Diff(before, after []byte) (lines []string, ok bool) {
	a, b := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	steps, ok := script(a, b)
	if !ok {
		return nil, false
	}
	for _, around := range []int{3, 1, 0} {
		if lines = shown(steps, around); len(lines) <= maxDiff && size(lines) <= maxDiffBytes {
			return lines, true
		}
	}
	return nil, false
}

func size(lines []string) (n int) {
	for _, l := range lines {
		n += len(l)
	}
	return n
}

// step is one line of either text.
type step struct {
	kind string // same, removed or added
	text string
	at   int // in the old text, from 0
}

// script is a shortest way from a to b, by Myers' algorithm: for each number of
// changes it finds how far one comes on each diagonal. It gives up after maxDiff.
func script(a, b []string) ([]step, bool) {
	const middle = maxDiff + 1
	reach := make([]int, 2*middle+1) // by diagonal: place in a less place in b
	var past [][]int
	for d := range maxDiff + 1 {
		past = append(past, slices.Clone(reach))
		for k := -d; k <= d; k += 2 {
			x := reach[middle+k-1] + 1
			if down(reach[middle+k-1], reach[middle+k+1], k, d) {
				x = reach[middle+k+1]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			if reach[middle+k] = x; x >= len(a) && x-k >= len(b) {
				return walk(past, a, b), true
			}
		}
	}
	return nil, false
}

// down reports whether a diagonal is best reached by a line of the new text, from the
// diagonal above it.
func down(below, above, k, d int) bool { return k == -d || k != d && below < above }

// walk goes back the way that script found.
func walk(past [][]int, a, b []string) []step {
	const middle = maxDiff + 1
	var out []step
	x, y := len(a), len(b)
	for d := len(past) - 1; d >= 0; d-- {
		k, reach := x-y, past[d]
		from := k - 1
		if down(reach[middle+k-1], reach[middle+k+1], k, d) {
			from = k + 1
		}
		px := reach[middle+from]
		if d == 0 {
			px, from = 0, 0
		}
		py := px - from
		for x > px && y > py {
			x, y = x-1, y-1
			out = append(out, step{same, a[x], x})
		}
		switch {
		case x > px:
			x--
			out = append(out, step{removed, a[x], x})
		case y > py:
			y--
			out = append(out, step{added, b[y], x})
		}
	}
	slices.Reverse(out)
	return out
}

// shown keeps the changes, and as many lines around each.
func shown(steps []step, around int) (out []string) {
	near := make([]bool, len(steps))
	for i, s := range steps {
		for j := max(0, i-around); s.kind != same && j <= min(i+around, len(steps)-1); j++ {
			near[j] = true
		}
	}
	next := 0 // the line of the old text that comes after what was shown
	for i, s := range steps {
		if !near[i] {
			continue
		}
		if s.at != next || len(out) == 0 {
			out = append(out, jump+strconv.Itoa(s.at+1))
		}
		out = append(out, s.kind+s.text)
		if next = s.at; s.kind != added {
			next++
		}
	}
	return out
}

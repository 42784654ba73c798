package ref

import "strings"

// maxName is the longest name, in bytes, that Suggest compares: the work per
// pair grows with the product of both lengths.
const maxName = 128

// Suggest returns the candidate nearest to name by case-insensitive edit
// distance, the first of several equally near ones, or the empty string if
// all are too far to be a slip of the pen: more than a third of the letters.
// Two neighbours that changed places are one slip.
func Suggest(name string, candidates []string) string {
	want := fold(name)
	if len(want) == 0 || len(name) > maxName {
		return ""
	}
	best, limit := "", min(max(1, len(want)/3), len(want)-1)
	for _, c := range candidates {
		if c == "" || len(c) > maxName {
			continue
		}
		have := fold(c)
		if gap := len(have) - len(want); gap > limit || -gap > limit {
			continue
		}
		if d := distance(want, have); d <= limit {
			best, limit = c, d-1
		}
		if limit < 0 {
			break
		}
	}
	return best
}

func fold(s string) []rune { return []rune(strings.ToLower(s)) }

// distance counts insertions, deletions, substitutions and swaps of neighbours.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		before, last, row = last, row, before
		row[0] = i + 1
		for j, y := range b {
			cost := last[j]
			if x != y {
				cost++
			}
			row[j+1] = min(cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && x == b[j-1] && a[i-1] == y {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

package mask

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawInput returns pieces of patterns, whole, cut and overlapping, among
// bytes of the same small alphabet.
func drawInput(t *rapid.T, patterns [][]byte, alphabet []byte) []byte {
	var in []byte
	for range rapid.IntRange(0, 12).Draw(t, "pieces") {
		if rapid.IntRange(0, 5).Draw(t, "between") == 0 {
			in = append(in, rapid.SampledFrom(betweens).Draw(t, "what")...)
		}
		if len(patterns) == 0 || rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			in = append(in, rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 9).Draw(t, "filler")...)
			continue
		}
		p := rapid.SampledFrom(patterns).Draw(t, "pattern")
		from, to := 0, len(p)
		switch rapid.IntRange(0, 3).Draw(t, "cut") {
		case 0:
			from = rapid.IntRange(0, len(p)).Draw(t, "from")
		case 1:
			to = rapid.IntRange(0, len(p)).Draw(t, "to")
		}
		in = append(in, p[from:to]...)
		if rapid.IntRange(0, 2).Draw(t, "mixed") == 0 {
			in = mixed(t, in, len(in)-(to-from))
		}
	}
	return in
}

// betweens may stand between the characters of a value, whole or not.
var betweens = []string{
	"\x1b[0m", "\x1b[38;5;1m", "\x1b]0;AB\x07", "\x1b]8;;x%2F\x1b\\", "\x1b(B", "\x1bM", "\x1bPQUJD\x1b\\", "\n", "\r\n",
	"\x1b[", "\x1b]AB", "\x1b", "\x1b]A\x1b", "\x1b[3\x1b", "\r", "\x1b]A\n", "\x1b[1\x7f",
}

// mixed puts something between the characters of in from a place on.
func mixed(t *rapid.T, in []byte, from int) []byte {
	tail := bytes.Clone(in[from:])
	in = in[:from]
	every := rapid.IntRange(1, 20).Draw(t, "every")
	between := rapid.SampledFrom(betweens).Draw(t, "between")
	for i, c := range tail {
		if i%every == every-1 {
			in = append(in, between...)
		}
		in = append(in, c)
	}
	return in
}

func drawCase(t *rapid.T) (m *Matcher, c *clock, patterns [][]byte, in []byte) {
	alphabet := rapid.SampledFrom([][]byte{[]byte("AB"), []byte("x%2F"), {0, 1, '\n', 255}, []byte("QUJDZXYZ/-"), []byte("A[m\x1b0")}).Draw(t, "alphabet")
	values := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom(alphabet), 4, 14), 0, 5).Draw(t, "values")
	if len(values) > 0 && rapid.Bool().Draw(t, "nested") {
		v := values[0]
		values = append(values, v[:len(v)*2/3], v[len(v)/3:], append(bytes.Clone(v), v...))
	}
	c = &clock{}
	m = matcher(c, values...)
	patterns = clonePatterns(m)
	return m, c, patterns, drawInput(t, patterns, alphabet)
}

// clonePatterns hands the matcher's patterns to the oracle. That they are the
// right ones is TestForms' and TestTable's business.
func clonePatterns(m *Matcher) [][]byte {
	var out [][]byte
	for _, p := range m.t.patterns {
		out = append(out, bytes.Clone(p))
	}
	return out
}

func TestOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c, patterns, in := drawCase(t)
		sizes := rapid.SliceOfN(rapid.IntRange(1, 20), 0, 20).Draw(t, "sizes")
		got, err := stream(m, c, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		if want := oracle(patterns, in); !bytes.Equal(want, got) {
			t.Fatalf("input %q in writes of %v:\nwant %q\ngot  %q", in, sizes, want, got)
		}
	})
}

// TestAnyTiming lets the timer fire between writes: no pattern comes out, and
// of the bytes the oracle masks, at most three at the beginning of each match.
func TestAnyTiming(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c, patterns, in := drawCase(t)
		sizes := rapid.SliceOfN(rapid.IntRange(0, 20), 0, 20).Draw(t, "sizes")
		got, err := stream(m, c, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		checkNoPattern(t, patterns, got)
		// Each match of the input, with its first three bytes spared, is masked.
		spared := make([]bool, len(in))
		for i := range in {
			for _, p := range patterns {
				if bytes.HasPrefix(in[i:], p) {
					for k := firmHold - 1; k < len(p); k++ {
						spared[i+k] = true
					}
				}
			}
		}
		if !explains(in, spared, got) {
			t.Fatalf("input %q in writes of %v:\ngot %q", in, sizes, got)
		}
	})
}

// explains tells whether got is in with some bytes left out, all of the
// must-go ones among them, and replacements put in.
func explains(in []byte, gone []bool, got []byte) bool {
	parts := bytes.Split(got, []byte(Replacement))
	at := []int{0} // places of in that the parts so far can end at
	for k, part := range parts {
		var ends []int
		for i := at[0]; i+len(part) <= len(in); i++ {
			if k == 0 && i > 0 {
				break
			}
			if bytes.HasPrefix(in[i:], part) && !slices.Contains(gone[i:i+len(part)], true) {
				ends = append(ends, i+len(part))
			}
		}
		if len(ends) == 0 {
			return false
		}
		at = ends
	}
	return true
}

func checkNoPattern(t interface{ Fatalf(string, ...any) }, patterns [][]byte, got []byte) {
	for _, part := range bytes.Split(got, []byte(Replacement)) {
		for _, p := range patterns {
			if bytes.Contains(part, p) {
				t.Fatalf("%q came out in %q", p, got)
			}
		}
	}
}

func FuzzOracle(f *testing.F) {
	f.Add([]byte("hunter2x\x00secret"), []byte("a hunter2x secret hunter2 aHVudGVyMng="), []byte{3, 1, 7})
	f.Add([]byte("aaaaaa\x00aaaaab"), []byte("aaaaaaaaaaaab"), []byte{1})
	f.Add([]byte("abcdef\x00defghi\x00ghijkl"), []byte("abcdefghijkl616263646566"), []byte{2, 5})
	f.Add([]byte("\xff\xfe\xfd\xfc\xfb\xfa"), []byte("\xff\xff\xfe\xfd\xfc\xfb\xfa%FF%FE%FD%FC%FB%FA"), []byte{4, 0})
	f.Add([]byte("short"), []byte("short"), []byte{})
	f.Fuzz(func(t *testing.T, values, in, cuts []byte) {
		if len(values) > 200 || len(in) > 2000 {
			return
		}
		c := &clock{}
		m := matcher(c, bytes.Split(values, []byte{0})...)
		patterns := clonePatterns(m)
		var sizes []int
		fires := false
		for _, n := range cuts {
			sizes = append(sizes, int(n%32))
			fires = fires || n%32 == 0
		}
		got, err := stream(m, c, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(in, []byte(Replacement)) {
			return
		}
		checkNoPattern(t, patterns, got)
		if want := oracle(patterns, in); !fires && !bytes.Equal(want, got) {
			t.Fatalf("patterns %q, input %q in writes of %v:\nwant %q\ngot  %q", patterns, in, sizes, want, got)
		}
	})
}

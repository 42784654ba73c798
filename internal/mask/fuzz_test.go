package mask

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzWriter puts one encoding of a value, with something between its
// characters, among other bytes, and has it come in any writes.
func FuzzWriter(f *testing.F) {
	for i, v := range values {
		f.Add([]byte(v), []byte("secret"), []byte("a="), []byte("&b"), uint8(3*i), uint8(i), uint8(i%5), []byte{byte(i), 3})
		f.Add([]byte(v), []byte(v[1:]), []byte(v[:2]), []byte(v[2:]), uint8(3*i+1), uint8(2*i), uint8(i%4), []byte{1})
		f.Add([]byte(v), []byte(v+v), []byte("\x1b[1m"), []byte("\x1b[0m\n"), uint8(3*i+2), uint8(0), uint8(0), []byte{2, 0, 7})
	}
	f.Fuzz(func(t *testing.T, value, other, before, after []byte, how, what, every uint8, cuts []byte) {
		if len(value) > 60 || len(other) > 60 || len(before)+len(after) > 200 {
			return
		}
		value = bytes.TrimRight(value, "\r\n")
		form := encoders[int(how)%len(encoders)].encode(string(value))
		between := betweens[int(what)%len(betweens)]
		in := bytes.Clone(before)
		for i, c := range []byte(form) {
			if every%8 != 0 && i > 0 && i%int(every%8) == 0 {
				in = append(in, between...)
			}
			in = append(in, c)
		}
		in = append(in, after...)
		if bytes.Contains(in, []byte(Replacement)) {
			return
		}

		c := &clock{}
		m := matcher(c, value, other)
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
		checkNoPattern(t, patterns, got)
		if want := oracle(patterns, in); !fires && !bytes.Equal(want, got) {
			t.Fatalf("patterns %q, input %q in writes of %v:\nwant %q\ngot  %q", patterns, in, sizes, want, got)
		}
		// A whole sequence between characters hides none of them, if no part of
		// one stands before.
		seen := every%8 == 0 || isWhole(between) && bytes.IndexByte(before, esc) < 0 && !strings.ContainsRune(form, esc)
		if seen && len(value) >= MinLen && !bytes.Contains(got, []byte(Replacement)) {
			t.Fatalf("%q as %s, input %q in writes of %v: %q", value, encoders[int(how)%len(encoders)].name, in, sizes, got)
		}
	})
}

func isWhole(between string) bool {
	if between[0] != esc {
		return false
	}
	n, whole := sequence([]byte(between))
	return whole && n == len(between)
}

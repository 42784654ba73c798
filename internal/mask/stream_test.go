package mask

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSlow has the timer fire after every byte, as for a program that prints
// one each 6 ms: of every form, the first three bytes come out and no more.
func TestSlow(t *testing.T) {
	for _, v := range values {
		for _, e := range encoders {
			form := e.encode(v)
			c := &clock{}
			got, err := stream(matcher(c, []byte(v)), c, []byte("\t("+form+")\t"), []int{0})
			if want := "\t(" + form[:firmHold-1] + R + ")\t"; err != nil || string(got) != want {
				t.Errorf("%q as %s: %q, %v", v, e.name, got, err)
			}
		}
	}
}

// TestSlowColoured counts the characters that match, and not what is between.
func TestSlowColoured(t *testing.T) {
	c := &clock{}
	got, err := stream(matcher(c, []byte("hunter2x")), c, []byte(strings.Join(strings.Split("(hunter2x)", ""), "\x1b[1m")), []int{0})
	if want := "(\x1b[1mh\x1b[1mu\x1b[1mn\x1b[1m" + R + "\x1b[1m)"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSequences has a value within, around and beside escape sequences.
func TestSequences(t *testing.T) {
	long := "\x1b]" + strings.Repeat("x", maxSequence-3) + "\a"
	tests := []struct{ name, in, want string }{
		{"in a title", "\x1b]0;hunter2x\a.", "\x1b]0;" + R + "\a."},
		{"in a link", "\x1b]8;;http://h/?t=hunter2x\x1b\\x\x1b]8;;\x1b\\", "\x1b]8;;http://h/?t=" + R + "\x1b\\x\x1b]8;;\x1b\\"},
		{"sequences at its ends stay", "\x1b[1mhunter2x\x1b[0m", "\x1b[1m" + R + "\x1b[0m"},
		{"after an unfinished one", "hunt\x1b[31\x1b[mer2x", "hunt\x1b[31\x1b[mer2x"},
		{"after an unfinished title", "hunt\x1b]0;a\x1b[mer2x", R},
		{"title cut by a line end", "hunt\x1b]0;a\ner2x", "hunt\x1b]0;a\ner2x"},
		{"many", "hunt" + strings.Repeat("\x1b[1m", 800) + "er2x", R},
		{"longest", "hunt" + long + "er2x", R},
		{"too long", "hunt" + long[:2] + "x" + long[2:] + "er2x", "hunt" + long[:2] + "x" + long[2:] + "er2x"},
		{"at the end", "hunter2\x1b[", "hunter2\x1b["},
		{"ESC alone", "hunt\x1ber2x", "hunt" + "\x1ber2x"},
		{"far apart", "\x1b[1m" + strings.Repeat(".", 3000) + "hunt\x1b[mer2x" + strings.Repeat(".", 3000) + "h\x1b[munter2x",
			"\x1b[1m" + strings.Repeat(".", 3000) + R + strings.Repeat(".", 3000) + R},
	}
	for _, tt := range tests {
		c := &clock{}
		m := matcher(c, []byte("hunter2x"))
		for _, size := range []int{1, 2, 7, 1000, 1 << 20} {
			got, err := stream(m, c, []byte(tt.in), []int{size})
			if d := cmp.Diff(tt.want, string(got)); err != nil || d != "" {
				t.Errorf("%s, writes of %d: %v (-want +got):\n%s", tt.name, size, err, d)
			}
		}
	}
}

// TestEndless has more between the characters than is kept: the writer gives
// the match up and does not grow.
func TestEndless(t *testing.T) {
	var out bytes.Buffer
	w := matcher(&clock{}, []byte("hunter2x")).Writer(&out)
	size := cap(w.buf)
	in := "hunt" + strings.Repeat("\x1b[1m", 100_000)
	for _, c := range []byte(in) {
		if n, err := w.Write([]byte{c}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = io.WriteString(w, "er2x hunter2x")
	if cap(w.buf) != size || cap(w.eye.part.text) != size {
		t.Errorf("memory grew from %d to %d and %d bytes", size, cap(w.buf), cap(w.eye.part.text))
	}
	if err := w.Close(); err != nil || out.String() != in+"er2x "+R {
		t.Errorf("wrong output of %d bytes, %v", out.Len(), err)
	}
}

// TestMegabytes has 10 MB of log, coloured now and then, with a form of some
// value in every line.
func TestMegabytes(t *testing.T) {
	const size = 10 << 20
	rnd := rand.New(rand.NewPCG(9, 10))
	keys := randomValues(20, 12)
	var in, want bytes.Buffer
	for line := range bytes.Lines(logText(size)) {
		at := bytes.IndexByte(line, '[')
		form := encoders[rnd.IntN(len(encoders))].encode(string(keys[rnd.IntN(len(keys))]))
		if rnd.IntN(4) == 0 {
			cut := rnd.IntN(len(form))
			form = form[:cut] + "\x1b[38;5;1m" + form[cut:]
		}
		in.Write(line[:at])
		want.Write(line[:at])
		in.WriteString("(" + form + ")")
		if form[0] == esc {
			want.WriteString("(\x1b[38;5;1m" + R + ")") // the sequence stands before the value
		} else {
			want.WriteString("(" + R + ")")
		}
		in.Write(line[at:])
		want.Write(line[at:])
	}
	c := &clock{}
	m := matcher(c, keys...)
	sizes := make([]int, 64)
	for i := range sizes {
		sizes[i] = 1 + rnd.IntN(100_000)
	}
	got, err := stream(m, c, in.Bytes(), sizes)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := bytes.Split(got, []byte("\n")), bytes.Split(want.Bytes(), []byte("\n"))
	if len(gotLines) != len(wantLines) {
		t.Fatalf("%d lines, want %d", len(gotLines), len(wantLines))
	}
	for i := range gotLines {
		if !bytes.Equal(gotLines[i], wantLines[i]) {
			t.Fatalf("line %d: %q, want %q", i, gotLines[i], wantLines[i])
		}
	}
}

// TestBinary passes random bytes, and characters cut by every write.
func TestBinary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	random := make([]byte, 1<<17)
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	c := &clock{}
	m := matcher(c, []byte("hunter2x"), []byte("pässwörd€😀"))
	for _, in := range [][]byte{random, []byte(strings.Repeat("ä€😀 ", 1000)), []byte("pässwörd€\xf0\x9f\x98")} {
		for _, size := range []int{1, 4095, 1 << 20} {
			got, err := stream(m, c, in, []int{size})
			if err != nil || !bytes.Equal(in, got) {
				t.Errorf("%d bytes in writes of %d came out changed, %v", len(in), size, err)
			}
		}
	}
}

package shim

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// text has no NUL, as no argument and no variable has one.
func text() *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOf(rapid.ByteRange(1, 255)), func(b []byte) string { return string(b) })
}

func TestRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := request{text().Draw(t, "path"), rapid.SliceOf(text()).Draw(t, "args"), rapid.SliceOf(text()).Draw(t, "env")}
		var wire bytes.Buffer
		if err := in.write(&wire); err != nil {
			t.Fatal(err)
		}
		whole := wire.Bytes()
		out, err := readRequest(bytes.NewReader(whole))
		if err != nil || out.path != in.path || strings.Join(out.args, "\x00") != strings.Join(in.args, "\x00") ||
			len(out.args) != len(in.args) || strings.Join(out.env, "\x00") != strings.Join(in.env, "\x00") || len(out.env) != len(in.env) {
			t.Fatalf("%q, %v; want %q", out, err, in)
		}
		cut := rapid.IntRange(0, len(whole)-1).Draw(t, "cut")
		if _, err := readRequest(bytes.NewReader(whole[:cut])); err == nil {
			t.Fatalf("%d of %d bytes passed", cut, len(whole))
		}
	})
}

// keeper keeps the slice that it is given, as no writer may.
type keeper struct{ b []byte }

func (k *keeper) Write(b []byte) (int, error) { k.b = b; return len(b), nil }

func TestRequestIsWiped(t *testing.T) {
	var k keeper
	if err := (request{"/bin/x", []string{"x"}, []string{"TOKEN=hunter2-hunter2"}}).write(&k); err != nil {
		t.Fatal(err)
	}
	if len(k.b) == 0 || !bytes.Equal(k.b, make([]byte, len(k.b))) {
		t.Errorf("left behind: %q", k.b)
	}
}

func TestMessages(t *testing.T) {
	var wire bytes.Buffer
	in := []message{{ready, 0}, {stopped, 20}, {ended, 0xffffffff}}
	for _, m := range in {
		if err := send(&wire, m.kind, m.value); err != nil {
			t.Fatal(err)
		}
	}
	wire.WriteString("torn")
	to := make(chan message, len(in)+1)
	receive(&wire, to)
	var out []message
	for m := range to {
		out = append(out, m)
	}
	if diff := cmp.Diff(in, out, cmp.AllowUnexported(message{})); diff != "" {
		t.Error(diff)
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{"x"}, {"program", "x"}, {""}} {
		if got := Main(args); got != 2 {
			t.Errorf("%q: %d", args, got)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("\x0d\x00\x00\x00\x01\x00\x00\x00/bin/x\x00x\x00A=b\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		q, err := readRequest(bytes.NewReader(in))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := q.write(&out); err != nil || !bytes.HasPrefix(in, out.Bytes()) {
			t.Errorf("%q became %q, %v", in, out.Bytes(), err)
		}
	})
}

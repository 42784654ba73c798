package term

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadHidden(t *testing.T) {
	long := strings.Repeat("x", MaxHidden)
	for name, c := range map[string]struct {
		in, want string
		err      error
		rest     string
	}{
		"line":                {in: "secret\nnext", want: "secret", rest: "next"},
		"enter key":           {in: "secret\r", want: "secret"},
		"empty":               {in: "\n", want: ""},
		"spaces and tabs":     {in: " a\tb \n", want: " a\tb "},
		"backspace":           {in: "\x7fab\x7f\x08c\n", want: "c"},
		"backspace character": {in: "aé€\x7f\x7fb\n", want: "ab"},
		"kill":                {in: "wrong\x15right\n", want: "right"},
		"longest":             {in: long + "\n", want: long},
		"too long":            {in: long + "y\nnext", err: ErrTooLong, rest: "next"},
		"arrow key":           {in: "a\x1b[Db\nnext", err: ErrControl, rest: "next"},
		"control, then kill":  {in: "a\x1a\x15b\n", err: ErrControl},
		"Ctrl-D":              {in: "\x04next", err: io.EOF, rest: "next"},
		"Ctrl-D after text":   {in: "ab\x04\n", err: ErrControl},
		"end":                 {in: "ab", err: io.EOF},
	} {
		r := bufio.NewReader(strings.NewReader(c.in))
		got, err := readHidden(r)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, c.want, c.err)
		}
		if rest, _ := io.ReadAll(r); string(rest) != c.rest {
			t.Errorf("%s: left %q, want %q", name, rest, c.rest)
		}
	}
}

// TestHiddenLeavesNothingBehind looks at the buffer past its end.
func TestHiddenLeavesNothingBehind(t *testing.T) {
	got, err := readHidden(strings.NewReader("a long mistake\x15ok\n"))
	if err != nil {
		t.Fatal(err)
	}
	if tail := got[len(got):cap(got)]; !bytes.Equal(tail, make([]byte, len(tail))) {
		t.Errorf("what was deleted is still in memory")
	}
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for name, c := range map[string]struct {
		in, want string
		err      error
	}{
		"line":     {in: "yes\nnext", want: "yes"},
		"empty":    {in: "\n"},
		"windows":  {in: "yes\r\n", want: "yes"},
		"longest":  {in: long + "\n", want: long},
		"too long": {in: long + "y\n", err: ErrTooLong},
		"text end": {in: "yes", want: "yes"},
		"end":      {in: "", err: io.EOF},
	} {
		got, err := readLine(bufio.NewReader(strings.NewReader(c.in)))
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, c.want, c.err)
		}
	}
	boom := errors.New("boom")
	if _, err := readLine(bufio.NewReader(iotest.ErrReader(boom))); err != boom {
		t.Errorf("error %v", err)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"presence passphrase: ": "presence passphrase: ", "a\nb": "a\nb", "\x1b[2Jx\r": "?[2Jx?", "é\u009b1m": "é?1m", "\xff": "?",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNotATerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, f := range []*os.File{nil, f} {
		if IsTerminal(f) {
			t.Error("a file or nil is a terminal")
		}
		if _, _, err := Size(f); err == nil {
			t.Error("a file or nil has a size")
		}
	}
}

func FuzzReadHidden(f *testing.F) {
	for _, s := range []string{"secret\n", "a\x7f\x7f\n", "\x15\x04\n", "é\x08\n", "\x1b[A\n", strings.Repeat("x", MaxHidden+1) + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readHidden(bytes.NewReader(in))
		if err != nil && got != nil {
			t.Errorf("an answer beside the error %v", err)
		}
		if len(got) > MaxHidden || bytes.ContainsAny(got, "\n\r\x04\x03\x1b\x7f\x15") {
			t.Errorf("answer %q", got)
		}
	})
}

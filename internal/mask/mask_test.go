package mask

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const R = Replacement

func TestTable(t *testing.T) {
	pem := "-----BEGIN KEY-----\nAAAABBBB\n-----END KEY-----\n"
	tests := []struct {
		name   string
		values []string
		in     string
		want   string
	}{
		{"nothing known", nil, "plain text", "plain text"},
		{"empty input", []string{"hunter2x"}, "", ""},
		{"whole input", []string{"hunter2x"}, "hunter2x", R},
		{"inside", []string{"hunter2x"}, "a hunter2x b", "a " + R + " b"},
		{"twice touching", []string{"hunter2x"}, "hunter2xhunter2x", R + R},
		{"cut short at the end", []string{"hunter2x"}, "a hunter2", "a hunter2"},
		{"false start", []string{"aaaaab"}, "aaaaaaaab", "aaa" + R},
		{"prefix of another", []string{"secret", "secret-long"}, "secret secret-long secret-lo", R + " " + R + " " + R + "-lo"},
		{"suffix of another", []string{"secret", "my-secret"}, "my-secret secret my secret", R + " " + R + " my " + R},
		{"middle of another", []string{"ABCDEF", "xxABCDEFyy"}, "xxABCDEFyy xxABCDEFy", R + " xx" + R + "y"},
		{"overlap", []string{"abcdef", "defghi"}, "-abcdefghi-", "-" + R + "-"},
		{"overlap with itself", []string{"abaaba"}, "abaabaaba", R},
		{"five bytes", []string{"abcde"}, "abcde", "abcde"},
		{"six bytes", []string{"abcdef"}, "abcdef", R},
		{"same value twice", []string{"abcdef", "abcdef"}, "abcdef", R},
		{"binary", []string{"\x00\xff\x00\xfe\x00\x01"}, "\x00\x00\xff\x00\xfe\x00\x01\xff", "\x00" + R + "\xff"},
		{"line end not part of the value", []string{"hunter2x\r\n"}, "hunter2x hunter2x\r\n", R + " " + R + "\r\n"},
		{"lines as they are", []string{pem}, "k=" + pem, "k=" + R + "\n"},
		{"lines from a terminal", []string{pem}, strings.ReplaceAll(pem, "\n", "\r\n"), R + "\r\n"},
		{"hex lower", []string{"\xde\xad\xbe\xef\x01\x02"}, "0xdeadbeef0102h", "0x" + R + "h"},
		{"hex upper", []string{"\xde\xad\xbe\xef\x01\x02"}, "0xDEADBEEF0102h", "0x" + R + "h"},
		{"percent, needed bytes, upper", []string{"a/b?c=é"}, "x=a%2Fb%3Fc%3D%C3%A9&", "x=" + R + "&"},
		{"percent, needed bytes, lower", []string{"a/b?c=é"}, "x=a%2fb%3fc%3d%c3%a9&", "x=" + R + "&"},
		{"percent, every byte", []string{"jklmno"}, "%6A%6B%6C%6D%6E%6F %6a%6b%6c%6d%6e%6f", R + " " + R},
		{"base64 padded", []string{"hunter2x"}, base64.StdEncoding.EncodeToString([]byte("hunter2x")), R},
		{"base64 unpadded", []string{"hunter2x"}, base64.RawStdEncoding.EncodeToString([]byte("hunter2x")) + " ", R + " "},
		{"base64 URL", []string{"\xfb\xff\xfe\xfb\xff\xfe\xfb"}, "-_-- -__--__--w==", "-_-- " + R},
		{"base64 basic", []string{"hunter2x"}, base64.StdEncoding.EncodeToString([]byte("user:hunter2x")), "dXNlcjp" + R},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var vs [][]byte
			for _, v := range tt.values {
				vs = append(vs, []byte(v))
			}
			c := &clock{}
			m := matcher(c, vs...)
			for _, size := range []int{1, 2, 3, 5, 7, 1000} {
				got, err := stream(m, c, []byte(tt.in), []int{size})
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(tt.want, string(got)); d != "" {
					t.Errorf("writes of %d (-want +got):\n%s", size, d)
				}
			}
		})
	}
}

func TestUnmasked(t *testing.T) {
	m := New([]Value{
		Bytes("short", []byte("12345")),
		Bytes("long", []byte("123456")),
		Bytes("line ends", []byte("12345\r\n")),
		Bytes("empty", nil),
		{Name: "no lend"},
		{Name: "lends nothing", Lend: func(func([]byte)) {}},
	}, Options{})
	want := []string{"short", "line ends", "empty", "no lend", "lends nothing"}
	if d := cmp.Diff(want, m.Unmasked()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestForms checks the forms against the standard library's encoders, with
// the value between neighbours of every length mod 3.
func TestForms(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	for n := MinLen; n < 40; n++ {
		v := append(bytesOf(n-1), 'x') // no line end at the end
		c := &clock{}
		m := matcher(c, v)
		for range 12 {
			pre, post := bytesOf(rnd.IntN(7)), bytesOf(rnd.IntN(7))
			all := bytes.Join([][]byte{pre, v, post}, nil)
			for name, enc := range map[string]*base64.Encoding{
				"std": base64.StdEncoding, "raw": base64.RawStdEncoding,
				"url": base64.URLEncoding, "rawurl": base64.RawURLEncoding,
			} {
				in := enc.EncodeToString(all)
				got, err := stream(m, c, []byte(in), []int{1 + rnd.IntN(9)})
				if err != nil {
					t.Fatal(err)
				}
				head, tail, ok := strings.Cut(string(got), R)
				if !ok || len(head) > (len(pre)*8+5)/6 || len(tail) > len(in)-8*(len(pre)+n)/6 || len(post) == 0 && tail != "" {
					t.Errorf("%s, %d+%d+%d bytes: %q", name, len(pre), n, len(post), got)
				}
			}
			for name, in := range map[string]string{
				"raw": string(v), "hex": hex.EncodeToString(v), "HEX": fmt.Sprintf("%X", v),
				"url": strings.ReplaceAll(url.QueryEscape(string(v)), "+", "%20"),
			} {
				got, err := stream(m, c, []byte("(("+in+"))"), []int{1 + rnd.IntN(9)})
				if err != nil || string(got) != "(("+R+"))" {
					t.Errorf("%s of %d bytes: %q, %v", name, n, got, err)
				}
			}
		}
	}
}

func TestTimer(t *testing.T) {
	c := &clock{}
	var out bytes.Buffer
	w := matcher(c, []byte("hunter2x")).Writer(&out)
	step := func(in, want string, timers int) {
		t.Helper()
		if _, err := io.WriteString(w, in); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Errorf("after %q (-want +got):\n%s", in, d)
		}
		if got := c.running(); got != timers {
			t.Errorf("after %q: %d timers run, want %d", in, got, timers)
		}
	}
	step("name? ", "name? ", 0)
	step("h", "name? ", 1)
	step("u", "name? ", 1)
	if c.armed != 1 {
		t.Errorf("the second held byte started a timer of its own")
	}
	if c.last > 5*time.Millisecond {
		t.Errorf("held for %v", c.last)
	}
	c.fire()
	step("n", "name? hu", 1)
	c.fire()
	step("t", "name? hun", 0) // the fourth byte: held without limit
	c.fire()
	step("er2", "name? hun", 0)
	if err := w.Flush(); err != nil || out.String() != "name? hun" {
		t.Errorf("Flush wrote a long match in progress: %q, %v", out.String(), err)
	}
	step("x", "name? hun"+R, 0)
	step("!\nh", "name? hun"+R+"!\n", 1)
	if err := w.Flush(); err != nil || out.String() != "name? hun"+R+"!\nh" {
		t.Errorf("Flush kept a short match: %q, %v", out.String(), err)
	}
	if n := c.running(); n != 0 {
		t.Errorf("%d timers run after Flush", n)
	}
	step("unter", "name? hun"+R+"!\nh", 0)
	if err := w.Close(); err != nil || out.String() != "name? hun"+R+"!\nhunter" {
		t.Errorf("Close: %q, %v", out.String(), err)
	}
}

// TestReleasedBetween has bytes released between a replacement and a match
// that began inside it: the rest of the match must show as replaced.
func TestReleasedBetween(t *testing.T) {
	c := &clock{}
	var out bytes.Buffer
	w := matcher(c, []byte("123456ab"), []byte("abcdefgh")).Writer(&out)
	_, _ = io.WriteString(w, "123456abc")
	c.fire()
	_, _ = io.WriteString(w, "defgh.")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(R+"c"+R+".", out.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestAtOnce shows what is not held: a value that is whole, though a longer
// one may follow, and what stands before a match in progress.
func TestAtOnce(t *testing.T) {
	var out bytes.Buffer
	w := matcher(&clock{}, []byte("secret"), []byte("secret-long")).Writer(&out)
	for _, s := range []struct{ in, want string }{
		{"a secret", "a " + R}, {"-lo", "a " + R}, {"ng", "a " + R}, {" b secr", "a " + R + " b "},
	} {
		_, _ = io.WriteString(w, s.in)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s.want, out.String()); d != "" {
			t.Errorf("after %q (-want +got):\n%s", s.in, d)
		}
	}
	if err := w.Close(); err != nil || !strings.HasSuffix(out.String(), " b secr") {
		t.Errorf("Close: %q, %v", out.String(), err)
	}
}

func TestUnfinished(t *testing.T) {
	tb := newTables(forms{patterns: [][]byte{[]byte("hunter2x"), []byte("secret"), []byte("secret-long")}})
	for in, want := range map[string]int{
		"": 0, "q": 0, "..h": 1, "hu": 2, ".hun": 3, "hunter2": 7, "hunter2x": 0, "secret": 6, "secret-long": 0, "secret-los": 1,
	} {
		if _, from := tb.scan([]byte(in), nil); len(in)-from != want {
			t.Errorf("of %q, %d bytes are the beginning of a value, want %d", in, len(in)-from, want)
		}
	}
}

// TestLateTimer has timers that fire although they were stopped, as real ones
// may: they release nothing that came after, and Close waits for them.
func TestLateTimer(t *testing.T) {
	var fire []func()
	closing := false
	var fired atomic.Bool
	after := func(_ time.Duration, f func()) func() bool {
		fire = append(fire, f)
		return func() bool {
			if closing {
				go func() {
					time.Sleep(20 * time.Millisecond)
					fired.Store(true)
					f()
				}()
			}
			return false
		}
	}
	var out bytes.Buffer
	w := New([]Value{Bytes("v", []byte("hunter2x"))}, Options{AfterFunc: after}).Writer(&out)
	_, _ = io.WriteString(w, "h")
	_, _ = io.WriteString(w, ".h")
	if len(fire) != 2 {
		t.Fatalf("%d timers started, want 2", len(fire))
	}
	fire[0]()
	if out.String() != "h." {
		t.Errorf("after the late timer: %q", out.String())
	}
	closing = true
	if err := w.Close(); err != nil || out.String() != "h.h" {
		t.Errorf("Close: %q, %v", out.String(), err)
	}
	if !fired.Load() {
		t.Error("Close did not wait for the timer")
	}
}

func TestRealTimer(t *testing.T) {
	pr, pw := io.Pipe()
	w := New([]Value{Bytes("v", []byte("hunter2x"))}, Options{}).Writer(pw)
	if _, err := io.WriteString(w, "h"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(pr, b); err != nil || b[0] != 'h' {
		t.Fatalf("%q, %v", b, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCloseRace closes, flushes and wipes while timers are about to fire.
func TestCloseRace(t *testing.T) {
	for range 200 {
		m := New([]Value{Bytes("v", []byte("hunter2x"))}, Options{
			AfterFunc: func(_ time.Duration, f func()) func() bool { return time.AfterFunc(time.Microsecond, f).Stop },
		})
		var out bytes.Buffer
		w := m.Writer(&out)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 10 {
					_, _ = io.WriteString(w, "hu")
				}
				_ = w.Flush()
				_ = w.Close()
			})
		}
		wg.Go(m.Wipe)
		wg.Wait()
		_ = out.Len() // a timer still running would race with this read
	}
}

type failing struct {
	after int // bytes
	short bool
	calls int
}

var errDisk = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	f.calls++
	if len(p) <= f.after {
		f.after -= len(p)
		return len(p), nil
	}
	if f.short {
		return f.after, nil
	}
	return f.after, errDisk
}

func TestErrors(t *testing.T) {
	m := matcher(&clock{}, []byte("hunter2x"))
	for _, short := range []bool{false, true} {
		want := errDisk
		if short {
			want = io.ErrShortWrite
		}
		f := &failing{after: chunk, short: short}
		w := m.Writer(f)
		n, err := w.Write(bytes.Repeat([]byte{'.'}, 3*chunk))
		if n != chunk || !errors.Is(err, want) {
			t.Errorf("Write: %d, %v", n, err)
		}
		calls := f.calls
		if n, err := w.Write([]byte("more")); n != 0 || !errors.Is(err, want) {
			t.Errorf("second Write: %d, %v", n, err)
		}
		if err := w.Flush(); !errors.Is(err, want) {
			t.Errorf("Flush: %v", err)
		}
		if err := w.Close(); !errors.Is(err, want) {
			t.Errorf("Close: %v", err)
		}
		if f.calls != calls {
			t.Errorf("written to after an error")
		}
	}
}

func TestErrorFromTimer(t *testing.T) {
	c := &clock{}
	w := matcher(c, []byte("hunter2x")).Writer(&failing{})
	if _, err := io.WriteString(w, "h"); err != nil {
		t.Fatal(err)
	}
	c.fire()
	if _, err := io.WriteString(w, "."); !errors.Is(err, errDisk) {
		t.Errorf("Write after the timer's failed: %v", err)
	}
}

func TestClosed(t *testing.T) {
	for _, values := range [][][]byte{nil, {[]byte("hunter2x")}} {
		w := matcher(&clock{}, values...).Writer(io.Discard)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		if err := w.Close(); !errors.Is(err, ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestWipe(t *testing.T) {
	secret := []byte("hunter2x/secret")
	m := matcher(&clock{}, secret)
	empty := matcher(&clock{})
	tb := m.t
	var out bytes.Buffer
	w := m.Writer(&out)
	if _, err := io.WriteString(w, "hunter2x/secre"); err != nil {
		t.Fatal(err)
	}
	held := w.buf
	m.Wipe()
	m.Wipe()
	empty.Wipe()
	for _, b := range append(tb.owned, tb.patterns...) {
		if len(bytes.Trim(b, "\x00")) != 0 {
			t.Errorf("left: %q", b)
		}
	}
	for name, x := range map[string]*Writer{
		"open": w, "new": m.Writer(&out), "no values": empty.Writer(&out), "zero": new(Matcher).Writer(&out),
	} {
		if _, err := x.Write([]byte("t")); !errors.Is(err, ErrWiped) {
			t.Errorf("%s: Write: %v", name, err)
		}
		if err := x.Close(); !errors.Is(err, ErrWiped) {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
	if out.Len() != 0 {
		t.Errorf("passed: %q", out.String())
	}
	if len(bytes.Trim(held[:cap(held)], "\x00")) != 0 {
		t.Errorf("the writer's buffer was not wiped")
	}
	if string(secret) != "hunter2x/secret" {
		t.Errorf("the caller's value was changed")
	}
}

// TestTwoStreams interleaves a value over two writers of one matcher: neither
// sees the other's bytes.
func TestTwoStreams(t *testing.T) {
	m := matcher(&clock{}, []byte("hunter2x"))
	var a, b bytes.Buffer
	wa, wb := m.Writer(&a), m.Writer(&b)
	for _, s := range []string{"hunt", "er2x"} {
		_, _ = io.WriteString(wa, s)
		_, _ = io.WriteString(wb, "-"+s)
	}
	if err := errors.Join(wa.Close(), wb.Close()); err != nil {
		t.Fatal(err)
	}
	if a.String() != R || b.String() != "-hunt-er2x" {
		t.Errorf("%q, %q", a.String(), b.String())
	}
}

func TestPassThrough(t *testing.T) {
	in := logText(10 << 20)
	rnd := rand.New(rand.NewPCG(3, 4))
	sizes := make([]int, 64)
	for i := range sizes {
		sizes[i] = 1 + rnd.IntN(100_000)
	}
	c := &clock{}
	m := matcher(c, randomValues(50, 12)...)
	got, err := stream(m, c, in, sizes)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in, got) {
		t.Error("10 MB without a value came out changed")
	}
}

// TestLongValue has a value longer than a chunk.
func TestLongValue(t *testing.T) {
	v := bytes.Repeat([]byte("0123456789abcdeF"), 5*chunk/16)
	v = append(v, "end"...)
	c := &clock{}
	m := matcher(c, v)
	in := bytes.Join([][]byte{[]byte("<"), v, []byte("> "), v[:len(v)-1], []byte(hex.EncodeToString(v))}, nil)
	want := "<" + R + "> " + string(v[:len(v)-1]) + R
	for _, size := range []int{777, chunk, 1 << 20} {
		got, err := stream(m, c, in, []int{size})
		if err != nil || string(got) != want {
			t.Errorf("writes of %d: wrong output of %d bytes, %v", size, len(got), err)
		}
	}
}

// logText returns n bytes of something like a program's log.
func logText(n int) []byte {
	rnd := rand.New(rand.NewPCG(5, 6))
	words := strings.Fields(`request served connection closed by peer retry after upload finished user
		session started cache miss for key loading module config from path error timeout while reading`)
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "2026-11-02T10:%02d:%02d.%06dZ INFO [worker-%d]", rnd.IntN(60), rnd.IntN(60), rnd.IntN(1e6), rnd.IntN(16))
		for range 4 + rnd.IntN(9) {
			b.WriteString(" " + words[rnd.IntN(len(words))])
		}
		fmt.Fprintf(&b, " id=%08x status=%d bytes=%d\n", rnd.Uint32(), 200+rnd.IntN(300), rnd.IntN(1e5))
	}
	return b.Bytes()[:n]
}

// randomValues returns n values like API keys, the shortest of the given length.
func randomValues(n, shortest int) [][]byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+!"
	rnd := rand.New(rand.NewPCG(7, 8))
	vs := make([][]byte, n)
	for i := range vs {
		vs[i] = make([]byte, shortest+i%50)
		for k := range vs[i] {
			vs[i][k] = alphabet[rnd.IntN(len(alphabet))]
		}
	}
	return vs
}

func BenchmarkWrite(b *testing.B) {
	plain := logText(8 << 20)
	coloured := bytes.ReplaceAll(plain, []byte("="), []byte("\x1b[0m=\x1b[38;5;40m"))
	coloured = bytes.ReplaceAll(coloured, []byte("INFO"), []byte("\x1b[1mINFO\x1b[0m"))
	for _, bb := range []struct{ values, shortest, write int }{
		{0, 12, 32 << 10}, {1, 12, 32 << 10}, {50, 20, 32 << 10}, {50, 12, 32 << 10},
		{50, 8, 32 << 10}, {50, 6, 32 << 10}, {500, 12, 32 << 10}, {50, 12, 100}, {-50, 12, 32 << 10},
	} {
		text := plain
		if bb.values < 0 {
			text, bb.values = coloured, -bb.values
		}
		b.Run(fmt.Sprintf("values=%d/shortest=%d/write=%d/coloured=%t", bb.values, bb.shortest, bb.write, &text[0] != &plain[0]), func(b *testing.B) {
			var vs []Value
			for _, v := range randomValues(bb.values, bb.shortest) {
				vs = append(vs, Bytes("v", v))
			}
			w := New(vs, Options{}).Writer(io.Discard)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for in := text; len(in) > 0; {
					n := min(bb.write, len(in))
					if _, err := w.Write(in[:n]); err != nil {
						b.Fatal(err)
					}
					in = in[n:]
				}
			}
			_ = w.Close()
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{1, 50} {
		b.Run(fmt.Sprintf("values=%d", n), func(b *testing.B) {
			var vs []Value
			for i := range n {
				sum := sha256.Sum256([]byte{byte(i)})
				vs = append(vs, Bytes("v", []byte(base64.RawURLEncoding.EncodeToString(sum[:]))))
			}
			for b.Loop() {
				New(vs, Options{}).Wipe()
			}
		})
	}
}

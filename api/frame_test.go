package api

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 4).Draw(t, "values")
		var b bytes.Buffer
		if err := WriteMessage(&b, Header{Op: OpItemPut, Body: []byte(`{"x":1}`)}, values...); err != nil {
			t.Fatal(err)
		}
		h, err := ReadHeader(&b)
		if err != nil || h.V != Version || h.Op != OpItemPut || h.Values != len(values) {
			t.Fatalf("%+v, %v", h, err)
		}
		for _, v := range values {
			got, err := ReadValue(&b)
			if err != nil || !bytes.Equal(got, v) {
				t.Fatalf("%x, %v", got, err)
			}
		}
		if _, err := ReadHeader(&b); err != io.EOF {
			t.Fatalf("after the end: %v", err)
		}
	})
}

func TestMalformedFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"value for header": {0, 0, 0, 1, 'V', 'x'}, "huge header": {0xff, 0, 0, 0, 'J'}, "not JSON": {0, 0, 0, 1, 'J', 'x'},
		"unknown kind": {0, 0, 0, 0, 'X'}, "too many values": append([]byte{0, 0, 0, 16, 'J'}, `{"values":99999}`...),
		"negative": append([]byte{0, 0, 0, 13, 'J'}, `{"values":-1}`...), "short stream": headerOf(`{"streams":[16777216]}`),
		"huge stream": headerOf(`{"streams":[268435457]}`), "negative stream": headerOf(`{"streams":[-1]}`), "no size": headerOf(`{"streams":["x"]}`),
		"too many streams": headerOf(`{"streams":[` + strings.Repeat("16777217,", MaxStreams) + `16777217]}`),
	} {
		if _, err := ReadHeader(bytes.NewReader(b)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadHeader(bytes.NewReader([]byte{0, 0, 0, 9, 'J', '{'})); err != io.ErrUnexpectedEOF {
		t.Errorf("cut: %v", err)
	}
	if _, err := ReadValue(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 'V'})); !errors.Is(err, ErrFrame) {
		t.Errorf("a value over the limit: %v", err)
	}
	if err := WriteMessage(io.Discard, Header{}, make([]byte, MaxValue+1)); err == nil {
		t.Error("a value over the limit was written")
	}
}

func TestFindHome(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	h, err := FindHome(env(map[string]string{"THUMBTURN_HOME": "/x/h", "HOME": "/home/a"}))
	if err != nil || !h.Custom || h.Socket() != filepath.Join("/x/h", "run", "thumbturn.sock") {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := FindHome(env(map[string]string{"THUMBTURN_HOME": "relative"})); err == nil {
		t.Error("a relative home was accepted")
	}
	if _, err := FindHome(env(nil)); err == nil {
		t.Error("no home at all was accepted")
	}
	h, err = FindHome(env(map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "/d", "XDG_RUNTIME_DIR": "relative", "LOCALAPPDATA": "/l"}))
	if err != nil || h.Custom || h.Data != filepath.Join("/d", "thumbturn") {
		t.Errorf("%+v, %v", h, err)
	}
}

func headerOf(text string) []byte { return append(head(kindJSON, len(text)), text...) }

// parts reads a whole stream of size bytes.
func parts(r io.Reader, size int64) (out []byte, err error) {
	for left := size; left > 0; left -= PartSize {
		b := make([]byte, PartLen(left))
		if err := ReadPart(r, b); err != nil {
			return out, err
		}
		out = append(out, b...)
	}
	return out, nil
}

func TestParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := bytes.Repeat([]byte("abc"), rapid.IntRange(1, PartSize).Draw(t, "n"))
		var b bytes.Buffer
		for rest := text; len(rest) > 0; {
			n := PartLen(int64(len(rest)))
			if err := WritePart(&b, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		got, err := parts(&b, int64(len(text)))
		if err != nil || !bytes.Equal(got, text) || b.Len() != 0 {
			t.Fatalf("%d of %d bytes, %d left: %v", len(got), len(text), b.Len(), err)
		}
	})
	good := func(n int) []byte { return append(head(kindPart, n), make([]byte, n)...) }
	for name, x := range map[string]struct {
		in   []byte
		size int64
		want error
	}{
		"empty part": {good(0), 5, ErrFrame}, "short part": {good(4), 5, ErrFrame}, "long part": {good(6), 5, ErrFrame},
		"half parts": {append(good(PartSize/2), good(PartSize/2)...), PartSize, ErrFrame}, "value": {append(head(kindValue, 5), "12345"...), 5, ErrFrame},
		"nothing": {nil, 5, io.ErrUnexpectedEOF}, "cut head": {good(5)[:3], 5, io.ErrUnexpectedEOF}, "cut part": {good(5)[:8], 5, io.ErrUnexpectedEOF},
		"no last part": {good(PartSize), PartSize + 1, io.ErrUnexpectedEOF}, "huge": {[]byte{0xff, 0xff, 0xff, 0xff, 'P'}, 5, ErrFrame},
	} {
		if _, err := parts(bytes.NewReader(x.in), x.size); !errors.Is(err, x.want) {
			t.Errorf("%s: got %v, want %v", name, err, x.want)
		}
	}
	for _, n := range []int{0, PartSize + 1} {
		if err := WritePart(io.Discard, make([]byte, n)); err == nil {
			t.Errorf("a part of %d bytes was written", n)
		}
	}
	for _, n := range []int64{MaxValue, MaxStream + 1} {
		if err := WriteMessage(io.Discard, Header{Streams: []int64{n}}); !errors.Is(err, ErrFrame) {
			t.Errorf("a stream of %d bytes was announced: %v", n, err)
		}
	}
}

// FuzzStream reads a header and what it announces, as either side does.
func FuzzStream(f *testing.F) {
	message := func(h Header, parts ...int) []byte {
		var b bytes.Buffer
		_ = WriteMessage(&b, h)
		for _, n := range parts {
			b.Write(head(kindPart, n))
			b.Write(make([]byte, n))
		}
		return b.Bytes()
	}
	f.Add(message(Header{Op: OpItemPut, Streams: []int64{MaxValue + 1}}, PartSize, PartSize, 0))
	f.Add(message(Header{Streams: []int64{MaxStream}}, PartSize, 1))
	f.Add(message(Header{Streams: []int64{MaxValue + 9}}, PartSize+1))
	f.Add(headerOf(`{"streams":[0,-1]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := ReadHeader(r)
		if err != nil {
			return
		}
		for _, size := range h.Streams {
			if size <= MaxValue || size > MaxStream || len(h.Streams) > MaxStreams {
				t.Fatalf("streams %v", h.Streams)
			}
			got, err := parts(r, size)
			if len(got) > len(b) || err != nil && !errors.Is(err, ErrFrame) && err != io.ErrUnexpectedEOF {
				t.Fatalf("%d bytes of %d: %v", len(got), len(b), err)
			}
			if err != nil {
				return
			}
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	var b bytes.Buffer
	_ = WriteMessage(&b, Header{Op: OpHello})
	f.Add(b.Bytes())
	f.Add([]byte{0, 0, 0, 2, 'J', '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHeader(bytes.NewReader(b))
		if err == nil && (h.Values < 0 || h.Values > MaxValues) {
			t.Fatalf("%d values", h.Values)
		}
	})
}

package api

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
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
		"negative": append([]byte{0, 0, 0, 13, 'J'}, `{"values":-1}`...),
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

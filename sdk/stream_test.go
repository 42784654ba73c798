//go:build unix

package sdk_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

const longSize = api.MaxValue + api.PartSize + 3

func long(n int) []byte { return bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n] }

func TestItemPutLong(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: api.ItemPutReply{Proposed: true}}}
	})
	c := dial(t, s)
	text := long(longSize)
	in := api.ItemPut{Item: "x", Fields: []api.Field{{Label: "a", Value: true}, {Label: "b", Stream: true}}}
	got, err := c.ItemPutLong(t.Context(), in, [][]byte{[]byte("short")}, []sdk.Long{{Size: longSize, From: bytes.NewReader(text)}}, nil)
	if err != nil || !got.Proposed {
		t.Fatalf("%+v, %v", got, err)
	}
	if calls := s.Calls(); len(calls) != 1 || len(calls[0].Long) != 1 || !bytes.Equal(calls[0].Long[0], text) || string(calls[0].Values[0]) != "short" {
		t.Error("it arrived changed")
	}
	for name, l := range map[string]sdk.Long{"too short for a stream": {Size: api.MaxValue}, "too long": {Size: api.MaxStream + 1}, "negative": {Size: -1}} {
		if _, err := c.ItemPutLong(t.Context(), in, nil, []sdk.Long{l}, nil); kind(t, err) != "usage" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.ItemPutLong(t.Context(), in, nil, make([]sdk.Long, api.MaxStreams+1), nil); kind(t, err) != "usage" {
		t.Errorf("too many: %v", err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("the connection is gone: %v", err)
	}
	failed := errors.New("the disk under it fails")
	for name, x := range map[string]struct {
		from io.Reader
		want string
	}{
		"shorter": {bytes.NewReader(text[:longSize-1]), "changed while it was read"}, "longer": {io.MultiReader(bytes.NewReader(text), strings.NewReader("x")), "changed while it was read"},
		"empty": {strings.NewReader(""), "changed while it was read"}, "failing": {io.MultiReader(bytes.NewReader(text[:99]), failing{failed}), failed.Error()},
		"failing at its end": {io.MultiReader(bytes.NewReader(text), failing{failed}), failed.Error()},
	} {
		c := dial(t, s)
		_, err := c.ItemPutLong(t.Context(), in, [][]byte{nil}, []sdk.Long{{Size: longSize, From: x.from}}, nil)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Status(t.Context()); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	if n := len(s.Calls()); n != 2 { // the one that went well, and a status
		t.Errorf("%d calls arrived whole", n)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestReleaseTo(t *testing.T) {
	text := long(longSize)
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		if c.Op == api.OpItemGet {
			return []sdktest.Message{{Body: api.Item{Title: "i", Fields: []api.Field{{Label: "f", Size: 7}}}}}
		}
		var w api.Want
		if c.Into(t, &w); len(w.Refs) == 1 && w.Refs[0] == "op://v/i/short" {
			return []sdktest.Message{{Body: api.Released{}, Values: [][]byte{[]byte("short")}}}
		}
		return []sdktest.Message{{Body: api.Released{Receipt: 4}, Long: text}}
	})
	c := dial(t, s)
	var out bytes.Buffer
	var size int64
	to := func(n int64) (io.Writer, error) { size = n; return &out, nil }
	want := api.Want{Sink: "reveal", Refs: []string{"op://v/i/f"}}
	got, err := c.ReleaseTo(t.Context(), want, to, nil)
	if err != nil || got.Receipt != 4 || size != longSize || !bytes.Equal(out.Bytes(), text) {
		t.Errorf("%+v, %d of %d bytes: %v", got, out.Len(), size, err)
	}
	var in api.Want
	if s.Calls()[0].Into(t, &in); !in.Stream {
		t.Error("it does not say that it takes a stream")
	}
	out.Reset()
	if _, err := c.ReleaseTo(t.Context(), api.Want{Refs: []string{"op://v/i/short"}}, to, nil); err != nil || out.String() != "short" || size != 5 {
		t.Errorf("a short value: %q, %d, %v", out.String(), size, err)
	}
	out.Reset()
	if _, err := c.ReleaseTo(t.Context(), api.Want{Refs: []string{"op://v/i/f?attribute=size"}}, to, nil); err != nil || out.String() != "7" {
		t.Errorf("what is known: %q, %v", out.String(), err)
	}
	if _, err := c.ReleaseTo(t.Context(), api.Want{Refs: []string{"op://v/i/f", "op://v/i/g"}}, to, nil); kind(t, err) != "usage" {
		t.Errorf("two references: %v", err)
	}
	// Not asked for as a stream.
	other := dial(t, s)
	if _, _, err := other.Release(t.Context(), want, nil); kind(t, err) != "protocol" {
		t.Errorf("a stream for a value: %v", err)
	}
	full := errors.New("no space left")
	for name, to := range map[string]sdk.Opener{
		"no place":     func(int64) (io.Writer, error) { return nil, full },
		"a full place": func(int64) (io.Writer, error) { return writes(func([]byte) (int, error) { return 0, full }), nil },
	} {
		c := dial(t, s)
		if _, err := c.ReleaseTo(t.Context(), want, to, nil); !errors.Is(err, full) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Status(t.Context()); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
}

type writes func([]byte) (int, error)

func (w writes) Write(b []byte) (int, error) { return w(b) }

// A reply that breaks off in the middle of its stream is an error.
func TestReleaseToCut(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: api.Released{}, Long: long(longSize), Cut: 3 * api.PartSize}}
	})
	var out bytes.Buffer
	_, err := dial(t, s).ReleaseTo(t.Context(), api.Want{Refs: []string{"op://v/i/f"}}, func(int64) (io.Writer, error) { return &out, nil }, nil)
	if kind(t, err) != "unavailable" || out.Len() != 3*api.PartSize {
		t.Errorf("%d bytes: %v", out.Len(), err)
	}
}

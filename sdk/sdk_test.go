//go:build unix

package sdk_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

func kind(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		t.Fatalf("%v (%T) is not an *api.Error", err, err)
	}
	return e.Kind
}

func dial(t *testing.T, s *sdktest.Server) *sdk.Client {
	t.Helper()
	c, err := sdk.Dial(t.Context(), s.Home, sdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func nothing(sdktest.Call) []sdktest.Message { return []sdktest.Message{{}} }

func TestDialRefuses(t *testing.T) {
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := func(h api.Home) string { return filepath.Join(h.Device, "device.pub") }
	tests := []struct {
		name  string
		spoil func(*sdktest.Server) error
		want  string
	}{
		{"other key", func(s *sdktest.Server) error { s.WriteKey(other); return nil }, "tampered"},
		{"no key but an account", func(s *sdktest.Server) error { return os.Remove(key(s.Home)) }, "tampered"},
		{"key file is no JSON", func(s *sdktest.Server) error { return os.WriteFile(key(s.Home), []byte("x"), 0o600) }, "tampered"},
		{"short key", func(s *sdktest.Server) error { s.WriteKey(other[:31]); return nil }, "tampered"},
		{"empty daemon over a key", func(s *sdktest.Server) error { s.Empty(); s.WriteKey(other); return nil }, "tampered"},
		{"writable folder", func(s *sdktest.Server) error { return os.Chmod(s.Home.Run, 0o777) }, "tampered"},
		{"no folder", func(s *sdktest.Server) error { return os.RemoveAll(s.Home.Run) }, "unavailable"},
		{"no socket", func(s *sdktest.Server) error { return os.Remove(s.Home.Socket()) }, "unavailable"},
		{"socket is a file", func(s *sdktest.Server) error {
			if err := os.Remove(s.Home.Socket()); err != nil {
				return err
			}
			return os.WriteFile(s.Home.Socket(), nil, 0o600)
		}, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sdktest.Start(t, nothing)
			if err := tt.spoil(s); err != nil {
				t.Fatal(err)
			}
			c, err := sdk.Dial(t.Context(), s.Home, sdk.Options{})
			if err == nil {
				c.Close()
				t.Fatal("dialled")
			}
			if got := kind(t, err); got != tt.want {
				t.Errorf("kind %q, want %q (%v)", got, tt.want, err)
			}
			if got := sdk.NotRunning(err); got != (tt.want == "unavailable") {
				t.Errorf("NotRunning = %v for %v", got, err)
			}
			if n := len(s.Calls()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

func TestDialEmptyHome(t *testing.T) {
	s := sdktest.Start(t, nothing)
	s.Empty()
	if got := dial(t, s).Hello().State; got != api.StateEmpty {
		t.Errorf("state %q", got)
	}
}

func TestRelease(t *testing.T) {
	w := api.Waiting{Request: "r1", Code: "k3f9-2xq7"}
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{
			{Body: w, More: true},
			{Body: api.Released{Request: "r1", Receipt: 7}, Values: [][]byte{[]byte("one"), {}}},
		}
	})
	want := api.Want{Sink: "handoff", Refs: []string{"op://a/b/c", "op://a/b/d"}, Names: []string{"A", "B", "C"}} // one value in two of them
	var heard []api.Waiting
	rel, values, err := dial(t, s).Release(t.Context(), want, func(w api.Waiting) { heard = append(heard, w) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]api.Waiting{w}, heard); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]byte{[]byte("one"), {}}, values); diff != "" {
		t.Error(diff)
	}
	if rel.Receipt != 7 {
		t.Errorf("receipt %d", rel.Receipt)
	}
	var sent api.Want
	s.Calls()[0].Into(t, &sent)
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
	sdk.Wipe(values...)
	if string(values[0]) != "\x00\x00\x00" {
		t.Error("not wiped")
	}
}

// A daemon that sends another number of values than was asked for would shift
// them to other names.
func TestReleaseWrongCount(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Values: [][]byte{[]byte("one")}}}
	})
	c := dial(t, s)
	_, values, err := c.Release(t.Context(), api.Want{Refs: []string{"a", "b"}}, nil)
	if values != nil || kind(t, err) != "protocol" {
		t.Errorf("got %v, %v", values, err)
	}
	if err := c.Lock(t.Context()); kind(t, err) != "unavailable" {
		t.Errorf("a broken connection was used again: %v", err)
	}
}

func TestAnsweredErrorKeepsConnection(t *testing.T) {
	want := &api.Error{Kind: "locked", Op: "lock", Msg: "no", Hint: "h"}
	n := 0
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		if n++; n == 1 {
			return []sdktest.Message{{Error: want}}
		}
		return []sdktest.Message{{}}
	})
	c := dial(t, s)
	got, _ := errors.AsType[*api.Error](c.Lock(t.Context()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := c.Lock(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Unlock(t.Context(), api.Auth{}, make([]byte, api.MaxValue+1)); kind(t, err) != "usage" {
		t.Errorf("oversized value: %v", err)
	}
	if err := c.Lock(t.Context()); err != nil {
		t.Errorf("after a refusal of our own: %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		cancel()
		<-release
		return nil
	})
	t.Cleanup(func() { close(release) })
	c := dial(t, s)
	began := time.Now()
	_, err := c.Status(ctx)
	if kind(t, err) != "unavailable" || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestStream(t *testing.T) {
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: []api.Item{{ID: "1"}, {ID: "2"}}, More: true}, {Body: []api.Item{{ID: "3"}}}}
	})
	c := dial(t, s)
	var ids []string
	err := c.Items(t.Context(), api.ItemList{}, func(it api.Item) error { ids = append(ids, it.ID); return nil })
	if diff := cmp.Diff([]string{"1", "2", "3"}, ids); diff != "" || err != nil {
		t.Error(diff, err)
	}
	err = c.Items(t.Context(), api.ItemList{}, func(api.Item) error { return errors.New("disk full") })
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Msg != "disk full" {
		t.Errorf("got %v", err)
	}
}

// What to do at a fingerprint reader is told without a request.
func TestFingerIsTold(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: api.Waiting{Finger: "now"}, More: true}, {Body: api.Waiting{Finger: "again"}, More: true}, {}}
	})
	c := dial(t, s)
	var told []string
	c.Waiting = func(w api.Waiting) { told = append(told, w.Finger) }
	if err := c.Approve(t.Context(), api.RequestID{ID: "r1"}, []byte("x")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"now", "again"}, told); diff != "" {
		t.Error(diff)
	}
}

func TestInterimMustBeWaiting(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: api.Status{}, More: true}, {}}
	})
	if _, err := dial(t, s).Status(t.Context()); kind(t, err) != "protocol" {
		t.Errorf("got %v", err)
	}
}

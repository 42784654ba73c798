//go:build linux

package fprint

import (
	"context"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/fprint/fprinttest"
	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// folder is a short one, for sockets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ttfp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// connect is one program on the bus.
func connect(t *testing.T, address string) *dbus.Conn {
	t.Helper()
	c, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func own(t *testing.T, c *dbus.Conn, name string) {
	t.Helper()
	if r, err := c.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
}

func TestRealFprintd(t *testing.T) {
	t.Parallel()
	address := "unix:path=" + filepath.Join(folder(t), "bus")
	logindtest.Bus(t, address)
	m := fprinttest.New(t, address)
	r := &Reader{Address: address}
	if d, err := r.Present(t.Context()); err != nil || d.Fingers != 0 || d.Name == "" {
		t.Errorf("nothing enrolled: %+v, %v", d, err)
	}
	if err := r.Verify(t.Context(), nil); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "no finger is enrolled") {
		t.Errorf("nothing enrolled: %v", err)
	}
	m.Enrol("mine")
	if d, err := r.Present(t.Context()); err != nil || d.Fingers != 1 {
		t.Errorf("enrolled: %+v, %v", d, err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		user  string
		scans []string // one for each word
		told  []string
		want  string // of the error
	}{
		"a match":        {"", []string{"SCAN mine"}, []string{now}, ""},
		"by name":        {me.Username, []string{"SCAN mine"}, []string{now}, ""},
		"the second":     {"", []string{"SCAN other", "SCAN mine"}, []string{now, wrong}, ""},
		"unread, then":   {"", []string{"RETRY 1", "SCAN mine"}, []string{now, unread}, ""},
		"none":           {"", []string{"SCAN a", "SCAN b", "SCAN c"}, []string{now, wrong, wrong}, "did not match"},
		"a broken one":   {"", []string{"ERROR 0"}, []string{now}, "the fingerprint reader failed"},
		"another's name": {"nobody", nil, nil, "no finger is enrolled"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reader{Address: address, User: tt.user}
			var told []string
			err := r.Verify(t.Context(), func(s string) {
				told = append(told, s)
				if len(told) <= len(tt.scans) {
					m.Scan(tt.scans[len(told)-1])
				}
			})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(tt.told, told); diff != "" {
				t.Error(diff)
			}
		})
	}
	m.Refuse("net.reactivated.fprint.device.verify")
	if err := r.Verify(t.Context(), nil); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "may not use") {
		t.Errorf("polkit refuses: %v", err)
	}
	m.Refuse("")
	ctx, cancel := context.WithCancel(t.Context())
	if err := r.Verify(ctx, func(string) { cancel() }); !fault.Is(err, fault.Denied) {
		t.Errorf("given up: %v", err)
	}
	if err := r.Verify(t.Context(), func(string) { m.Scan("SCAN mine") }); err != nil { // the reader is free again
		t.Error(err)
	}
	if err := r.Verify(t.Context(), func(string) { m.Stop() }); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("it ends meanwhile: %v", err)
	}
}

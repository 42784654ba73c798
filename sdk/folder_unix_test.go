//go:build unix

package sdk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/thumbturn/thumbturn/api"
)

// Where programs of ours can put something is no place of a service.
func TestSystemFolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := checkFolder(dir, false); err != nil {
		t.Fatal(err)
	}
	if _, err := checkFolder(dir, true); err == nil {
		t.Error("a folder of our own passes for a service's")
	}
	path := filepath.Join(dir, "device.pub")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if published(dir, f) {
		t.Error("a key of our own passes for a service's")
	}
	if _, err := deviceKey(api.Home{Device: dir, System: true}); err == nil {
		t.Error("and is read")
	}
}

func TestFindHomeOfUser(t *testing.T) {
	env := func(kv map[string]string) func(string) string { return func(k string) string { return kv[k] } }
	h, err := FindHome(env(map[string]string{"THUMBTURN_HOME": "/x", "HOME": "/home/a"}))
	if err != nil || h.System || !h.Custom || h.Run != "/x/run" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := os.Lstat(api.SystemHome(os.Geteuid()).Run); err == nil {
		t.Skip("*** SKIP: a system service serves this very user")
	}
	h, err = FindHome(env(map[string]string{"HOME": "/home/a"}))
	if err != nil || h.System || h.Data != "/home/a/.local/share/thumbturn" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := FindHome(env(nil)); err == nil {
		t.Error("a home from nothing")
	}
}

func TestFolderAllows(t *testing.T) {
	tests := []struct {
		name string
		f    folder
		uid  int
		want bool
	}{
		{"ourselves", folder{owner: 1000, me: 1000}, 1000, true},
		{"root's service manager", folder{owner: 1000, me: 1000}, 0, true},
		{"another user in our folder", folder{owner: 1000, me: 1000}, 1001, false},
		{"another user in root's folder", folder{owner: 0, me: 1000}, 1001, false},
		{"a service in its folder below root's", folder{owner: 990, me: 1000, rooted: true}, 990, true},
		{"a stranger in a service's folder", folder{owner: 990, me: 1000, rooted: true}, 991, false},
		{"an unrooted owner", folder{owner: 990, me: 1000}, 990, false},
		{"ourselves in a service's place", folder{owner: 990, me: 1000, rooted: true, system: true}, 1000, false},
		{"ourselves in root's place for a service", folder{owner: 0, me: 1000, rooted: true, system: true}, 1000, false},
		{"root on behalf of a service", folder{owner: 0, me: 1000, rooted: true, system: true}, 0, true},
		{"a service in its place", folder{owner: 990, me: 1000, rooted: true, system: true}, 990, true},
	}
	for _, tt := range tests {
		if got := tt.f.allows(tt.uid) == nil; got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestRooted(t *testing.T) {
	if rooted(t.TempDir()) {
		t.Error("a folder below a writable one counts as root's")
	}
	if !rooted("/") {
		t.Skip("/ does not belong to root here")
	}
}

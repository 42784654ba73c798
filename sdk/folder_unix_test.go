//go:build unix

package sdk

import "testing"

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

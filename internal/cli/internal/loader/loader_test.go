package loader

import "testing"

func TestIs(t *testing.T) {
	for name, want := range map[string]bool{"LD_PRELOAD": true, "DYLD_X": true, "NODE_OPTIONS": true, "PATH": true, "GIT_CONFIG_COUNT": true,
		"": false, "HOME": false, "LDFLAGS": false, "TOKEN": false} {
		if Is(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

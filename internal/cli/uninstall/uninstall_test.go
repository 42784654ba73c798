package uninstall

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestPlans(t *testing.T) {
	dir := t.TempDir()
	home := api.Home{Data: dir + "/data", Config: dir + "/config", Run: dir + "/run", Device: dir + "/device"}
	if err := os.Mkdir(home.Device, 0o700); err != nil {
		t.Fatal(err)
	}
	options := func(system string, out io.Writer) Options {
		return Options{OS: system, Plan: true, Executable: func() (string, error) { return "/opt/a/thumbturn", nil },
			Console: &console.Console{Out: out, Format: "human", Home: func() (api.Home, error) { return home, nil }}}
	}
	for _, tt := range []struct {
		os     string
		system bool
		want   []string
	}{
		{"linux", false, []string{"run:    thumbturn service uninstall\n", "keep:   " + home.Data + " (not there)\n", "keep:   " + home.Device + "\n"}},
		{"linux", true, []string{"sudo thumbturn service uninstall --system", "keep:   /var/lib/thumbturn"}},
		{"darwin", false, []string{"run:    thumbturn service uninstall\n"}},
	} {
		var out bytes.Buffer
		o := options(tt.os, &out)
		o.System = tt.system
		if err := Uninstall(o); err != nil {
			t.Fatal(err)
		}
		for _, w := range append(tt.want, "remove: /opt/a/thumbturnd", "keep:   the recovery code") {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s (system: %v) lacks %q:\n%s", tt.os, tt.system, w, out.String())
			}
		}
		for _, d := range []string{home.Data, home.Device, home.Config, "/var/"} {
			if strings.Contains(out.String(), "remove: "+d) {
				t.Errorf("%s (system: %v) removes %s:\n%s", tt.os, tt.system, d, out.String())
			}
		}
	}
	for _, o := range []Options{{OS: "plan9", Plan: true}, {OS: "darwin", Plan: true, System: true}, {OS: "linux"}} {
		with := options(o.OS, io.Discard)
		with.Plan, with.System = o.Plan, o.System
		if err := Uninstall(with); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

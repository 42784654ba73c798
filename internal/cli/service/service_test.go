package service

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func options(os string, out io.Writer) Options {
	return Options{Console: &console.Console{Out: out, Format: "human"}, OS: os, Plan: true,
		Executable: func() (string, error) { return "/opt/a & 50%/thumbturn", nil }}
}

func TestPlans(t *testing.T) {
	tests := []struct {
		os     string
		system bool
		want   []string
	}{
		{"linux", false, []string{"ListenStream=%t/thumbturn/thumbturn.sock", `ExecStart="/opt/a & 50%%/thumbturnd"`, "systemctl --user enable"}},
		{"linux", true, []string{"User=thumbturn-%i", "install -o root -g root -m 0755 '/opt/a & 50%/thumbturnd'", "SystemCallFilter=~ptrace"}},
		{"darwin", false, []string{"<string>/opt/a &amp; 50%/thumbturnd</string>", "launchctl bootstrap gui/"}},
		{"darwin", true, []string{"<key>UserName</key>", "launchctl bootstrap system"}},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		o := options(tt.os, &out)
		o.System = tt.system
		if err := Install(o); err != nil {
			t.Fatal(err)
		}
		for _, w := range tt.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s (system: %v) lacks %q:\n%s", tt.os, tt.system, w, out.String())
			}
		}
	}
}

func TestPlistsAreXML(t *testing.T) {
	for _, s := range append(darwinUser("/a<b"), darwinSystem("/a<b")...) {
		d := xml.NewDecoder(strings.NewReader(s.Text))
		for {
			_, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", s.Path, err)
			}
		}
	}
}

func TestOnlyPlans(t *testing.T) {
	o := options("linux", io.Discard)
	o.Plan = false
	if err := Install(o); fault.ExitCode(err) != 1 || !strings.Contains(err.Error(), "later release") {
		t.Errorf("got %v", err)
	}
	if err := Install(options("plan9", io.Discard)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestUninstallPlans(t *testing.T) {
	dir := t.TempDir()
	home := api.Home{Data: dir + "/data", Config: dir + "/config", Run: dir + "/run", Device: dir + "/device"}
	if err := os.Mkdir(home.Device, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		os     string
		system bool
		want   []string
	}{
		{"linux", false, []string{"run:    systemctl --user disable", "remove: ~/.config/systemd/user/thumbturn.socket"}},
		{"linux", true, []string{"sudo systemctl disable", "keep:   /var/lib/thumbturn"}},
		{"darwin", false, []string{"launchctl bootout gui/"}},
		{"darwin", true, []string{"launchctl bootout system/", "keep:   /var/thumbturn"}},
	} {
		var out bytes.Buffer
		o := options(tt.os, &out)
		o.System = tt.system
		o.Console.Home = func() (api.Home, error) { return home, nil }
		if err := Uninstall(o); err != nil {
			t.Fatal(err)
		}
		for _, w := range append(tt.want, "keep:   "+home.Data+" (not there)\n", "keep:   "+home.Device+"\n", "remove: /opt/a & 50%/thumbturnd") {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s (system: %v) lacks %q:\n%s", tt.os, tt.system, w, out.String())
			}
		}
		// What install writes is what uninstall removes, and no home is.
		steps, err := plan(tt.os, "/x/thumbturnd", tt.system)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Path != "" && !strings.Contains(out.String(), "remove: "+s.Path) {
				t.Errorf("%s (system: %v) leaves %s", tt.os, tt.system, s.Path)
			}
		}
		for _, d := range []string{home.Data, home.Device, home.Config, "/var/"} {
			if strings.Contains(out.String(), "remove: "+d) {
				t.Errorf("%s (system: %v) removes %s:\n%s", tt.os, tt.system, d, out.String())
			}
		}
	}
	o := options("linux", io.Discard)
	o.Plan = false
	if err := Uninstall(o); fault.ExitCode(err) != 1 || !strings.Contains(err.Error(), "later release") {
		t.Errorf("got %v", err)
	}
}

package service

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

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

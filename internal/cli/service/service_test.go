package service

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// machine records what is done to it.
type machine struct {
	absent string // a program that is not there
	fails  string // a command that fails
	users  map[string]bool
	did    []string
}

func (m *machine) host() Host {
	return Host{
		Find: func(program string) (string, error) {
			if program == m.absent {
				return "", exec.ErrNotFound
			}
			return "/usr/bin/" + program, nil
		},
		Run: func(_ context.Context, argv []string) error {
			m.did = append(m.did, strings.Join(argv, " "))
			if argv[0] == "useradd" {
				m.users[argv[len(argv)-1]] = true
			}
			if m.fails != "" && strings.Contains(strings.Join(argv, " "), m.fails) {
				return errors.New("exit status 1")
			}
			return nil
		},
		Exists: func(user string) bool { return m.users[user] },
		Write:  func(path, text string) error { m.did = append(m.did, "write "+path); return nil },
	}
}

// options are of user 1000, beside whose program lies a daemon in a folder with
// an awkward name.
func options(t *testing.T, os_ string, out io.Writer) (Options, *machine) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a & 50%")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "thumbturnd"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &machine{users: map[string]bool{}}
	env := map[string]string{"HOME": "/home/a", "SUDO_UID": "1000"}
	c := &console.Console{Out: out, Err: out, Format: "human", Yes: true, Getenv: func(k string) string { return env[k] }}
	return Options{Console: c, OS: os_, UID: 1000, Host: m.host(),
		Executable: func() (string, error) { return filepath.Join(dir, "thumbturn"), nil }}, m
}

func TestPlans(t *testing.T) {
	tests := []struct {
		os     string
		system bool
		want   []string
	}{
		{"linux", false, []string{"ListenStream=%t/thumbturn/thumbturn.sock", `a & 50%%/thumbturnd"`, "systemctl --user enable --now thumbturn.socket"}},
		{"linux", true, []string{"User=thumbturn-%i", "install -D -o root -g root -m 0755 '", "SystemCallFilter=~ptrace", "thumbturnd@1000.socket"}},
		{"darwin", false, []string{"a &amp; 50%/thumbturnd</string>", "launchctl bootstrap gui/1000 ~/Library/LaunchAgents/"}},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		o, m := options(t, tt.os, &out)
		o.System, o.Plan = tt.system, true
		if err := Install(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for _, w := range tt.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s (system: %v) lacks %q:\n%s", tt.os, tt.system, w, out.String())
			}
		}
		if len(m.did) > 0 {
			t.Errorf("a plan did %q", m.did)
		}
	}
}

// A machine with a TPM lets the service use it; the units are the same.
func TestPlanWithTPM(t *testing.T) {
	with, without := linuxSystem("/d", 1000, true), linuxSystem("/d", 1000, false)
	if len(with) != len(without)+1 || strings.Contains(systemService, chipDevice) {
		t.Fatalf("%d steps, %d without", len(with), len(without))
	}
	var out bytes.Buffer
	o, _ := options(t, "linux", &out)
	o.System, o.Plan, o.Host.Chip = true, true, func() bool { return true }
	if err := Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"write /etc/systemd/system/thumbturnd@.service.d/tpm.conf", "SupplementaryGroups=tss", "DevicePolicy=closed", "DeviceAllow=/dev/tpmrm0 rw"} {
		if !strings.Contains(out.String(), w) {
			t.Errorf("lacks %q:\n%s", w, out.String())
		}
	}
}

func TestPlistIsXML(t *testing.T) {
	for _, s := range darwinUser("/a<b", 501) {
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

// What is done is what was printed, in that order, and a second time does no harm.
func TestApply(t *testing.T) {
	system := []string{"write /etc/systemd/system/thumbturnd@.socket", "write /etc/systemd/system/thumbturnd@.service",
		"systemctl daemon-reload", "systemctl enable --now thumbturnd@1000.socket"}
	user := []string{"write /home/a/.config/systemd/user/thumbturn.socket", "write /home/a/.config/systemd/user/thumbturn.service",
		"systemctl --user daemon-reload", "systemctl --user enable --now thumbturn.socket"}
	add := "useradd --system --home-dir /var/lib/thumbturn/1000 --no-create-home --shell /usr/sbin/nologin thumbturn-1000"
	tests := []struct {
		name  string
		os    string
		do    func(context.Context, Options) error
		set   func(*Options, *machine)
		first []string // before all others; "install" stands for the copy of the daemon
		want  []string
	}{
		{"user", "linux", Install, func(o *Options, _ *machine) {}, nil, user},
		{"user, explicitly", "linux", Install, func(o *Options, _ *machine) { o.User = true }, nil, user},
		{"system through sudo", "linux", Install, func(o *Options, _ *machine) { o.System, o.UID = true, 0 }, []string{"install", add}, system},
		{"system for somebody", "linux", Install, func(o *Options, m *machine) { o.System, o.UID, o.For = true, 0, 1000 }, []string{"install", add}, system},
		{"system without a manager", "linux", Install, func(o *Options, m *machine) {
			o.System, o.UID, o.NoStart, m.absent = true, 0, true, "systemctl"
		}, []string{"install", add}, system[:2]},
		{"launchd", "darwin", Install, func(_ *Options, m *machine) { m.fails = "bootout" }, nil, []string{
			"write /home/a/Library/LaunchAgents/com.thumbturn.thumbturnd.plist", "launchctl bootout gui/1000/com.thumbturn.thumbturnd",
			"launchctl bootstrap gui/1000 /home/a/Library/LaunchAgents/com.thumbturn.thumbturnd.plist"}},
		{"uninstall system", "linux", Uninstall, func(o *Options, _ *machine) { o.System, o.UID = true, 0 }, nil, []string{
			"systemctl disable --now thumbturnd@1000.socket", "systemctl stop thumbturnd@1000.service", "rm -rf /run/thumbturn/1000"}},
		{"uninstall user", "linux", Uninstall, func(*Options, *machine) {}, nil, []string{
			"systemctl --user disable --now thumbturn.socket", "systemctl --user stop thumbturn.service",
			"rm -f /home/a/.config/systemd/user/thumbturn.socket /home/a/.config/systemd/user/thumbturn.service", "systemctl --user daemon-reload"}},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		o, m := options(t, tt.os, &out)
		tt.set(&o, m)
		for again := range 2 {
			m.did = nil
			if err := tt.do(t.Context(), o); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			want := append(append([]string{}, tt.first...), tt.want...)
			if again == 1 && len(tt.first) > 0 {
				want = append([]string{"install"}, tt.want...) // the user is there
			}
			for i, did := range m.did {
				if strings.HasPrefix(did, "install -D -o root -g root -m 0755 ") && strings.HasSuffix(did, "/thumbturnd /usr/local/libexec/thumbturnd") {
					m.did[i] = "install"
				}
			}
			if d := cmp.Diff(want, m.did); d != "" {
				t.Errorf("%s, time %d: %s", tt.name, again+1, d)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	tests := []struct {
		name string
		os   string
		set  func(*Options, *machine)
		kind fault.Kind
		want string // in error or hint
	}{
		{"system as yourself", "linux", func(o *Options, _ *machine) { o.System = true }, fault.Denied, "sudo "},
		{"user as root", "linux", func(o *Options, _ *machine) { o.UID = 0 }, fault.Usage, "--system"},
		{"both", "linux", func(o *Options, _ *machine) { o.System, o.User = true, true }, fault.Usage, "exclude"},
		{"somebody else's user service", "linux", func(o *Options, _ *machine) { o.For = 1001 }, fault.Usage, "--for goes with"},
		{"for nobody", "linux", func(o *Options, _ *machine) {
			o.System, o.UID, o.Console.Getenv = true, 0, func(string) string { return "" }
		}, fault.Usage, "--for UID"},
		{"for root", "linux", func(o *Options, _ *machine) {
			o.System, o.UID, o.Console.Getenv = true, 0, func(string) string { return "0" }
		}, fault.Usage, "--for UID"},
		{"for a negative user", "linux", func(o *Options, _ *machine) { o.System, o.UID, o.For = true, 0, -1 }, fault.Usage, "not root"},
		{"no service manager", "linux", func(_ *Options, m *machine) { m.absent = "systemctl" }, fault.Unavailable, "--no-start"},
		{"no daemon", "linux", func(o *Options, _ *machine) {
			o.Executable = func() (string, error) { return "/nowhere/thumbturn", nil }
		}, fault.Unavailable, "no thumbturnd"},
		{"nobody to confirm", "linux", func(o *Options, _ *machine) { o.Console.Yes, o.Console.Prompt = false, answer(nil) }, fault.Usage, "--yes"},
		{"no", "linux", func(o *Options, _ *machine) { no := false; o.Console.Yes, o.Console.Prompt = false, answer(&no) }, fault.Denied, "stopped"},
		{"system on macOS", "darwin", func(o *Options, _ *machine) { o.System, o.UID = true, 0 }, fault.Unavailable, "needs Linux"},
		{"another system", "plan9", func(*Options, *machine) {}, fault.Unavailable, "plan9"},
	}
	for _, tt := range tests {
		o, m := options(t, tt.os, io.Discard)
		tt.set(&o, m)
		err := Install(t.Context(), o)
		said := ""
		if e, ok := errors.AsType[*fault.Error](err); ok {
			said = e.Error() + " " + e.Hint
		}
		if fault.KindOf(err) != tt.kind || !strings.Contains(said, tt.want) || len(m.did) > 0 {
			t.Errorf("%s: %v (%s), did %q", tt.name, err, said, m.did)
		}
	}
}

// A step that fails ends it.
func TestFailure(t *testing.T) {
	o, m := options(t, "linux", io.Discard)
	m.fails = "daemon-reload"
	if err := Install(t.Context(), o); fault.KindOf(err) != fault.Unavailable || len(m.did) != 3 {
		t.Errorf("%v, did %q", err, m.did)
	}
}

// answer is a terminal where a question is answered; nil is none.
func answer(yes *bool) console.Prompter { return prompter{yes} }

type prompter struct{ yes *bool }

func (p prompter) IsTerminal() bool { return p.yes != nil }
func (prompter) Hidden(string) ([]byte, error) {
	return nil, errors.New("nobody asks for a secret here")
}
func (prompter) Line(string) (string, error)    { return "", errors.New("nobody asks for a line here") }
func (p prompter) Confirm(string) (bool, error) { return *p.yes, nil }

//go:build unix

package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/harden"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// folder makes a folder and files in it, each with its mode.
func folder(t *testing.T, mode os.FileMode, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// healthy is a machine on which nothing is wrong, with a fake daemon.
func healthy(t *testing.T, st api.Status) (Options, *sdktest.Server, *bytes.Buffer) {
	t.Helper()
	if err := harden.Process(); err != nil {
		t.Fatal(err)
	}
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		if c.Op == api.OpPIN {
			return []sdktest.Message{{Body: api.PIN{Known: true, TPM: api.TPM{Maker: "IFX", Limit: 32, Left: 32, Forgets: 600_000}}}}
		}
		if c.Op != api.OpStatus {
			t.Errorf("asked for %s", c.Op)
		}
		return []sdktest.Message{{Body: st}}
	})
	if err := os.Chmod(s.Home.Socket(), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := folder(t, 0o755, map[string]string{"thumbturn": "", "thumbturnd": ""})
	work := folder(t, 0o700, nil)
	var out bytes.Buffer
	o := Options{
		Console: &console.Console{Out: &out, Err: &out, Getenv: func(k string) string { return map[string]string{"PATH": bin}[k] },
			Home: func() (api.Home, error) { h := s.Home; h.Custom = false; return h, nil }},
		Version: "0.0.0", OS: "linux", Environ: []string{"PATH=" + bin},
		Dir:        func() (string, error) { return work, nil },
		Executable: func() (string, error) { return filepath.Join(bin, "thumbturn"), nil },
		Now:        time.Now, Built: func() time.Time { return time.Time{} },
		Running: func(ctx context.Context) (*sdk.Client, error) { return sdk.Dial(ctx, s.Home, sdk.Options{}) },
	}
	return o, s, &out
}

// notOK are the findings that are no ok, as "state check: text".
func notOK(found []Finding) []string {
	var out []string
	for _, f := range found {
		if f.State != OK {
			out = append(out, f.State.String()+" "+f.Check+": "+f.Text)
		}
	}
	return out
}

// lockable is how the lock is where logind is heard.
var lockable = api.AutoLock{After: 8 * 3600_000, On: []string{"suspend", "logout"}}

func TestHealthy(t *testing.T) {
	o, s, out := healthy(t, api.Status{State: "unlocked", Mode: "user", MemoryLock: true, Locks: lockable})
	o.Running = func(ctx context.Context) (*sdk.Client, error) { return sdk.Dial(ctx, s.Home, sdk.Options{}) }
	found := o.examine(t.Context())
	var bad []string
	for _, line := range notOK(found) {
		if !strings.HasPrefix(line, "problem home: the daemon keeps ") && !strings.HasPrefix(line, "warning memory: only ") {
			bad = append(bad, line)
		}
	}
	if len(bad) > 0 || len(found) < 10 {
		t.Errorf("%d findings: %q", len(found), bad)
	}
	if out.Len() != 0 {
		t.Errorf("examining printed %q", out)
	}
}

func TestJudge(t *testing.T) {
	home := api.Home{Data: "/h/data"}
	good := api.Status{State: "unlocked", Mode: "user", MemoryLock: true, Home: "/h/data", Locks: lockable}
	for _, tt := range []struct {
		name string
		st   func(*api.Status)
		want []string
	}{
		{"good", func(*api.Status) {}, nil},
		{"held", func(s *api.Status) { s.State, s.Held = "held", "rolled back" }, []string{"problem ledger: rolled back"}},
		{"another home", func(s *api.Status) { s.Home = "/other" }, []string{"problem home: the daemon keeps /other, this program looks at /h/data"}},
		{"test home", func(s *api.Status) { s.TestHome = true }, []string{"warning mode: user mode, test home"}},
		{"swap", func(s *api.Status) { s.MemoryLock = false }, []string{"warning memory: the daemon could not lock its memory: values may reach swap"}},
		{"no bus", func(s *api.Status) { s.Locks = api.AutoLock{After: 900_000, Why: "there is no system bus"} },
			[]string{"warning lock: the vaults lock only after 15m unused: there is no system bus"}},
		{"never", func(s *api.Status) { s.Locks.After = 0 }, []string{"warning lock: the vaults lock on suspend, logout only"}},
		{"never, no bus", func(s *api.Status) { s.Locks = api.AutoLock{Why: "there is no system bus"} },
			[]string{"warning lock: the vaults stay open until `thumbturn lock`: there is no system bus"}},
		{"no delay", func(s *api.Status) { s.Locks.Why = "sleep does not wait" }, []string{"warning lock: sleep does not wait"}},
	} {
		st := good
		tt.st(&st)
		if diff := cmp.Diff(tt.want, notOK(judge(st, home))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestDaemon(t *testing.T) {
	o, s, _ := healthy(t, api.Status{State: "locked", Mode: "user", MemoryLock: true, Locks: lockable})
	o.Version = "9.9.9"
	home, _ := o.Console.Home()
	if got := notOK(o.daemon(t.Context(), home)); len(got) != 2 || got[0] != "problem daemon: version 0.0.0 runs, this program is 9.9.9" {
		t.Errorf("another version: %q", got)
	}
	if err := os.Chmod(s.Home.Run, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := notOK(o.daemon(t.Context(), home)); len(got) != 1 || !strings.Contains(got[0], "the socket's folder can be written by others") {
		t.Errorf("an open folder: %q", got)
	}
	if err := os.Chmod(s.Home.Run, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.Home.Socket()); err != nil {
		t.Fatal(err)
	}
	if got := notOK(o.daemon(t.Context(), home)); got != nil {
		t.Errorf("not running: %q", got)
	}
	o.Executable = func() (string, error) {
		return filepath.Join(folder(t, 0o755, map[string]string{"thumbturn": ""}), "thumbturn"), nil
	}
	if got := notOK(o.daemon(t.Context(), home)); len(got) != 1 || !strings.Contains(got[0], "there is no thumbturnd beside") {
		t.Errorf("alone: %q", got)
	}
}

func TestHome(t *testing.T) {
	o, s, _ := healthy(t, api.Status{})
	h := s.Home
	h.Custom = false
	h.Data = filepath.Join(folder(t, 0o700, nil), "data") // as among the XDG places: not below the rest
	if err := os.Mkdir(h.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(h.Data, "db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mode := func(path string, m os.FileMode) func() {
		return func() {
			if err := os.Chmod(path, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := filepath.Join(h.Device, "link")
	for _, tt := range []struct {
		name     string
		do, undo func()
		want     []string
	}{
		{"as it should be", func() {}, func() {}, nil},
		{"open file", mode(file, 0o640), mode(file, 0o600), []string{"problem permissions: " + file + " is open to others (mode 0640)"}},
		{"open folder", mode(h.Config, 0o755), mode(h.Config, 0o700), []string{"problem permissions: " + h.Config + " is open to others (mode 0755)"}},
		{"the home itself", mode(h.Folder(), 0o755), mode(h.Folder(), 0o700),
			[]string{"problem permissions: " + h.Folder() + " is open to others (mode 0755)"}},
		{"the home itself, to all", mode(h.Folder(), 0o777), mode(h.Folder(), 0o700),
			[]string{"problem permissions: " + h.Folder() + " is open to others (mode 0777)"}},
		{"open above", mode(filepath.Dir(h.Data), 0o777), mode(filepath.Dir(h.Data), 0o700),
			[]string{"problem permissions: " + filepath.Dir(h.Data) + ", above the home, can be written by others (mode 0777)"}},
		{"group above", mode(filepath.Dir(h.Data), 0o770), mode(filepath.Dir(h.Data), 0o700),
			[]string{"warning permissions: " + filepath.Dir(h.Data) + ", above the home, can be written by others (mode 0770)"}},
		{"a link to nowhere", func() { _ = os.Symlink("/nonexistent/x", link) }, func() { _ = os.Remove(link) },
			[]string{"problem permissions: " + link + " cannot be examined"}},
	} {
		tt.do()
		if diff := cmp.Diff(tt.want, notOK(o.home(h))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		tt.undo()
	}
	h.Custom = true
	if got := notOK(o.home(h)); len(got) != 1 || !strings.HasPrefix(got[0], "warning home: THUMBTURN_HOME") {
		t.Errorf("a home from the environment: %q", got)
	}
	open := folder(t, 0o755, nil)
	empty := api.Home{Data: open + "/data", Config: open + "/config", Run: open + "/run", Device: open + "/device"}
	if got := notOK(o.home(empty)); len(got) != 1 || !strings.Contains(got[0], open+" is open to others") {
		t.Errorf("no home in an open folder: %q", got)
	}
	if got := o.home(api.Home{Data: "/nonexistent/a", Config: "/nonexistent/b", Run: "/nonexistent/c", Device: "/nonexistent/d"}); len(got) != 1 || got[0].State != OK {
		t.Errorf("no home: %v", got)
	}
}

func TestClock(t *testing.T) {
	o, s, _ := healthy(t, api.Status{})
	base := time.Unix(1_800_000_000, 0)
	file := filepath.Join(s.Home.Data, "db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(s.Home.Device, "device.pub"), s.Home.Socket()} {
		if err := os.Chtimes(path, base, base); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name       string
		now, built time.Duration
		want       State
	}{
		{"after all", time.Hour, -time.Hour, OK},
		{"the same moment", 0, 0, OK},
		{"before it was built", time.Hour, 2 * time.Hour, Problem},
		{"rounded", -2 * time.Second, -time.Hour, OK},
		{"before a file", -3 * time.Second, -time.Hour, Problem},
	} {
		o.Now = func() time.Time { return base.Add(tt.now) }
		o.Built = func() time.Time { return base.Add(tt.built) }
		if got := o.clock(s.Home); got.State != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestPath(t *testing.T) {
	o, _, _ := healthy(t, api.Status{})
	bin, _ := o.Executable()
	bin = filepath.Dir(bin)
	other := folder(t, 0o755, map[string]string{"thumbturn": ""})
	op := folder(t, 0o755, map[string]string{"op": ""})
	open := folder(t, 0o777, nil)
	none := folder(t, 0o755, map[string]string{"x": ""})
	same := folder(t, 0o755, nil)
	if err := os.Symlink(filepath.Join(bin, "thumbturn"), filepath.Join(same, "thumbturn")); err != nil {
		t.Fatal(err)
	}
	const list = string(filepath.ListSeparator)
	for _, tt := range []struct {
		name string
		path string
		want []string
	}{
		{"first", bin + list + other + list + op, nil},
		{"a link to it", same + list + other, nil},
		{"shadowed", other + list + bin, []string{"problem PATH: another thumbturn is found first: " + other + "/thumbturn"}},
		{"an op before", op + list + bin, []string{"warning PATH: an op is found before this program: " + op + "/op"}},
		{"nowhere", none, []string{"warning PATH: this program is not found in PATH"}},
		{"no PATH", "", []string{"warning PATH: this program is not found in PATH"}},
		{"open to all", bin + list + open, []string{"problem PATH: everybody can put programs into " + open}},
		{"relative and empty", "bin" + list + bin + list, []string{
			"warning PATH: entry 1 is not absolute: what it means depends on the working directory",
			"warning PATH: entry 3 is not absolute: what it means depends on the working directory"}},
	} {
		o.Console.Getenv = func(string) string { return tt.path }
		if diff := cmp.Diff(tt.want, notOK(o.path())); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// The whole command: status, both formats, and no value anywhere.
func TestRun(t *testing.T) {
	const canary = "sk_live_canary4242fox"
	o, _, out := healthy(t, api.Status{State: "unlocked", Mode: "user", MemoryLock: true, Locks: lockable})
	work, _ := o.Dir()
	if err := os.WriteFile(filepath.Join(work, ".env"), []byte("A=1\nSTRIPE="+canary+"\n"+canary+"=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Environ = append(o.Environ, "MY_TOKEN="+canary, canary+"="+canary)
	for _, format := range []string{"human", "json"} {
		out.Reset()
		o.Console.Format = format
		err := Run(t.Context(), o)
		if fault.ExitCode(err) != 1 || !strings.Contains(err.Error(), "1 of ") {
			t.Errorf("%s: %v", format, err) // the fake daemon's home is another one
		}
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s repeats a value:\n%s", format, out)
		}
		if !strings.Contains(out.String(), ".env looks like holding plaintext credentials: line 2 (STRIPE)") || !strings.Contains(out.String(), "MY_TOKEN") {
			t.Errorf("%s:\n%s", format, out)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s has colour", format)
		}
	}
	var report struct {
		OK       bool
		Findings []struct{ Check, State, Text, Hint string }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.OK || len(report.Findings) < 10 {
		t.Errorf("%+v, %v", report, err)
	}
	out.Reset()
	o.Console.Format, o.Console.OutIsTerminal = "human", true
	_ = Run(t.Context(), o)
	if !strings.Contains(out.String(), "\x1b[31mproblem \x1b[0m") || !strings.Contains(out.String(), "\x1b[32mok") {
		t.Errorf("no colour on a terminal:\n%s", out)
	}
}

func TestPlatforms(t *testing.T) {
	for system, want := range map[string]State{"linux": OK, "darwin": Warning, "windows": Problem, "plan9": Warning} {
		if got := (Options{OS: system}).platform(); len(got) != 1 || got[0].State != want {
			t.Errorf("%s: %v", system, got)
		}
	}
	if len(memory()) < 2 {
		t.Errorf("on %s: %v", runtime.GOOS, memory())
	}
}

func TestPage(t *testing.T) {
	for name, c := range map[string]struct {
		a    api.Approval
		want []string
	}{
		"none yet": {api.Approval{}, nil},
		"there":    {api.Approval{Page: "http://vault-x.localhost:2/", Desktop: "told of requests"}, []string{"page ok", "desktop ok"}},
		"taken":    {api.Approval{Why: "the port is taken"}, []string{"page problem"}},
	} {
		var got []string
		for _, f := range page(api.Status{Approval: c.a}) {
			got = append(got, f.Check+" "+map[State]string{OK: "ok", Problem: "problem", Warning: "warning"}[f.State])
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestChip(t *testing.T) {
	good := api.TPM{Limit: 32, Left: 32}
	for name, c := range map[string]struct {
		p     api.PIN
		mode  string
		here  bool
		state State
		hint  string
	}{
		"none":                 {api.PIN{TPM: api.TPM{Why: "no TPM 2.0"}}, "user", false, OK, ""},
		"not ours":             {api.PIN{TPM: api.TPM{Why: "no TPM 2.0"}}, "user", true, OK, "group tss"},
		"not ours, system":     {api.PIN{TPM: api.TPM{Why: "no TPM 2.0"}}, "system", true, OK, "service install --system"},
		"set, and not to hand": {api.PIN{Set: true, Here: true, TPM: api.TPM{Why: "no TPM 2.0"}}, "system", true, Warning, "service install --system"},
		"there":                {api.PIN{Known: true, TPM: good}, "user", true, OK, ""},
		"set":                  {api.PIN{Known: true, Set: true, Here: true, TPM: good}, "user", true, OK, ""},
		"lost":                 {api.PIN{Known: true, Set: true, TPM: good}, "user", true, Warning, "thumbturn pin set"},
		"locked out":           {api.PIN{Known: true, Set: true, Here: true, TPM: api.TPM{Failures: 32, Limit: 32, Locked: true}}, "user", true, Warning, "approve another way"},
	} {
		if f := chip(c.p, c.mode, c.here); f.State != c.state || !strings.Contains(f.Hint, c.hint) || c.hint == "" && f.Hint != "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

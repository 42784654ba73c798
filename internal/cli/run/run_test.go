//go:build unix

package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shim"
	"github.com/thumbturn/thumbturn/internal/mask"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// helperMark makes this test program be thumbturn with the one command run.
const helperMark = "RUN_TEST_HELPER"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shim.Command {
		os.Exit(shim.Main(os.Args[2:]))
	}
	if os.Getenv(helperMark) != "" {
		os.Exit(helper())
	}
	os.Exit(m.Run())
}

func helper() int {
	home := func() (api.Home, error) { return api.FindHome(os.Getenv) }
	c := &console.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Home: home,
		Dial: func(ctx context.Context) (*sdk.Client, error) {
			h, err := home()
			if err != nil {
				return nil, err
			}
			return sdk.Dial(ctx, h, sdk.Options{})
		}}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, helperMark+"=") })
	root := &cobra.Command{Use: "thumbturn", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(New(Options{Console: c, Environ: env, Dir: os.Getwd, Exit: os.Exit}))
	root.SetArgs(os.Args[1:])
	return console.Fail(os.Stderr, false, root.ExecuteContext(context.Background()))
}

// vault answers releases from a map.
func vault(values map[string]string) func(sdktest.Call) []sdktest.Message {
	return func(c sdktest.Call) []sdktest.Message {
		var w api.Want
		c.Into(quiet{}, &w)
		var out [][]byte
		for _, r := range w.Refs {
			v, ok := values[r]
			if !ok {
				return []sdktest.Message{{Error: &api.Error{Kind: "not-found", Op: "release", Ref: r, Msg: "no such item"}}}
			}
			out = append(out, []byte(v))
		}
		return []sdktest.Message{{Body: api.Released{Receipt: 1}, Values: out}}
	}
}

// quiet is the testing.TB of calls that are not the test's own.
type quiet struct{ testing.TB }

func (quiet) Helper()               {}
func (quiet) Errorf(string, ...any) {}

// command is `thumbturn run` with args, before it is started.
func command(t *testing.T, s *sdktest.Server, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"run"}, args...)...)
	home := "/nonexistent/thumbturn"
	if s != nil {
		home = filepath.Dir(s.Home.Data)
	}
	cmd.Env = append([]string{helperMark + "=1", "GOCOVERDIR=" + t.TempDir(), "THUMBTURN_HOME=" + home, "PATH=" + os.Getenv("PATH")}, env...)
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

type result struct {
	out, err string
	state    *os.ProcessState
}

func (r result) code() int { return r.state.ExitCode() }

func (r result) signal() syscall.Signal {
	if ws := r.state.Sys().(syscall.WaitStatus); ws.Signaled() {
		return ws.Signal()
	}
	return 0
}

func thumbturn(t *testing.T, s *sdktest.Server, env []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := command(t, s, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal("did not run")
	}
	return result{out.String(), errs.String(), cmd.ProcessState}
}

// oneSecret is a server with op://v/i/f, and the environment that asks for it.
func oneSecret(t *testing.T) (*sdktest.Server, []string) {
	t.Helper()
	return sdktest.Start(t, vault(map[string]string{"op://v/i/f": "hunter2-hunter2"})), []string{"TOKEN=op://v/i/f"}
}

func want(t *testing.T, s *sdktest.Server) api.Want {
	t.Helper()
	calls := s.Calls()
	if len(calls) != 1 || calls[0].Op != api.OpRelease {
		t.Fatalf("calls: %+v", calls)
	}
	var w api.Want
	calls[0].Into(t, &w)
	return w
}

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEnvironmentOfTheProgram(t *testing.T) {
	s := sdktest.Start(t, vault(map[string]string{
		"op://v/i/user": "alice", "op://v/i/pass": "s3cret-s3cret", "op://v/i/last": "from-the-last-file"}))
	one := write(t, "one.env", "A=op://v/i/none\nB=op://v/i/last\nC='plain $HOME'\n", 0o600)
	two := write(t, "two.env", "A=op://v/i/last\nEMPTY=\n", 0o600)
	seen := filepath.Join(t.TempDir(), "seen")
	r := thumbturn(t, s, []string{"A=inherited", "DB=postgres://{{op://v/i/user}}:{{ op://v/i/pass }}@db/x", "KEEP={{ \"x\" }} as it is"},
		"--env-file", one, "--env-file", two, "--purpose", "TICKET-1", "--timeout", "90s", "--", "sh", "-c", `env > "$1"`, "sh", seen)
	if r.code() != 0 {
		t.Fatalf("%d: %s", r.code(), r.err)
	}
	b, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"A=from-the-last-file", "B=from-the-last-file", "C=plain $HOME", "EMPTY=",
		"DB=postgres://alice:s3cret-s3cret@db/x", `KEEP={{ "x" }} as it is`} {
		if !strings.Contains("\n"+string(b), "\n"+line+"\n") {
			t.Errorf("no %q in %q", line, b)
		}
	}
	w := want(t, s)
	if diff := cmp.Diff([]string{"op://v/i/last", "op://v/i/user", "op://v/i/pass"}, w.Refs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"A", "B", "DB"}, w.Names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(api.Ask{Purpose: "TICKET-1", Timeout: 90_000}, w.Ask); diff != "" {
		t.Error(diff)
	}
	dir, _ := os.Getwd()
	p := w.Program
	if w.Sink != "handoff" || w.Agent || len(p.Hash) != 64 || filepath.Base(p.Path) != "sh" || !filepath.IsAbs(p.Path) || p.Dir != dir {
		t.Errorf("%+v", w)
	}
	if !strings.Contains(r.err, "op://v/i/user is shorter than 6 bytes") || strings.Contains(r.err, "alice") {
		t.Errorf("stderr %q", r.err)
	}
}

func TestNothingStartsUnlessAllResolve(t *testing.T) {
	s := sdktest.Start(t, vault(map[string]string{"op://v/i/f": "hunter2-hunter2", "op://v/i/nul": "a\x00bcdefgh"}))
	mark := filepath.Join(t.TempDir(), "mark")
	for _, c := range []struct {
		env  []string
		code int
		says string
	}{
		{[]string{"A=op://v/i/f", "B=op://v/i/none"}, 1, "op://v/i/none"},
		{[]string{"A=op://v/i/f", "B=op://v"}, 2, "B: invalid secret reference"},
		{[]string{"A=op://v/i/nul"}, 2, "op://v/i/nul: the value has a NUL byte"},
	} {
		r := thumbturn(t, s, c.env, "--", "touch", mark)
		if r.code() != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%v: status %d, %q", c.env, r.code(), r.err)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("%v: it started", c.env)
		}
	}
}

func TestErrorsOfTheDaemon(t *testing.T) {
	for kind, code := range map[string]int{"denied": 3, "locked": 4, "not-found": 1, "usage": 2} {
		s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
			return []sdktest.Message{{Error: &api.Error{Kind: kind, Op: "release", Msg: "no"}}}
		})
		if r := thumbturn(t, s, []string{"A=op://v/i/f"}, "--", "true"); r.code() != code {
			t.Errorf("%s: %d", kind, r.code())
		}
	}
	if r := thumbturn(t, nil, []string{"A=op://v/i/f"}, "--", "true"); r.code() != 1 {
		t.Errorf("no daemon: %d, %q", r.code(), r.err)
	}
}

func TestParkedRequest(t *testing.T) {
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		var w api.Want
		c.Into(t, &w)
		if w.NoWait {
			return []sdktest.Message{{Error: &api.Error{Kind: "pending", Op: "release", Ref: "req1"}}}
		}
		return []sdktest.Message{
			{More: true, Body: api.Waiting{Request: w.Request, Code: "AB12"}},
			{Body: api.Released{Receipt: 1, Request: w.Request}, Values: [][]byte{[]byte("hunter2-hunter2")}}}
	})
	r := thumbturn(t, s, []string{"A=op://v/i/f"}, "--no-wait", "--", "echo", "hi")
	if r.code() != 5 || r.out != "req1\n" {
		t.Errorf("%d %q %q", r.code(), r.out, r.err)
	}
	r = thumbturn(t, s, []string{"A=op://v/i/f"}, "--request", "req1", "--", "echo", "hi")
	if r.code() != 0 || r.out != "hi\n" || !strings.Contains(r.err, "req1 (code AB12)") {
		t.Errorf("%d %q %q", r.code(), r.out, r.err)
	}
}

func TestStatus(t *testing.T) {
	s, env := oneSecret(t)
	dir := t.TempDir()
	noInterpreter := write(t, filepath.Join(dir, "lost"), "#!/nonexistent/sh\n", 0o755)
	plain := write(t, filepath.Join(dir, "plain"), "echo hi\n", 0o644)
	binary := write(t, filepath.Join(dir, "junk"), "\x01\x02\x03", 0o755)
	for _, c := range []struct {
		args   []string
		code   int
		signal syscall.Signal
	}{
		{[]string{"true"}, 0, 0},
		{[]string{"sh", "-c", "exit 3"}, 3, 0},
		{[]string{"sh", "-c", "kill -9 $$"}, -1, syscall.SIGKILL},
		{[]string{"sh", "-c", "kill -TERM $$"}, -1, syscall.SIGTERM},
		{[]string{"sh", "-c", "kill -INT $$"}, -1, syscall.SIGINT},
		{[]string{"sh", "-c", "kill -USR1 $$"}, 128 + int(syscall.SIGUSR1), 0},
		{[]string{"no-such-program-here"}, 127, 0},
		{[]string{"/nonexistent/x"}, 127, 0},
		{[]string{dir}, 126, 0},
		{[]string{plain}, 126, 0},
		{[]string{noInterpreter}, 126, 0},
		{[]string{binary}, 126, 0},
	} {
		for _, e := range [][]string{env, nil} {
			if e == nil && (c.args[0] == noInterpreter || c.code > 128) {
				continue // then the system itself decides
			}
			r := thumbturn(t, s, e, append([]string{"--"}, c.args...)...)
			if r.code() != c.code || r.signal() != c.signal {
				t.Errorf("%v with %v: %v, want %d %v; %s", c.args, e, r.state, c.code, c.signal, r.err)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"true"}, {"--"}, {"true", "--", "x"}, {"--no-such", "--", "true"}, {"--no-masking"},
		{"--env-file", "/nonexistent", "--", "true"}} {
		if r := thumbturn(t, nil, nil, args...); r.code() != 2 && !strings.Contains(r.err, "unknown flag") {
			t.Errorf("%v: %d %q", args, r.code(), r.err)
		}
	}
}

func TestMasking(t *testing.T) {
	s, env := oneSecret(t)
	// One byte at a time, and encoded.
	r := thumbturn(t, s, env, "--", "sh", "-c",
		`printf 'a %s b\n' "$TOKEN" | dd bs=1 2>/dev/null; printf %s "$TOKEN" | base64; printf %s "$TOKEN" >&2`)
	if want := "a " + mask.Replacement + " b\n" + mask.Replacement + "\n"; r.out != want {
		t.Errorf("stdout %q", r.out)
	}
	if r.err != mask.Replacement {
		t.Errorf("stderr %q", r.err)
	}
}

func TestWithoutReferences(t *testing.T) {
	s := sdktest.Start(t, vault(nil))
	f := write(t, "x.env", "X={{ \"op://text\" }}\n", 0o600)
	cmd := command(t, s, []string{"A=b"}, "--env-file", f, "--", "sh", "-c", `echo $$ $A "$X"`)
	out, err := cmd.Output()
	if err != nil || string(out) != fmt.Sprintf("%d b op://text\n", cmd.Process.Pid) {
		t.Errorf("%q, %v; pid %d", out, err, cmd.Process.Pid)
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("asked: %v", calls)
	}
}

func TestProgramChanges(t *testing.T) {
	const script = "#!/bin/sh\necho started\n"
	for name, change := range map[string]func(path string) error{
		"written": func(p string) error { return os.WriteFile(p, []byte("#!/bin/sh\necho staRted\n"), 0o755) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+"2", []byte(script), 0o755), os.Rename(p+"2", p))
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "prog", script, 0o755)
			s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
				if err := change(path); err != nil {
					t.Error(err)
				}
				return vault(map[string]string{"op://v/i/f": "hunter2-hunter2"})(c)
			})
			r := thumbturn(t, s, []string{"A=op://v/i/f"}, "--", path)
			if r.code() != 1 || r.out != "" || !strings.Contains(r.err, "changed after the values were asked for") {
				t.Errorf("%d %q %q", r.code(), r.out, r.err)
			}
		})
	}
}

func TestScript(t *testing.T) {
	s, env := oneSecret(t)
	path := write(t, "prog", "#!/usr/bin/env sh\necho $1\n", 0o755)
	r := thumbturn(t, s, env, "--", path, "x")
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	p := want(t, s).Program
	if r.out != "x\n" || p.Path != path || p.Interpreter != sh || len(p.IntHash) != 64 || p.Hash == p.IntHash || !p.Writable {
		t.Errorf("%q %q %+v", r.out, r.err, p)
	}
}

func TestAgent(t *testing.T) {
	s, env := oneSecret(t)
	path := write(t, "claude", "#!/bin/sh\necho hi\n", 0o755)
	r := thumbturn(t, s, env, "--", path)
	if !want(t, s).Agent || !strings.Contains(r.err, "claude is an agent: it would hold the values itself") || r.out != "hi\n" {
		t.Errorf("%q %q", r.out, r.err)
	}
}

// TestStreams starts programs that treat their streams badly; none may hang
// the run, and nothing that was printed may be lost.
func TestStreams(t *testing.T) {
	s, env := oneSecret(t)
	t.Run("closes early", func(t *testing.T) {
		t.Parallel()
		if r := thumbturn(t, s, env, "--", "sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 4"); r.code() != 4 {
			t.Errorf("%v %q", r.state, r.err)
		}
	})
	t.Run("leaves a child", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		r := thumbturn(t, s, env, "--", "sh", "-c", "sleep 30 & echo $!; exit 6")
		pid, err := strconv.Atoi(strings.TrimSpace(r.out))
		if err != nil {
			t.Fatalf("%q %q", r.out, r.err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
		if took := time.Since(began); r.code() != 6 || took > 15*time.Second {
			t.Errorf("%v after %v", r.state, took)
		}
	})
	t.Run("leaves a child that prints", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		r := thumbturn(t, s, env, "--", "sh", "-c", "while echo x; do sleep 0.01; done & exit 8")
		if took := time.Since(began); r.code() != 8 || took > 15*time.Second {
			t.Errorf("%v after %v", r.state, took)
		}
	})
	t.Run("slow reader", func(t *testing.T) {
		t.Parallel()
		const size = 140_000 // what two pipes and a buffer hold: the program ends long before its reader goes on
		cmd := command(t, s, env, "--", "head", "-c", strconv.Itoa(size), "/dev/zero")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(&slow{r: out, pause: grace + 500*time.Millisecond})
		if err != nil || len(b) != size || cmd.Wait() != nil {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
	t.Run("reader leaves", func(t *testing.T) {
		t.Parallel()
		cmd := command(t, s, env, "--", "sh", "-c", "trap '' PIPE; while echo yes; do :; done 2>/dev/null; exit 9")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, 10))
		out.Close()
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 9 {
			t.Error(cmd.ProcessState)
		}
	})
	t.Run("stdin", func(t *testing.T) {
		t.Parallel()
		cmd := command(t, s, env, "--", "cat")
		cmd.Stdin = strings.NewReader("given")
		if b, err := cmd.Output(); string(b) != "given" {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("never reads stdin", func(t *testing.T) {
		t.Parallel()
		cmd := command(t, s, env, "--", "true")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		cmd.Stdin = r
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
	})
}

// slow pauses once, before the first read that is not the first.
type slow struct {
	r     io.Reader
	pause time.Duration
	reads atomic.Int32
}

func (s *slow) Read(b []byte) (int, error) {
	if s.reads.Add(1) == 2 {
		time.Sleep(s.pause)
	}
	return s.r.Read(b)
}

func TestSignalsArePassedOn(t *testing.T) {
	s, env := oneSecret(t)
	for _, sig := range []struct {
		name string
		n    syscall.Signal
	}{{"TERM", syscall.SIGTERM}, {"HUP", syscall.SIGHUP}, {"USR1", syscall.SIGUSR1}, {"INT", syscall.SIGINT}} {
		t.Run(sig.name, func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(sig.n) {
				t.Skip("SKIP: who started the tests ignores the signal (nohup), and no shell can trap it then")
			}
			cmd := command(t, s, env, "--", "sh", "-c", "trap 'echo got; exit 7' "+sig.name+"; echo ready; while :; do sleep 0.05; done")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal: ours are not typed
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig.n); err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(out)
			if _ = cmd.Wait(); string(b) != "got\n" || cmd.ProcessState.ExitCode() != 7 {
				t.Errorf("%q, %v", b, cmd.ProcessState)
			}
		})
	}
}

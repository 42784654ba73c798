//go:build unix

package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// inProject is a project directory, without symbolic links, with that file and
// a subdirectory sub.
func inProject(t *testing.T, text string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".thumbturn.toml"), text, 0o644)
	return dir
}

// at runs thumbturn in a directory; the project's directory is its home.
func at(t *testing.T, s *sdktest.Server, home, dir string, env []string, args ...string) result {
	t.Helper()
	cmd := command(t, s, append([]string{"HOME=" + home, "PWD=" + dir}, env...), args...)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal("did not run")
	}
	return result{out.String(), errs.String(), cmd.ProcessState}
}

const projectFile = `[env]
A = "project"
B = "project"
C = "project"
D = "project"
TOKEN = "op://v/i/f"
LITERAL = "{{ \"op://x\" }}"

[tasks.show]
argv = ["sh", "-c", "echo $A $B $C $D $LITERAL; pwd; echo $PWD; test \"$TOKEN\" = hunter2-hunter2 || echo none"]
dir = "sub"
purpose = "show it"
env = { B = "task", C = "task", D = "task" }

[tasks.here]
argv = ["./script", "x y"]
`

func TestTask(t *testing.T) {
	s, _ := oneSecret(t)
	dir := inProject(t, projectFile)
	sub := filepath.Join(dir, "sub")
	write(t, filepath.Join(sub, "env"), "D=file\n", 0o600)
	// From below the project; the env file is named as seen from there.
	r := at(t, s, dir, sub, []string{"C=environment"}, "--task", "show", "--env-file", "env")
	if want := "project task environment file op://x\n" + sub + "\n" + sub + "\n"; r.code() != 0 || r.out != want {
		t.Errorf("%d %q %q, want %q", r.code(), r.out, r.err, want)
	}
	w := want(t, s)
	if w.Purpose != "show it" || w.Program.Dir != sub || w.Program.Argv[0] != "sh" || len(w.Program.Argv) != 3 {
		t.Errorf("%+v", w)
	}
	if diff := cmp.Diff([]string{"TOKEN"}, w.Names); diff != "" {
		t.Error(diff)
	}
}

func TestTaskRunsWhereTheFileIs(t *testing.T) {
	s, _ := oneSecret(t)
	dir := inProject(t, projectFile)
	write(t, filepath.Join(dir, "script"), "#!/bin/sh\necho \"$1\"; pwd\n", 0o755)
	r := at(t, s, dir, filepath.Join(dir, "sub"), nil, "--task", "here", "--purpose", "mine")
	if r.code() != 0 || r.out != "x y\n"+dir+"\n" {
		t.Errorf("%d %q %q", r.code(), r.out, r.err)
	}
	if w := want(t, s); w.Purpose != "mine" || w.Program.Path != filepath.Join(dir, "script") {
		t.Errorf("%+v", w)
	}
}

// A plain run means the same everywhere.
func TestProjectOnlyOnRequest(t *testing.T) {
	s, _ := oneSecret(t)
	dir := inProject(t, projectFile)
	const script = `echo "$A|$TOKEN"; pwd`
	if r := at(t, s, dir, dir, nil, "--", "sh", "-c", script); r.code() != 0 || r.out != "|\n"+dir+"\n" || len(s.Calls()) != 0 {
		t.Errorf("%d %q %q", r.code(), r.out, r.err)
	}
	sub := filepath.Join(dir, "sub")
	r := at(t, s, dir, sub, []string{"A=environment"}, "--project", "--", "sh", "-c", script)
	if r.code() != 0 || r.out != "environment|<concealed by Thumbturn>\n"+sub+"\n" {
		t.Errorf("%d %q %q", r.code(), r.out, r.err)
	}
	if w := want(t, s); w.Purpose != "" {
		t.Errorf("%+v", w)
	}
}

func TestTaskRefused(t *testing.T) {
	const loaders = "[env]\nLD_PRELOAD='x'\n[tasks.t]\nargv=['true']\nenv={NODE_OPTIONS='y'}\n"
	link := func(dir string) {
		if err := os.Symlink("/", filepath.Join(dir, "out")); err != nil {
			t.Fatal(err)
		}
	}
	open := func(dir string) {
		if err := os.Chmod(filepath.Join(dir, ".thumbturn.toml"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		file string
		do   func(dir string)
		args string
		code int
		want string
	}{
		{projectFile, nil, "--task show more", 2, "takes no arguments"},
		{projectFile, nil, "--task show -- more", 2, "takes no arguments"},
		{projectFile, nil, "--task=", 2, "wants the name of a task"},
		{projectFile, nil, "--task shwo", 1, `has no task "shwo"`},
		{projectFile, nil, "--task there", 1, `did you mean "here"?`},
		{projectFile, nil, "--task nothing", 1, "it has: show, here"},
		{projectFile, nil, "--task hero", 1, `did you mean "here"?`},
		{projectFile, nil, "--project", 2, "needs a command after --"},
		{projectFile, open, "--task show", 1, "everybody can write to it"},
		{projectFile, open, "--project -- true", 1, "everybody can write to it"},
		{"x=1", nil, "--task show", 2, `.thumbturn.toml:1:1: unknown key "x"`},
		{loaders, nil, "--task t", 2, ".thumbturn.toml:5:6: NODE_OPTIONS makes programs load or start other code"},
		{loaders, nil, "--task t", 2, ".thumbturn.toml:2:1: LD_PRELOAD makes"},
		{loaders, nil, "--project -- true", 2, "--allow-env LD_PRELOAD"},
		{"[tasks.t]\nargv=['true']\ndir='none'", nil, "--task t", 1, "does not exist"},
		{"[tasks.t]\nargv=['true']\ndir='out'", link, "--task t", 2, "leads out of the project"},
		{"[tasks.t]\nargv=['no-such-program-here']", nil, "--task t", 127, "command not found"},
	} {
		dir := inProject(t, tt.file)
		if tt.do != nil {
			tt.do(dir)
		}
		if r := at(t, nil, dir, dir, nil, strings.Fields(tt.args)...); r.code() != tt.code || !strings.Contains(r.err, tt.want) || r.out != "" {
			t.Errorf("%q %s: %d %q", tt.file, tt.args, r.code(), r.err)
		}
	}
	empty := t.TempDir()
	if r := at(t, nil, empty, empty, nil, "--task", "t"); r.code() != 1 || !strings.Contains(r.err, "there is no .thumbturn.toml") {
		t.Errorf("%d %q", r.code(), r.err)
	}
	dir := inProject(t, loaders)
	if r := at(t, nil, dir, dir, nil, "--task", "t", "--allow-env", "LD_PRELOAD", "--allow-env", "NODE_OPTIONS"); r.code() != 0 {
		t.Errorf("allowed: %d %q", r.code(), r.err)
	}
}

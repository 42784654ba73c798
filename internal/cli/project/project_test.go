//go:build unix

package project

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
)

const example = `[env]
TOKEN = "op://dev/github/token"
URL = "https://{{ op://dev/web/user name }}:{{ op://dev/web/pass }}@h"
PASTED = "hunter2-hunter2"

[tasks.test]
argv = ["go", "test", "-run", "A B", "./..."]
dir = "backend"
purpose = "run the tests"
env = { DB = "op://dev/db/url" }

[[agents.needs]]
refs = ["op://dev/github/token"]
host = "api.github.com"
[[agents.needs]]
refs = ["op://dev/db/url"]
task = "test"
purpose = "tests"
`

// project runs a command in dir, or in a new directory with text as its file.
func project(t *testing.T, dir, text string, args ...string) (code int, out, errs string) {
	t.Helper()
	if text != "" {
		if err := os.WriteFile(filepath.Join(dir, ".thumbturn.toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var o, e bytes.Buffer
	c := &console.Console{Out: &o, Err: &e, Getenv: func(k string) string { return map[string]string{"HOME": dir}[k] }}
	if args[len(args)-1] == "json" {
		c.Format, args = "json", args[:len(args)-1]
	}
	cmd := New(Options{Console: c, Dir: func() (string, error) { return dir, nil }})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	code = console.Fail(&e, c.JSON(), cmd.ExecuteContext(t.Context()))
	cut := strings.NewReplacer(dir, "DIR")
	return code, cut.Replace(o.String()), cut.Replace(e.String())
}

func place(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestShow(t *testing.T) {
	dir := place(t)
	stamped := func(want, text string) string {
		d := canon.Hash(sha256.Sum256([]byte("thumbturn/project/v1\x00" + text)))
		return strings.NewReplacer("CODE", canon.ShortCode(d), "DIGEST", d.String()).Replace(want)
	}
	code, out, errs := project(t, dir, example, "show")
	want := `DIR/.thumbturn.toml
file CODE  (digest DIGEST)

variables, with thumbturn run --project
  TOKEN  op://dev/github/token
  URL  op://dev/web/user name  op://dev/web/pass
  PASTED  (plain text)

task test
  command    go test -run 'A B' ./...
  directory  DIR/backend
  purpose    run the tests
  variable   DB  op://dev/db/url

agents will need, for api.github.com
  op://dev/github/token

agents will need, for task test
  op://dev/db/url
  purpose    tests
`
	if diff := cmp.Diff(stamped(want, example), out); diff != "" || code != 0 || errs != "" {
		t.Errorf("%d %q\n%s", code, errs, diff)
	}
	code, out, _ = project(t, dir, "", "show", "json")
	wantJSON := `{
  "path": "DIR/.thumbturn.toml",
  "code": "CODE",
  "digest": "DIGEST",
  "refs": [
    "op://dev/github/token",
    "op://dev/web/user name",
    "op://dev/web/pass",
    "op://dev/db/url"
  ],
  "env": [`
	if code != 0 || !strings.HasPrefix(out, stamped(wantJSON, example)) || strings.Contains(out, "hunter2") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := project(t, dir, "# nothing\n", "show", "json"); code != 0 || out != stamped(
		"{\n  \"path\": \"DIR/.thumbturn.toml\",\n  \"code\": \"CODE\",\n  \"digest\": \"DIGEST\",\n  \"refs\": [],\n  \"env\": [],\n  \"tasks\": [],\n  \"needs\": []\n}\n", "# nothing\n") {
		t.Errorf("%d %s", code, out)
	}
}

func TestCheck(t *testing.T) {
	dir := place(t)
	for _, tt := range []struct {
		text, args string
		code       int
		out, err   string
	}{
		{"", "check", 1, "", "thumbturn: project: there is no .thumbturn.toml from here up to the home directory\nhint: docs/project.md tells what it holds\n"},
		{"[env]\nA='op://a/b/c'\n", "check", 0, "DIR/.thumbturn.toml is valid\n", ""},
		{"", "check json", 0, "{\n  \"path\": \"DIR/.thumbturn.toml\",\n  \"state\": \"valid\",\n  \"mistakes\": []\n}\n", ""},
		{"[env]\nA='op://a'\n[taks]\n", "check", 2,
			"DIR/.thumbturn.toml:2:3: invalid secret reference: too few '/': secret references should have at least vault, item and field specified\n" +
				"DIR/.thumbturn.toml:3:2: unknown key \"taks\" (did you mean \"tasks\"?)\n",
			"thumbturn: project DIR/.thumbturn.toml: mistakes: 2\n"},
		{"[tasks.t]\nargv=['a']\nenv={LD_PRELOAD='x'}\n", "check", 2,
			"DIR/.thumbturn.toml:3:6: LD_PRELOAD makes programs load or start other code (thumbturn run refuses it without --allow-env LD_PRELOAD)\n",
			"thumbturn: project DIR/.thumbturn.toml: mistakes: 1\n"},
		{"a=1", "check json", 2, "{\n  \"path\": \"DIR/.thumbturn.toml\",\n  \"state\": \"invalid\",\n  \"mistakes\": [\n    {\n      \"line\": 1,\n" +
			"      \"col\": 1,\n      \"msg\": \"unknown key \\\"a\\\"\",\n      \"hint\": \"known here: env, tasks, agents\"\n    }\n  ]\n}\n",
			"{\"error\":{\"kind\":\"usage\",\"op\":\"project\",\"ref\":\"DIR/.thumbturn.toml\",\"msg\":\"mistakes: 1\"}}\n"},
		{"", "show", 2, "", "thumbturn: DIR/.thumbturn.toml:1:1: unknown key \"a\"\nhint: see: thumbturn project check\n"},
		{"", "check none", 1, "", "thumbturn: project DIR/none: no such file or directory\n"},
	} {
		code, out, errs := project(t, dir, tt.text, strings.Fields(tt.args)...)
		if code != tt.code || out != tt.out || errs != tt.err {
			t.Errorf("%q %s: %d\n%s%s", tt.text, tt.args, code, out, errs)
		}
	}
	other := place(t)
	if err := os.WriteFile(filepath.Join(other, "x.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := project(t, dir, "", "check", filepath.Join(other, "x.toml")); code != 0 || !strings.HasSuffix(out, "x.toml is valid\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if err := os.Chmod(filepath.Join(dir, ".thumbturn.toml"), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := project(t, dir, "", "check"); code != 1 || !strings.Contains(errs, "chmod o-w") {
		t.Errorf("%d %s", code, errs)
	}
}

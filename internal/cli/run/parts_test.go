package run

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/loader"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var said bytes.Buffer
	o := Options{Console: &console.Console{Err: &said},
		Environ: []string{"A=1", "A=2", "B=inherited", "VAULT=prod", "R=op://v/i/{{", "=C:=x"},
		EnvFiles: []string{
			file("one", "B=first\nC=${B}-c\nD=op://$VAULT/i/f\nR=x\n"),
			file("two", "B=second\nE=$C.\nF=OP://prod/I/f\n"),
		}}
	env, err := o.environment()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"op://prod/i/f"}, env.spelled()); diff != "" {
		t.Error(diff)
	}
	got, err := env.resolved([][]byte{[]byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	// A name that stands twice counts once; $C is no key of the second file.
	if diff := cmp.Diff([]string{"=C:=x", "A=1", "B=second", "C=first-c", "D=v", "E=.", "F=v", "R=x", "VAULT=prod"}, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(said.String(), "two:2:3: variable is not set") {
		t.Errorf("said %q", said.String())
	}
	if _, err := env.resolved(nil); err == nil {
		t.Error("a missing value passed")
	}
}

func TestBadEnvironment(t *testing.T) {
	for text, says := range map[string]string{
		"A=1\n B\n":                               "env:2:2: no '='",
		"A=1\nX=op://v/i\n":                       "env:2:1: X: invalid secret reference",
		"A=op://me:hunter2@host/x/y\n":            "env:1:1: A: invalid secret reference",
		"A=1\nLD_PRELOAD=/x.so\nNODE_OPTIONS=y\n": "env:2:1: LD_PRELOAD makes programs",
	} {
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Options{Console: &console.Console{Err: &bytes.Buffer{}}, EnvFiles: []string{path}}.environment()
		e := console.Fault(err)
		if e == nil || e.Kind != fault.Usage || !strings.Contains(e.Error(), says) || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	names := []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "PYTHONSTARTUP", "PYTHONPATH",
		"PYTHONHOME", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB", "BASH_ENV", "ENV", "SHELLOPTS", "PROMPT_COMMAND",
		"GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "SSH_ASKPASS", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "GIT_CONFIG_COUNT",
		"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "EDITOR", "PAGER", "LESSOPEN", "GCONV_PATH", "IFS", "PATH"}
	for _, name := range names {
		if err := os.WriteFile(path, []byte("OK=1\n"+name+"=x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Console: &console.Console{Err: &bytes.Buffer{}}, EnvFiles: []string{path}, Environ: []string{name + "=y"}}
		_, err := o.environment()
		e := console.Fault(err)
		if e == nil || e.Kind != fault.Usage || !strings.Contains(e.Msg, ":2:1: "+name) || !strings.Contains(e.Hint, "--allow-env "+name) {
			t.Errorf("%s: %v", name, err)
		}
		o.AllowEnv = []string{"OTHER", name}
		if env, err := o.environment(); err != nil || env.get(name) != "x" {
			t.Errorf("%s allowed: %v", name, err)
		}
		o.EnvFiles = nil // inherited ones are not judged
		if env, err := o.environment(); err != nil || env.get(name) != "y" {
			t.Errorf("%s inherited: %v", name, err)
		}
	}
	for _, name := range []string{"HOME", "LDFLAGS", "NODE_ENV", "PYTHONUNBUFFERED", "TOKEN", "path"} {
		if loader.Is(name) && runtime.GOOS != "windows" {
			t.Errorf("%s is refused", name)
		}
	}
}

func TestHasScheme(t *testing.T) {
	for s, want := range map[string]bool{"": false, "op:/": false, "://": false, "p://": false, "op://": true, "OP://x": true,
		"http://a {{oP://b": true, "http://a://": false} {
		if got := hasScheme(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestInterpreterOf(t *testing.T) {
	for head, want := range map[string]struct {
		name     string
		fromPath bool
	}{
		"":                               {"", false},
		"\x7fELF":                        {"", false},
		"#!\n":                           {"", false},
		"#!/bin/sh":                      {"/bin/sh", false},
		"#! /bin/sh -eu\nx":              {"/bin/sh", false},
		"#!/usr/bin/env node\n":          {"node", true},
		"#!/usr/bin/env -S node --x\n":   {"node", true},
		"#!/usr/bin/env -Snode --x\n":    {"node", true},
		"#!/usr/bin/env -u A B=c deno\n": {"deno", true},
		"#!/usr/bin/env\n":               {"/usr/bin/env", false},
	} {
		name, fromPath := interpreterOf([]byte(head))
		if name != want.name || fromPath != want.fromPath {
			t.Errorf("%q: %q, %v", head, name, fromPath)
		}
	}
}

func TestAgentOf(t *testing.T) {
	for line, want := range map[string]string{
		"claude": "claude", "/opt/x/codex --yolo": "codex", "gemini": "gemini", "copilot -p x": "copilot", "opencode": "opencode",
		"qwen": "qwen", "cline": "cline", "pi": "pi", "cursor-agent": "cursor-agent", "aider": "aider", "goose": "goose", "amp": "amp",
		"Claude.exe": "claude",
		"node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js": "claude",
		"node /usr/bin/codex.js":                  "codex",
		"npx -y @openai/codex@latest exec":        "codex",
		"npx @google/gemini-cli":                  "gemini",
		"npx opencode-ai@1.2":                     "opencode",
		"python3 /home/u/.local/bin/aider":        "aider",
		"uvx --from aider-chat aider":             "aider",
		"env FOO=1 claude":                        "claude",
		"sh -c cd|/x;|FOO=1|exec|claude|--resume": "claude",
		"timeout 5 ssh pi@host":                   "",
		"node server.js --name claude":            "",
		"echo claude":                             "",
		"sh -c echo|claude":                       "",
		"git commit -m claude":                    "",
		"/home/claude/bin/deploy":                 "",
		"node /srv/claude/server.js":              "",
		"npm run codex-build":                     "",
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "|", " ")
		}
		p := &program{args: args, file: image{path: "/usr/bin/" + filepath.Base(args[0])}}
		got, ok := agentOf(p)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func TestFind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("PATH is read by the system's rules")
	}
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a/plain": 0o644, "b/plain": 0o755, "a/only": 0o644, "b/x": 0o755} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	p := &program{dir: dir, searchPath: strings.Join([]string{"", ".", "b/..", dir + "/none", dir + "/a", dir + "/b"}, ":")}
	for name, want := range map[string]string{"plain": dir + "/b/plain", "x": dir + "/b/x", "b/x": dir + "/b/x", "./b/x": dir + "/b/x",
		"only": "126", "none": "127", "": "127", "a": "127", "b/none": "127", "a/": "126"} {
		got, err := p.find(name)
		if e, ok := err.(*startError); ok {
			got = map[int]string{126: "126", 127: "127"}[e.status]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestHashFileIsCancelled(t *testing.T) {
	f, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(context.Background())
	if sum, err := hashFile(ctx, f, maxHashed+1); sum != "" || err != nil {
		t.Errorf("%q, %v", sum, err)
	}
	cancel()
	if _, err := hashFile(ctx, f, 10); err == nil {
		t.Error("went on")
	}
}

// The image that the daemon is told is another one for another file of the same
// content, and the same one for another path to the same file.
func TestProgramImage(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIP: no inodes")
	}
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	image := func(name string) (string, string, string) {
		p, err := locate([]string{filepath.Join(dir, name)}, "", dir)
		if err == nil {
			err = p.inspect()
		}
		if err == nil {
			err = p.hash(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		d := p.described()
		return d.Hash, d.File, d.IntFile
	}
	sumA, fileA, shell := image("a")
	sumB, fileB, _ := image("b")
	if _, fileC, _ := image("c"); fileA != fileC || fileA == fileB || sumA != sumB || fileA == "" || shell == "" {
		t.Errorf("a %s %s, b %s %s, c %s; shell %s", sumA, fileA, sumB, fileB, fileC, shell)
	}
}

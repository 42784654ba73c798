package project

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/thumbturn/thumbturn/ref"
)

const example = "\xef\xbb\xbf# a project\r\n" + `[env]
GITHUB_TOKEN = "op://dev/github/token"
DB = "postgres://{{ op://dev/my db/user }}:{{op://dev/db/pass}}@h"   # two
LOG_LEVEL = 'debug'
SPACES = "op://My Vault/an item/a field"
LITERAL = "{{ \"op://x\" }}"

[tasks.test]
argv = ["go", "test", "./..."]
purpose = "run the tests"
dir = "backend/api"
env = { A = "op://dev/a/b", B.C = "" }

[tasks."lint:all"]
argv = [
  "make", # no
  "lint",
]
[tasks."lint:all".env]
X = """
op://dev/github/token"""

[[agents.needs]]
refs = ["op://dev/github/token", "op://dev/github/user name"]
host = "api.github.com:443"
[[agents.needs]]
refs = ["op://dev/a/b"]
task = "test"
purpose = "tests"
`

func parseRef(s string) ref.Ref {
	r, err := ref.Parse(s)
	if err != nil {
		panic(err)
	}
	return r
}

func TestParse(t *testing.T) {
	in := strings.Replace(example, ", B.C = \"\"", ", B = \"\"", 1)
	got, err := Parse("p", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := File{Name: "p",
		Env: []Variable{
			{Name: "GITHUB_TOKEN", Value: "op://dev/github/token", Place: Place{3, 1}},
			{Name: "DB", Value: "postgres://{{ op://dev/my db/user }}:{{op://dev/db/pass}}@h", Place: Place{4, 1}},
			{Name: "LOG_LEVEL", Value: "debug", Place: Place{5, 1}},
			{Name: "SPACES", Value: "op://My Vault/an item/a field", Place: Place{6, 1}},
			{Name: "LITERAL", Value: `{{ "op://x" }}`, Place: Place{7, 1}},
		},
		Tasks: []Task{
			{Name: "test", Argv: []string{"go", "test", "./..."}, Purpose: "run the tests", Dir: "backend/api", Place: Place{9, 8},
				Env: []Variable{{Name: "A", Value: "op://dev/a/b", Place: Place{13, 9}}, {Name: "B", Place: Place{13, 29}}}},
			{Name: "lint:all", Argv: []string{"make", "lint"}, Place: Place{15, 8},
				Env: []Variable{{Name: "X", Value: "op://dev/github/token", Place: Place{21, 1}}}},
		},
		Needs: []Need{
			{Refs: []ref.Ref{parseRef("op://dev/github/token"), parseRef("op://dev/github/user name")}, Host: "api.github.com:443", Place: Place{24, 10}},
			{Refs: []ref.Ref{parseRef("op://dev/a/b")}, Task: "test", Purpose: "tests", Place: Place{27, 10}},
		}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Variable{})); diff != "" {
		t.Error(diff)
	}
	var refs []string
	for _, r := range got.Refs() {
		refs = append(refs, r.String())
	}
	wantRefs := []string{"op://dev/github/token", "op://dev/my db/user", "op://dev/db/pass", "op://My Vault/an item/a field",
		"op://dev/a/b", "op://dev/github/user name"}
	if diff := cmp.Diff(wantRefs, refs); diff != "" {
		t.Error(diff)
	}
	if _, ok := got.Task("lint"); ok || len(got.Variables()) != 8 {
		t.Errorf("%d variables", len(got.Variables()))
	}
	if len(got.Env[1].Refs()) != 2 || got.Env[2].Refs() != nil {
		t.Error("references of variables")
	}
}

// Every way to write the same.
func TestSpellings(t *testing.T) {
	want, err := Parse("", []byte("[tasks.t]\nargv = ['a']\n[tasks.t.env]\nA = '1'\n[[agents.needs]]\nrefs=['op://a/b/c']\ntask='t'"))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{
		"tasks.t.argv = [\"a\"]\ntasks.t.env.A = '1'\nagents.needs = [{refs=['op://a/b/c'], task='t'}]",
		"tasks = { t = { argv = ['''a'''], env = { A = \"\\u0031\" } } }\n[agents]\nneeds = [ {refs=['op://a/b/c'], task='t'}, ]",
		"[tasks.t.env]\nA='1'\n[tasks.t]\nargv=['a']\n[[agents.needs]]\ntask='t'\nrefs=['op://a/b/c']",
		"[tasks]\n[tasks.t]\nargv=['a']\nenv.A='1'\n[agents]\n[[agents.needs]]\ntask='t'\nrefs=['op://a/b/c']",
	} {
		got, err := Parse("", []byte(in))
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Variable{}), cmpopts.IgnoreTypes(Place{})); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", in, err, diff)
		}
	}
	for _, in := range []string{"", "\n", "# nothing\n", "[env]\n[tasks]\n[agents]\n", "agents.needs = []"} {
		if f, err := Parse("", []byte(in)); err != nil || len(f.Variables())+len(f.Tasks)+len(f.Needs) != 0 {
			t.Errorf("%q: %+v, %v", in, f, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	const ok = "argv=['a']\n"
	for _, tt := range []struct{ in, want string }{
		{"enf = 1", `1:1 unknown key "enf" (did you mean "env"?)`},
		{"[task.a]", `1:2 unknown key "task" (did you mean "tasks"?)`},
		{"x = 1", `1:1 unknown key "x" (known here: env, tasks, agents)`},
		{"[env]\nA = 1", "2:5 the value of a variable must be a string"},
		{"[env]\n A.B = '1'", "2:2 the value of a variable must be a string"},
		{"[env]\n'a b' = ''\n1A = ''", "2:1 not the name of a variable: letters, digits and '_', no digit in front | 3:1 not the name of a variable: letters, digits and '_', no digit in front"},
		{"[env]\nA = 'op://x/hunter2'", "2:5 invalid secret reference: too few '/': secret references should have at least vault, item and field specified"},
		{"[env]\nA = \"a\\u0000b\"", "2:5 the value has a NUL byte, which an environment variable cannot hold"},
		{"env = 'x'", "1:7 env must be a table"},
		{"[[env]]", "1:3 env must be a table"},
		{"[env]\nA=''\nA=''", `3:1 "A" is defined twice, or as something else before`},
		{"[env]\n[env]", `2:2 "env" is defined twice, or as something else before`},
		{"env.A=''\n[env]", `2:2 "env" is defined twice, or as something else before`},
		{"env={}\n[env.x]", `2:2 "env" is defined twice, or as something else before`},
		{"env={A='',A=''}", `1:11 "A" is defined twice, or as something else before`},
		{"[agents]\nneeds=[]\n[[agents.needs]]", `3:10 "needs" is defined twice, or as something else before`},
		{"[[agents.needs]]\n[agents.needs]", `2:9 "needs" is defined twice, or as something else before`},
		{"[tasks.t]\nargv='x'", "2:6 argv must be a list"},
		{"[tasks.t]\nargv=['x', 1]", "2:12 each item of argv must be a string"},
		{"[tasks.t]\nargv=[]", "2:1 argv names no program"},
		{"[tasks.t]\nargv=['']", "2:1 argv names no program"},
		{"[tasks.t]\nargv=['a',\"\\u0000\"]", "2:11 the argument has a NUL byte"},
		{"[tasks.t]\n", `1:8 the task has no argv (write argv = ["PROGRAM", "ARGUMENT"])`},
		{"[tasks.'t t']\n" + ok, "1:8 not the name of a task: letters, digits and - _ . : , at most 64"},
		{"tasks.t = 1", "1:11 a task must be a table"},
		{"[tasks.t]\n" + ok + "argz=[]", `3:1 unknown key "argz" (did you mean "argv"?)`},
		{"[tasks.t]\n" + ok + "args=[]", `3:1 args must be a string`},
		{"[tasks.t]\n" + ok + "args='some'", `3:6 args is "any" or "none"`},
		{"[tasks.t]\n" + ok + "dir='../x'", "3:5 dir must be inside the project (write it relative to the directory of this file)"},
		{"[tasks.t]\n" + ok + "dir='/x'", "3:5 dir must be inside the project (write it relative to the directory of this file)"},
		{"[tasks.t]\n" + ok + "purpose=\"a\\nb\"", "3:9 purpose must be one line of at most 200 bytes"},
		{"[tasks.t]\n" + ok + "purpose='" + strings.Repeat("x", 201) + "'", "3:9 purpose must be one line of at most 200 bytes"},
		{"[[agents.needs]]\nhost='a'", "1:10 the need names no refs"},
		{"[[agents.needs]]\nrefs=['op://a/b/c']", "1:10 the need does not say what for (add task or host)"},
		{"[[agents.needs]]\nrefs=['op://a', 'x']\nhost='a'", "2:7 invalid secret reference: too few '/': secret references should have at least vault, item and field specified | " +
			`2:17 invalid secret reference: secret reference is not prefixed with "op://"`},
		{"[[agents.needs]]\nrefs=['op://a/b/c']\nhost='A_b'", "3:6 not a host: lower-case letters, digits, '-' and '.', then a port after ':' or nothing"},
		{"[tasks.test]\n" + ok + "[[agents.needs]]\nrefs=['op://a/b/c']\ntask='tesst'", `5:6 no task of that name is in this file (did you mean "test"?)`},
		{"[agents]\nneed=[]", `2:1 unknown key "need" (did you mean "needs"?)`},
		{"[agents]\nneeds=['a']", "2:8 a need must be a table"},
		{"[agents.needs]", "1:9 needs must be a list"},
		{"[env\nA=''", "1:5 expected ']' to close table name"},
		{"[env]\nA = bare", "2:5 unexpected character U+0062 'b' at start of value"},
		{"[env]\nA = 'open\n", "2:10 literal strings cannot have new lines"},
		{"[env]\nA = 'x' B = 'y'", "2:9 expected newline but got U+0042 'B'"},
		{"[env]\nA = '\xff'", "2:6 not UTF-8 text"},
		{strings.Repeat("#", MaxSize+1), "1:1 the file is larger than 64 KiB"},
	} {
		f, err := Parse("p", []byte(tt.in))
		errs, ok := errors.AsType[Errors](err)
		if !ok {
			t.Errorf("%q: %+v, %v", tt.in, f, err)
			continue
		}
		var got []string
		for _, e := range errs {
			s := fmt.Sprintf("%d:%d %s", e.Line, e.Col, e.Msg)
			if e.Hint != "" {
				s += " (" + e.Hint + ")"
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " | "); s != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.in, s, tt.want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows a value: %v", err)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := Parse("x.toml", []byte("a=1\nb=2\n"))
	if err == nil || err.Error() != `x.toml:1:1: unknown key "a" (and 1 more)` {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{example, "env={A='',A=''}", "[[agents.needs]]\n[agents.needs.x]", "a.b.c=[[1],{x=1}]", "[tasks.t]\nargv=['a'\n,'b']", "\xef\xbb\xbf[", "x=\"\\u0000\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("p", data)
		lines := strings.Count(string(data), "\n") + 1
		if err != nil {
			errs, ok := errors.AsType[Errors](err)
			if !ok || len(errs) == 0 || file.Name != "" {
				t.Fatalf("%#v beside %+v", err, file)
			}
			for _, e := range errs {
				if e.Line < 1 || e.Line > lines || e.Col < 1 || e.Col > len(data)+1 {
					t.Fatalf("outside of the file: %v", e)
				}
			}
			return
		}
		for _, v := range file.Variables() {
			if !variableName.MatchString(v.Name) || strings.IndexByte(v.Value, 0) >= 0 {
				t.Fatalf("variable %q=%q", v.Name, v.Value)
			}
		}
		for _, task := range file.Tasks {
			if len(task.Argv) == 0 || task.Argv[0] == "" || strings.HasPrefix(task.Dir, "/") || strings.HasPrefix(task.Dir, "..") {
				t.Fatalf("task %+v", task)
			}
		}
		for _, n := range file.Needs {
			if len(n.Refs) == 0 || n.Task == "" && n.Host == "" {
				t.Fatalf("need %+v", n)
			}
		}
	})
}

// A file of nothing but mistakes takes no time: only the first come with a guess.
func TestFewGuesses(t *testing.T) {
	text := "[tasks.test]\nargv = [\"x\"]\n[agents]\nneeds = [" + strings.Repeat(`{task = "tset", refs = ["op://dev/a/b"]},`, 100) + "]\n"
	_, err := Parse(FileName, []byte(text))
	all, _ := errors.AsType[Errors](err)
	hints := 0
	for _, e := range all {
		if e.Hint != "" {
			hints++
		}
	}
	if len(all) != 100 || hints != guesses {
		t.Errorf("%d mistakes, %d guesses", len(all), hints)
	}
}

// Package project reads a project's file, .thumbturn.toml: the references that
// a project needs, the tasks that need them, and what agents will ask for.
//
// The file travels with the project, so whoever can write there wrote it, agents
// included. It can only ask: it grants nothing, and what it asks for is judged
// like any other request. The reader is strict, because a key that is silently
// ignored is a wish that nobody sees.
//
//	[env]                                  # variables of `thumbturn run --project`
//	GITHUB_TOKEN = "op://dev/github/token"
//	LOG_LEVEL = "debug"
//
//	[tasks.test]                           # `thumbturn run --task test`
//	argv = ["go", "test", "./..."]
//	args = "any"                           # further arguments may follow
//	dir = "backend"                        # inside the project
//	purpose = "run the tests"
//	env = { DATABASE_URL = "op://dev/staging/url" }
//
//	[[agents.needs]]                       # what agents here will need
//	refs = ["op://dev/github/token"]
//	host = "api.github.com"                # or task = "test"
package project

import (
	"fmt"
	"slices"
	"sort"

	"github.com/thumbturn/thumbturn/ref"
)

// FileName is the name of the file in a project's directory.
const FileName = ".thumbturn.toml"

// MaxSize bounds the file, in bytes.
const MaxSize = 64 << 10

// Place is a place in the file, from 1; columns count bytes.
type Place struct{ Line, Col int }

// Variable is one of the environment.
type Variable struct {
	Name  string
	Value string // references unresolved
	Place
	refs []ref.Ref
}

// Refs returns the references in the value; none if it is plain text.
func (v Variable) Refs() []ref.Ref { return slices.Clone(v.refs) }

// Task is a command with all its arguments.
type Task struct {
	Name    string
	Argv    []string // at least the program
	Free    bool     // further arguments may follow, whoever asks chooses them
	Env     []Variable
	Dir     string // below the project, with slashes; empty for the project itself
	Purpose string // what an approver is told; may be empty
	Place
}

// Need is something that agents will ask for.
type Need struct {
	Refs    []ref.Ref // at least one
	Task    string    // of this file; may be empty
	Host    string    // with or without a port; empty only if Task is not
	Purpose string
	Place
}

// File is a project's file. The zero File asks for nothing.
type File struct {
	Name  string
	Env   []Variable
	Tasks []Task
	Needs []Need
}

// Task returns the task of that name.
func (f File) Task(name string) (Task, bool) {
	i := slices.IndexFunc(f.Tasks, func(t Task) bool { return t.Name == name })
	if i < 0 {
		return Task{}, false
	}
	return f.Tasks[i], true
}

// TaskNames returns the names of the tasks, in order.
func (f File) TaskNames() []string {
	out := make([]string, len(f.Tasks))
	for i, t := range f.Tasks {
		out[i] = t.Name
	}
	return out
}

// Variables returns every variable that the file sets, whoever gets it.
func (f File) Variables() []Variable {
	out := slices.Clone(f.Env)
	for _, t := range f.Tasks {
		out = append(out, t.Env...)
	}
	return out
}

// Refs returns every reference that the file asks for, once, in order.
func (f File) Refs() []ref.Ref {
	var out []ref.Ref
	add := func(refs []ref.Ref) {
		for _, r := range refs {
			if !slices.ContainsFunc(out, r.Equal) {
				out = append(out, r)
			}
		}
	}
	for _, v := range f.Variables() {
		add(v.refs)
	}
	for _, n := range f.Needs {
		add(n.Refs)
	}
	return out
}

// Error is a mistake at a place in the file.
type Error struct {
	File string
	Place
	Msg  string // never a value of the file: it may be a secret in the wrong place
	Hint string // may be empty
}

// Error prints "file:line:column: message".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg) }

// Errors are all mistakes of a file, in order, at least one.
type Errors []*Error

// Error prints the first mistake and how many follow.
func (e Errors) Error() string {
	if len(e) > 1 {
		return fmt.Sprintf("%s (and %d more)", e[0], len(e)-1)
	}
	return e[0].Error()
}

// Parse reads data; name serves messages. The error is of type Errors, and then
// the File is the zero File. Of mistakes of syntax, and of things that are
// defined twice, only the first is found.
func Parse(name string, data []byte) (File, error) {
	r := reader{name: name, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	if len(data) >= len(bom) && string(data[:len(bom)]) == bom {
		r.lines[0] = len(bom)
	}
	if len(data) > MaxSize {
		r.fail(0, fmt.Sprintf("the file is larger than %d KiB", MaxSize>>10), "")
		return File{}, r.errs
	}
	root := r.tree(data)
	if len(r.errs) == 0 {
		r.read(root)
	}
	if len(r.errs) > 0 {
		sort.SliceStable(r.errs, func(i, j int) bool {
			a, b := r.errs[i], r.errs[j]
			return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col
		})
		return File{}, r.errs
	}
	r.file.Name = name
	return r.file, nil
}

type reader struct {
	name   string
	lines  []int // offsets of line starts
	offset int   // of what the TOML library sees
	errs   Errors
	file   File
}

func (r *reader) place(at int) Place {
	line := max(1, sort.SearchInts(r.lines, at+1))
	return Place{line, 1 + max(0, at-r.lines[line-1])}
}

func (r *reader) fail(at int, msg, hint string) {
	r.errs = append(r.errs, &Error{File: r.name, Place: r.place(at), Msg: msg, Hint: hint})
}

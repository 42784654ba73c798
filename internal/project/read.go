package project

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/thumbturn/thumbturn/ref"
)

// maxPurpose is the longest purpose, in bytes: it is one line of a question.
const maxPurpose = 200

// The longest names. They stand here and not in the expressions, which would be
// compiled at every start into a state for each character.
const (
	maxTask = 64
	maxHost = 253 + len(":65535")
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	taskName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]*$`)
	hostName     = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
)

func (r *reader) read(root *node) {
	r.known(root, "env", "tasks", "agents")
	r.file.Env = r.env(root.get("env"))
	r.tasks(root.get("tasks"))
	if agents := root.get("agents"); r.is(agents, table, "agents") {
		r.known(agents, "needs")
		r.needs(agents.get("needs"))
	}
}

// known reports the keys of a table that mean nothing.
func (r *reader) known(n *node, names ...string) {
	for _, e := range n.entries {
		if slices.Contains(names, e.name) {
			continue
		}
		hint := "known here: " + strings.Join(names, ", ")
		if s := r.guess(e.name, names); s != "" {
			hint = fmt.Sprintf("did you mean %q?", s)
		}
		r.fail(e.at, fmt.Sprintf("unknown key %q", e.name), hint)
	}
}

// guesses is how many mistakes of a file come with a guess of what was meant: each is
// compared with all names, and an agent may send the daemon thousands of both.
const guesses = 32

func (r *reader) guess(name string, names []string) string {
	if len(r.errs) >= guesses {
		return ""
	}
	return ref.Suggest(name, names)
}

// is reports whether n is there and of that kind; another kind is a mistake.
func (r *reader) is(n *node, k kind, what string) bool {
	if n == nil {
		return false
	}
	if n.kind != k {
		r.fail(n.at, what+" must be "+k.String(), "")
	}
	return n.kind == k
}

func (r *reader) env(n *node) []Variable {
	if !r.is(n, table, "env") {
		return nil
	}
	var out []Variable
	for _, e := range n.entries {
		if !variableName.MatchString(e.name) {
			r.fail(e.at, "not the name of a variable: letters, digits and '_', no digit in front", "")
			continue
		}
		if !r.is(e.value, text, "the value of a variable") {
			continue
		}
		v := Variable{Name: e.name, Value: e.value.text, Place: r.place(e.at)}
		if strings.IndexByte(v.Value, 0) >= 0 {
			r.fail(e.value.at, "the value has a NUL byte, which an environment variable cannot hold", "")
			continue
		}
		t, err := ref.ParseValue(v.Value)
		if err != nil {
			r.badRef(e.value.at, err)
			continue
		}
		v.refs = t.Refs()
		out = append(out, v)
	}
	return out
}

// badRef does not repeat the reference: it may be a password in a URL that
// merely looks like one.
func (r *reader) badRef(at int, err error) {
	msg, hint := "invalid secret reference", ""
	if e, ok := errors.AsType[*ref.Error](err); ok {
		msg, hint = msg+": "+e.Msg, e.Hint
	}
	r.fail(at, msg, hint)
}

func (r *reader) tasks(n *node) {
	if !r.is(n, table, "tasks") {
		return
	}
	for _, e := range n.entries {
		if len(e.name) > maxTask || !taskName.MatchString(e.name) {
			r.fail(e.at, "not the name of a task: letters, digits and - _ . : , at most 64", "")
		}
		if !r.is(e.value, table, "a task") {
			continue
		}
		r.known(e.value, "argv", "args", "env", "dir", "purpose")
		r.file.Tasks = append(r.file.Tasks, Task{Name: e.name, Place: r.place(e.at), Argv: r.argv(e), Free: r.free(e.value.get("args")),
			Env: r.env(e.value.get("env")), Dir: r.dir(e.value.get("dir")), Purpose: r.purpose(e.value.get("purpose"))})
	}
}

func (r *reader) argv(task entry) []string {
	n := task.value.get("argv")
	if n == nil {
		r.fail(task.at, "the task has no argv", `write argv = ["PROGRAM", "ARGUMENT"]`)
	}
	words := r.strings(n, "argv")
	if n != nil && n.kind == list && (len(n.items) == 0 || n.items[0].kind == text && n.items[0].text == "") {
		r.fail(n.at, "argv names no program", "")
	}
	var out []string
	for _, w := range words {
		if strings.IndexByte(w.text, 0) >= 0 {
			r.fail(w.at, "the argument has a NUL byte", "")
		}
		out = append(out, w.text)
	}
	return out
}

// free reads whether further arguments may follow.
func (r *reader) free(n *node) bool {
	if n == nil || !r.is(n, text, "args") {
		return false
	}
	if n.text != "any" && n.text != "none" {
		r.fail(n.at, `args is "any" or "none"`, "")
	}
	return n.text == "any"
}

// strings returns the items of a list of strings.
func (r *reader) strings(n *node, what string) []*node {
	if !r.is(n, list, what) {
		return nil
	}
	var out []*node
	for _, item := range n.items {
		if r.is(item, text, "each item of "+what) {
			out = append(out, item)
		}
	}
	return out
}

func (r *reader) dir(n *node) string {
	if !r.is(n, text, "dir") {
		return ""
	}
	if !filepath.IsLocal(filepath.FromSlash(n.text)) || strings.IndexByte(n.text, 0) >= 0 {
		r.fail(n.at, "dir must be inside the project", "write it relative to the directory of this file")
	}
	return n.text
}

func (r *reader) purpose(n *node) string {
	if !r.is(n, text, "purpose") {
		return ""
	}
	if len(n.text) > maxPurpose || strings.ContainsFunc(n.text, unicode.IsControl) {
		r.fail(n.at, fmt.Sprintf("purpose must be one line of at most %d bytes", maxPurpose), "")
	}
	return n.text
}

func (r *reader) needs(n *node) {
	if !r.is(n, list, "needs") {
		return
	}
	for _, item := range n.items {
		if !r.is(item, table, "a need") {
			continue
		}
		r.known(item, "refs", "task", "host", "purpose")
		need := Need{Place: r.place(item.at), Purpose: r.purpose(item.get("purpose"))}
		for _, s := range r.strings(item.get("refs"), "refs") {
			x, err := ref.Parse(s.text)
			if err != nil {
				r.badRef(s.at, err)
				continue
			}
			need.Refs = append(need.Refs, x)
		}
		if refs := item.get("refs"); refs == nil || refs.kind == list && len(refs.items) == 0 {
			r.fail(item.at, "the need names no refs", "")
		}
		need.Task, need.Host = r.forTask(item.get("task")), r.host(item.get("host"))
		if item.get("task") == nil && item.get("host") == nil {
			r.fail(item.at, "the need does not say what for", "add task or host")
		}
		r.file.Needs = append(r.file.Needs, need)
	}
}

func (r *reader) forTask(n *node) string {
	if !r.is(n, text, "task") {
		return ""
	}
	if _, ok := r.file.Task(n.text); !ok {
		hint := ""
		if s := r.guess(n.text, r.file.TaskNames()); s != "" {
			hint = fmt.Sprintf("did you mean %q?", s)
		}
		r.fail(n.at, "no task of that name is in this file", hint)
	}
	return n.text
}

func (r *reader) host(n *node) string {
	if !r.is(n, text, "host") {
		return ""
	}
	if len(n.text) > maxHost || !hostName.MatchString(n.text) {
		r.fail(n.at, "not a host: lower-case letters, digits, '-' and '.', then a port after ':' or nothing", "")
	}
	return n.text
}

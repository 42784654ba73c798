package main

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/thumbturn/thumbturn/bench/prompts/home"
	"github.com/thumbturn/thumbturn/internal/broker/lease"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/project"
	"github.com/thumbturn/thumbturn/ref"
)

// anyArgs is what a task says behind whose arguments others may follow.
const anyArgs = "any"

// task is a task of a project's file that its agents need, in the directory of the
// file. Tasks without references, such as a linter's, are not asked for.
type task struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	Args string   `json:"args,omitempty"`
	Refs []string `json:"refs"`
}

func (t *trace) checkTasks() error {
	if len(t.Tasks) > canon.MaxAnswered {
		return fmt.Errorf("%d tasks are more than one question holds", len(t.Tasks))
	}
	for i, x := range t.Tasks {
		switch {
		case x.Name == "" || slices.IndexFunc(t.Tasks, func(y task) bool { return y.Name == x.Name }) < i:
			return fmt.Errorf("task %d has no name of its own", i)
		case len(x.Argv) == 0 || x.Argv[0] == "" || len(x.Refs) == 0 || x.Args != "" && x.Args != anyArgs:
			return fmt.Errorf("task %s is not one", x.Name)
		}
		for _, r := range x.Refs {
			if _, err := ref.Parse(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// task is the task that an actor takes for a line: the one that the line names, or
// any that covers it, which whoever means harm would take too.
func (t *trace) task(l line) (task, bool) {
	if l.Do != doRun {
		return task{}, false
	}
	i := slices.IndexFunc(t.Tasks, func(x task) bool {
		if !slices.Equal(x.Refs, l.Refs) {
			return false
		}
		if l.Task != "" { // the same program, whose arguments the file pins
			return l.Task == x.Name && x.Argv[0] == l.Argv[0]
		}
		return slices.Equal(x.Argv, l.Argv) || x.Args == anyArgs && len(x.Argv) < len(l.Argv) && slices.Equal(x.Argv, l.Argv[:len(x.Argv)])
	})
	if i < 0 {
		return task{}, false
	}
	return t.Tasks[i], true
}

// job is a line as it is asked for: by an agent where there is a project's file, as
// the task that covers it.
func (t *trace) job(l line, project bool) line {
	x, ok := t.task(l)
	if l.Task = ""; !ok || !project || !t.agentic(l.Who) {
		return l
	}
	if l.free = x.Args == anyArgs; l.free && len(l.Argv) > len(x.Argv) {
		l.more = l.Argv[len(x.Argv):]
	}
	l.Argv, l.Task = x.Argv, x.Name
	return l
}

// file is the project's file of a directory, where a task of it is asked for.
func (t *trace) file(l line) *lease.File {
	var text []byte
	for _, x := range t.Tasks {
		text = fmt.Appendf(text, "[tasks.%s]\nargv = %s\nargs = %q\n", x.Name, canon.Encode(x.Argv), cmp.Or(x.Args, "none"))
		for i, name := range home.Variables(x.Refs) {
			text = fmt.Appendf(text, "env.%s = %q\n", name, x.Refs[i])
		}
	}
	return &lease.File{Path: path.Join(l.Dir, project.FileName), Task: l.Task, Text: text}
}

// jobs are the tasks for which a line asks.
func (t *trace) jobs(l line) []line {
	var all []line
	for _, x := range t.Tasks {
		all = append(all, line{Who: l.Who, Do: doRun, Argv: x.Argv, Refs: x.Refs, Dir: l.Dir, Task: x.Name, at: l.at, free: x.Args == anyArgs})
	}
	return all
}

// arguments are those of the thumbturn that an actor starts for a job.
func arguments(l line) []string {
	switch {
	case l.Do == doAsk:
		return []string{"thumbturn", "project", "ask"}
	case l.Do == doRun && l.Task != "":
		return append([]string{"thumbturn", "run", "--task", l.Task, "--"}, l.more...)
	case l.Do == doRun:
		return append([]string{"thumbturn", "run", "--"}, l.Argv...)
	}
	return []string{"thumbturn", l.Do}
}

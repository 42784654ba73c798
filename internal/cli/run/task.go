package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/finder"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/project"
)

// A project's file is read only on request: a plain run means the same in every
// directory.

// prepared takes from the project's file what the flags ask for, and returns
// the command. For a task it changes the working directory of this process,
// which the program inherits.
func (o Options) prepared(args []string) (Options, []string, error) {
	if !o.Project && o.Task == "" {
		return o, args, nil
	}
	dir, err := o.Dir()
	if err != nil {
		return o, nil, fault.New(fault.Unavailable, "run", "", "the working directory is not known")
	}
	found, err := finder.Sound(dir, o.Console.Getenv)
	if err != nil {
		return o, nil, err
	}
	o.project = variables(found.Env, found.Path)
	if o.Task == "" {
		return o, args, nil
	}
	task, at, err := found.Job("run", o.Task)
	if err != nil {
		return o, nil, err
	}
	o.project = append(variables(task.Env, found.Path), o.project...) // the first counts
	if o.free = task.Free; o.Ask.Purpose == "" {
		o.Ask.Purpose = task.Purpose
	}
	if err := o.enter(at, dir); err != nil {
		return o, nil, err
	}
	return o, task.Argv, nil
}

// RunTask runs a task of the project's file. What the file pins is the whole
// command, unless it says that further arguments may follow: an argument more could
// make another one of it.
func RunTask(ctx context.Context, o Options, args []string) error {
	if o.Task == "" {
		return console.Usage("--task wants the name of a task").WithHint("see: thumbturn project show")
	}
	o, argv, err := o.prepared(nil)
	if err != nil {
		return err
	}
	if len(args) > 0 && !o.free {
		return console.Usage("the task takes no arguments besides those in the project's file").
			WithHint(`the file may allow them: args = "any"`)
	}
	o.further = args
	return Run(ctx, o, argv)
}

// Want is what running a task would ask for, as of now. The working directory of this
// process is another for the time of the call.
func Want(ctx context.Context, o Options, task string) (want api.Want, err error) {
	was, err := o.Dir()
	if err != nil {
		return want, fault.New(fault.Unavailable, "run", "", "the working directory is not known")
	}
	defer func() { err = errors.Join(err, os.Chdir(was)) }()
	o.Task = task
	o, argv, err := o.prepared(nil)
	if err != nil {
		return want, err
	}
	env, err := o.environment()
	if err != nil {
		return want, err
	}
	if len(env.refs) == 0 {
		return want, fault.New(fault.Usage, "run", task, "the task has no secret reference: it needs nobody's leave")
	}
	p, err := o.located(argv, env)
	if err == nil {
		err = p.look(ctx)
	}
	if err != nil {
		return want, err
	}
	defer p.close()
	want = o.want(env, p)
	_, want.Agent = agentOf(p)
	return want, nil
}

func variables(vars []project.Variable, path string) []variable {
	out := make([]variable, len(vars))
	for i, v := range vars {
		out[i] = variable{name: v.Name, value: v.Value, place: fmt.Sprintf("%s:%d:%d", path, v.Line, v.Col)}
	}
	return out
}

// enter makes the task's directory the working directory. Env files were named
// as seen from the old one.
func (o *Options) enter(at, old string) error {
	files := slices.Clone(o.EnvFiles)
	for i, f := range files {
		if !filepath.IsAbs(f) {
			files[i] = filepath.Join(old, f)
		}
	}
	o.EnvFiles = files
	if err := os.Chdir(at); err != nil {
		return fault.New(fault.Unavailable, "run", at, "the task's directory cannot be entered")
	}
	o.Dir = func() (string, error) { return at, nil }
	o.Environ = slices.DeleteFunc(slices.Clone(o.Environ), func(kv string) bool { return strings.HasPrefix(kv, "PWD=") })
	o.Environ = append(o.Environ, "PWD="+at)
	return nil
}

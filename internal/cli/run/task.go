package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	if o.Ask.Purpose == "" {
		o.Ask.Purpose = task.Purpose
	}
	if err := o.enter(at, dir); err != nil {
		return o, nil, err
	}
	return o, task.Argv, nil
}

// RunTask runs a task of the project's file. What the file pins is the whole
// command: an argument more could make another one of it.
func RunTask(ctx context.Context, o Options, args []string) error {
	if o.Task == "" {
		return console.Usage("--task wants the name of a task").WithHint("see: thumbturn project show")
	}
	if len(args) > 0 {
		return console.Usage("a task takes no arguments besides those in the project's file")
	}
	o, argv, err := o.prepared(nil)
	if err != nil {
		return err
	}
	return Run(ctx, o, argv)
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

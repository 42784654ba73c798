package grant

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/finder"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/project"
)

// CreateForTask makes the grant of a task of the project's file.
func CreateForTask(ctx context.Context, o Options) error {
	dir, err := o.Dir()
	if err != nil {
		return fault.New(fault.Unavailable, "grant create", "", "the working directory is not known")
	}
	found, err := finder.Find(dir, o.Console.Getenv)
	if errs, ok := err.(project.Errors); ok {
		return console.Usage("%s", errs).WithHint("see: thumbturn project check")
	}
	if err != nil {
		return err
	}
	task, ok := found.Task(o.Task)
	if !ok {
		return fault.New(fault.NotFound, "grant create", found.Path, fmt.Sprintf("has no task %q", o.Task)).
			WithHint("it has: " + strings.Join(found.TaskNames(), ", "))
	}
	o.Job = Job{Argv: task.Argv, Dir: filepath.Join(found.Dir, filepath.FromSlash(task.Dir)), Refs: references(found.Env, task.Env)}
	return Create(ctx, o)
}

// references lists what variables need, each once.
func references(lists ...[]project.Variable) []string {
	var out []string
	for _, vars := range lists {
		for _, v := range vars {
			for _, r := range v.Refs() {
				if s := r.String(); !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

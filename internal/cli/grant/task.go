package grant

import (
	"context"
	"slices"

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
	found, err := finder.Sound(dir, o.Console.Getenv)
	if err != nil {
		return err
	}
	task, at, err := found.Job("grant create", o.Task)
	if err != nil {
		return err
	}
	o.Job = Job{Argv: task.Argv, Dir: at, Refs: references(found.Env, task.Env)}
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

package project

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/finder"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// most is how many tasks are asked for at once: what one session may have waiting, and
// one person read at a glance.
const most = 8

func newAsk(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ask [TASK]...",
		Short: "Ask a person, once, for what the project's tasks will need",
		Long: `Ask a person, once, for leases on what tasks of the project's file will need: those
that are named, or those under [[agents.needs]]. It is for agents, at the start of
their work. The person sees all of them as one question and gives a time and a
number of uses; "thumbturn run --task" in the same session then asks nobody. What
has a lease is not asked for again: after a change of the file, only what changed.

The file goes to the daemon, which refuses what the file does not say, and shows
the file's digest: its short form is what this command and "thumbturn project show"
print. Where the session had another version approved, the difference is shown too.

Where the policy gives no lease, this is refused, and so is a change that is too
long to be shown whole. Nothing is delivered by it.`,
		Example: "  thumbturn project ask\n  thumbturn project ask test deploy",
		RunE:    func(cmd *cobra.Command, args []string) error { return Ask(cmd.Context(), o, args) },
	}
	cmd.Flags().StringVar(&o.Ask.Purpose, "purpose", "", "say `WHY`; the person sees it as a claim")
	return cmd
}

// asked is what became of one task.
type asked struct {
	Task  string `json:"task"`
	File  string `json:"file"`  // short code of the project's file
	State string `json:"state"` // leased, allowed already, or why not
	Until int64  `json:"until,omitempty"`
	Uses  int    `json:"uses,omitempty"`
	err   error
}

// Ask asks for leases on tasks, all at once.
func Ask(ctx context.Context, o Options, tasks []string) error {
	found, err := o.sound()
	if err != nil {
		return err
	}
	if len(tasks) == 0 {
		for _, n := range found.Needs {
			if n.Task != "" && !slices.Contains(tasks, n.Task) {
				tasks = append(tasks, n.Task)
			}
		}
	}
	if len(tasks) == 0 {
		return fault.New(fault.Usage, "project ask", "", "the project's file names no task that agents need").
			WithHint(`write [[agents.needs]] with task = "NAME", or name tasks here`)
	}
	if len(tasks) > most {
		return fault.New(fault.Usage, "project ask", "", fmt.Sprintf("%d tasks are more than one question holds", len(tasks))).WithHint(fmt.Sprintf("name %d at a time", most))
	}
	wants := make([]api.Want, len(tasks))
	for i, name := range tasks { // one after the other: the working directory is this process's
		w, err := o.Want(ctx, name)
		if err != nil {
			return err
		}
		if o.Ask.Purpose != "" {
			w.Purpose = o.Ask.Purpose
		}
		if w.Purpose == "" {
			w.Purpose = "task " + name
		}
		w.Reserve, w.Project = true, &api.Project{File: found.Path, Task: name, Text: found.Text}
		wants[i] = w
	}
	out := make([]asked, len(tasks))
	var all sync.WaitGroup
	var told sync.Once
	for i, name := range tasks {
		all.Go(func() { out[i] = o.reserve(ctx, name, wants[i], &told, len(tasks)) })
	}
	all.Wait()
	if err := o.Console.Print(out, func(w io.Writer) { printAsked(w, found.Path, out) }); err != nil {
		return err
	}
	for _, a := range out {
		if a.err != nil {
			return a.err
		}
	}
	return nil
}

func (o Options) sound() (finder.Found, error) {
	dir, err := o.Dir()
	if err != nil {
		return finder.Found{}, fault.New(fault.Unavailable, "project", "", "the working directory is not known")
	}
	return finder.Sound(dir, o.Console.Getenv)
}

// reserve asks for one lease, on a connection of its own.
func (o Options) reserve(ctx context.Context, name string, want api.Want, told *sync.Once, n int) asked {
	a := asked{Task: name, File: canon.ShortCode(canon.ProjectDigest(want.Project.Text))}
	a.err = o.Console.Session(ctx, func(s *sdk.Client) error {
		r, err := s.Reserve(ctx, want, func(w api.Waiting) {
			told.Do(func() {
				o.Console.Say("waiting for a person to allow %d tasks of the project's file (code %s)", n, a.File)
				if w.URL != "" {
					o.Console.Say("hint: on the page, as one question: %s", canon.Escape(w.URL))
				}
			})
			o.Console.Say("  %s: request %s (code %s); thumbturn approve --lease 30m %s", canon.Escape(name), canon.Escape(w.Request), canon.Escape(w.Code), canon.Escape(w.Request))
		})
		a.State, a.Until, a.Uses = "leased", r.Until, r.Left
		if r.Request == "" {
			a.State = "allowed already"
		}
		return err
	})
	if a.err != nil {
		a.State = a.err.Error()
	}
	return a
}

func printAsked(w io.Writer, path string, all []asked) {
	for i, a := range all {
		if i == 0 {
			fmt.Fprintf(w, "%s  %s\n", canon.Escape(path), a.File)
		}
		line := canon.Escape(a.Task) + ": " + canon.Escape(a.State)
		if a.Until > 0 {
			line += fmt.Sprintf(" until %s, %d uses", time.UnixMilli(a.Until).UTC().Format(time.RFC3339), a.Uses)
		}
		fmt.Fprintln(w, line)
	}
}

// free is how a command is shown behind which arguments may follow.
func free(is bool) string {
	if is {
		return " … and any arguments"
	}
	return ""
}

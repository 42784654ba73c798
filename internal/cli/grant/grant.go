// Package grant is the commands grant create, list and revoke: leave for jobs
// that run when nobody is there.
package grant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the commands of this package take.
type Options struct {
	Console *console.Console
	Dir     func() (string, error) // the working directory
	Path    string                 // where programs are looked for
	// Describe reports a program as run will, and whether it is an agent.
	Describe func(ctx context.Context, argv []string, path, dir string) (api.Program, bool, error)

	Ask   api.Ask
	Name  string
	Until string
	Uses  int64
	Job   Job
	Task  string // of the project's file, instead of Job
	All   bool
}

// Job is what a grant is for, wherever its parts come from.
type Job struct {
	Refs []string
	Argv []string // the program first
	Dir  string   // where it will run; empty is the working directory
}

// New returns the grant command with its subcommands.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{Use: "grant", Short: "Let a cron job use secrets when nobody is there", Args: cobra.NoArgs,
		Example: "  thumbturn grant create --name nightly --until 30d --ref op://dev/db/password -- /usr/local/bin/backup.sh\n" +
			"  thumbturn grant list"}
	cmd.AddCommand(newCreate(o), newList(o), newRevoke(o))
	return cmd
}

func newCreate(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --name NAME --until END --ref REF... -- PROGRAM [ARG]...",
		Short: "Make a grant; needs an approval",
		Long: `Make a grant: until its end, "thumbturn run" gives the named references to
exactly this program, with exactly these arguments, in exactly this directory,
without asking. A program that changed is asked about as if there were no grant.
While the vaults are locked a grant opens nothing.

--task NAME takes program, arguments, directory and references of a task from the
project's file, as they stand there now: the job is "thumbturn run --task NAME",
and a change of the file is no change of the grant.

END is a time from now, such as 12h or 30d, or a moment such as
2027-01-31T00:00:00Z; a year at most.`,
		Example: "  thumbturn grant create --name nightly --until 30d --ref op://dev/db/password -- /usr/local/bin/backup.sh --full\n" +
			"  thumbturn grant create --name checks --until 12h --task test",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("task") {
				if len(args) > 0 || len(o.Job.Refs) > 0 || o.Job.Dir != "" {
					return console.Usage("with --task, program, references and directory are those of the project's file")
				}
				return CreateForTask(cmd.Context(), o)
			}
			if len(args) == 0 || cmd.ArgsLenAtDash() != 0 {
				return console.Usage("a grant needs a program after --").
					WithHint("write: thumbturn grant create --name NAME --until END --ref REF -- PROGRAM [ARG]...")
			}
			o.Job.Argv = args
			return Create(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVar(&o.Name, "name", "", "the `NAME` by which to list and revoke it")
	f.StringVar(&o.Until, "until", "", "its `END`: 30d, 12h, or 2027-01-31T00:00:00Z")
	f.StringArrayVar(&o.Job.Refs, "ref", nil, "the `REF` of a value that the program may have; of a standard vault")
	f.StringVar(&o.Task, "task", "", "for this `TASK` of the project's file")
	f.StringVar(&o.Job.Dir, "dir", "", "the `DIR` in which the program will run, instead of this one")
	f.Int64Var(&o.Uses, "uses", 0, "end it after `N` uses (at most 10000)")
	f.AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

// Create makes the grant of o.Job.
func Create(ctx context.Context, o Options) error {
	in, err := o.order(ctx)
	if err != nil {
		return err
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		g, err := s.GrantCreate(ctx, in, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		return o.Console.Print(g, func(w io.Writer) { show(w, g) })
	})
}

// order turns flags and job into the message.
func (o Options) order(ctx context.Context) (api.GrantCreate, error) {
	in := api.GrantCreate{Ask: o.Ask, Name: o.Name, Refs: o.Job.Refs, Uses: o.Uses, Task: o.Task}
	switch {
	case o.Name == "":
		return in, console.Usage("a grant needs a name").WithHint("add --name NAME")
	case o.Until == "":
		return in, console.Usage("a grant needs an end").WithHint("add --until 30d, or --until with a moment such as 2027-01-31T00:00:00Z")
	case len(in.Refs) == 0:
		return in, console.Usage("a grant needs a reference").WithHint("add --ref op://vault/item/field")
	case o.Uses < 0:
		return in, console.Usage("--uses is a number from 1 on")
	}
	life, moment, err := until(o.Until)
	if err != nil {
		return in, err
	}
	in.Life = life.Milliseconds()
	if life == 0 {
		in.Until = moment.UnixMilli()
	}
	dir, err := o.Dir()
	if err != nil {
		return in, fault.New(fault.Unavailable, "grant create", "", "the working directory is not known")
	}
	if d := o.Job.Dir; filepath.IsAbs(d) {
		dir = filepath.Clean(d)
	} else if d != "" {
		dir = filepath.Join(dir, d)
	}
	in.Program, in.Agent, err = o.Describe(ctx, o.Job.Argv, o.Path, dir)
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return in, e // whatever status run would end with
	}
	return in, err
}

// until reads an end: a time from now, or a moment.
func until(s string) (life time.Duration, moment time.Time, err error) {
	if life, err = console.Duration(s); err == nil && life >= time.Second {
		return life, moment, nil
	}
	if moment, err = time.Parse(time.RFC3339, s); err == nil && moment.UnixMilli() > 0 {
		return 0, moment, nil
	}
	return 0, moment, console.Usage("--until %q is no end", s).WithHint("write 30d, 12h or 2027-01-31T00:00:00Z")
}

func newList(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the grants",
		Example: "  thumbturn grant list\n  thumbturn grant list --all --format json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return List(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "also those that were revoked")
	return cmd
}

// List prints the grants.
func List(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		gs, err := s.Grants(ctx, api.GrantList{All: o.All})
		if err != nil {
			return err
		}
		if gs == nil {
			gs = []api.Grant{}
		}
		return o.Console.Print(gs, func(w io.Writer) {
			if len(gs) == 0 {
				fmt.Fprintln(w, "no grants")
			}
			for i, g := range gs {
				if i > 0 {
					fmt.Fprintln(w)
				}
				show(w, g)
			}
		})
	})
}

func newRevoke(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME|ID",
		Short:   "End a grant at once",
		Example: "  thumbturn grant revoke nightly",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				if err := s.GrantRevoke(cmd.Context(), args[0]); err != nil {
					return err
				}
				return o.Console.Print(map[string]string{"grant": args[0], "state": "revoked"}, func(w io.Writer) {
					fmt.Fprintf(w, "revoked %s\n", canon.Escape(args[0]))
				})
			})
		},
	}
}

func show(w io.Writer, g api.Grant) {
	line := func(label, text string) { fmt.Fprintf(w, "%-9s %s\n", label+":", text) }
	line("Name", canon.Escape(g.Name))
	line("ID", canon.Escape(g.ID))
	line("State", canon.Escape(g.State)+", until "+time.UnixMilli(g.Until).UTC().Format(time.RFC3339))
	if g.Uses > 0 {
		line("Uses", fmt.Sprintf("%d in all", g.Uses))
	}
	for _, r := range g.Refs {
		line("May use", canon.Escape(r))
	}
	if p := g.Program; p != nil {
		line("Program", canon.Escape(p.Path)+"  sha256 "+canon.Escape(p.Hash))
		if p.Interpreter != "" {
			line("Run by", canon.Escape(p.Interpreter)+"  sha256 "+canon.Escape(p.IntHash))
		}
		shown := make([]string, len(p.Argv))
		for i, a := range p.Argv {
			if shown[i] = canon.Escape(a); a == "" || strings.ContainsAny(a, " '\"\\") {
				shown[i] = "'" + strings.ReplaceAll(shown[i], "'", `'\''`) + "'"
			}
		}
		line("Command", strings.Join(shown, " "))
		line("In", canon.Escape(p.Dir))
	}
}

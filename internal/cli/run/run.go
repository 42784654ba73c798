// Package run is the run command: it starts a program whose environment holds
// the values of the secret references that stand in it, and masks what the
// program prints.
//
// Everything resolves before anything starts, in one request. The program
// descends from this process and is executed by the path whose hash the request
// named. At a terminal it has a terminal and a session of its own (package
// shim); else it is a child in this process's group, with its standard input,
// and prints into pipes. Without any reference nothing is asked, nothing is
// masked, and this process becomes the program.
//
// Masking is hygiene and no promise: the program holds the values and can show
// them in ways that no matching finds.
package run

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/mask"
	"github.com/thumbturn/thumbturn/sdk"
)

// The statuses that shells give to a command that could not be started.
const (
	statusNotExecutable = 126
	statusNotFound      = 127
)

// Options is what run takes.
type Options struct {
	Console *console.Console
	Environ []string               // os.Environ()
	Dir     func() (string, error) // the working directory
	// Exit ends this process with the program's status, os.Exit. It is called
	// once the program has ended, or could not be started.
	Exit func(status int)

	Ask      api.Ask
	EnvFiles []string
	AllowEnv []string // variables that a file may set although they load code
	Project  bool     // also take the variables of the project's file
	Task     string   // run this task of the project's file

	// NoMasking makes this process become the program, with the values in it.
	NoMasking bool

	free    bool       // the task lets further arguments follow
	further []string   // those
	project []variable // from the project's file; of a name that stands twice, the first counts
}

// New returns the run command; o holds what does not come from flags.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARG]... | run --task NAME",
		Short: "Run a program with secrets in its environment",
		Long: `Run a program with the secret references in its environment, and in env files,
replaced by their values. All references are one request; if one cannot be
resolved, nothing starts. Values are masked in what the program prints.

In a terminal, on Linux, the program gets a terminal of its own, so that colours,
full-screen programs and job control work as without thumbturn. It does so where
both standard input and output are the terminal; else, and on other systems, its
output goes through pipes.

--no-masking executes the program in place of thumbturn: nothing stands between
what it prints and whoever reads that, so the policy treats it as "thumbturn read"
of all its references. Agents are refused; a person makes a gesture.

Of a variable that is set more than once, the last --env-file counts, then the
one before it, then the environment. --project adds, below all of these, the
variables of the project's file, .thumbturn.toml, in this directory or above.

--task runs a task of that file: its command, in its directory, with its variables,
which count before the project's. Arguments follow only where the file says so.

Exit status: that of the program, 128+N where it died by signal N, 127 if it is
not found, 126 if it cannot be executed; before it starts, as with every command.`,
		Example: "  GITHUB_TOKEN=op://team/github/token thumbturn run -- gh pr list\n" +
			"  thumbturn run --env-file .env -- npm start\n  thumbturn run --task test",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("task") {
				return RunTask(cmd.Context(), o, args)
			}
			if len(args) == 0 || cmd.ArgsLenAtDash() != 0 {
				return console.Usage("run needs a command after --").WithHint("write: thumbturn run [flags] -- COMMAND [ARG]...")
			}
			o, args, err := o.prepared(args)
			if err != nil {
				return err
			}
			return Run(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringArrayVar(&o.EnvFiles, "env-file", nil, "read variables from `FILE`; of several, the last one wins")
	f.StringArrayVar(&o.AllowEnv, "allow-env", nil, "let a file set the variable `NAME` although it makes programs load code")
	f.BoolVar(&o.Project, "project", false, "take variables from the project's file too")
	f.StringVar(&o.Task, "task", "", "run this `TASK` of the project's file")
	f.BoolVar(&o.NoMasking, "no-masking", false, "execute the program in place of thumbturn; allowed to whoever may read the values")
	f.AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

// Run executes args. It returns an error only if nothing was started and the
// status is that of the error; else it ends in Options.Exit, or as the program.
func Run(ctx context.Context, o Options, args []string) error {
	env, err := o.environment()
	if err != nil {
		return err
	}
	p, err := o.located(args, env)
	if err != nil {
		return o.notStarted(err)
	}
	if len(env.refs) == 0 {
		return o.notStarted(o.become(p, env.plain()))
	}
	if err := p.inspect(); err != nil {
		return o.notStarted(err)
	}
	defer p.close()
	if len(env.refs) > api.MaxValues {
		return console.Usage("more than %d references in one run", api.MaxValues)
	}
	if label, ok := agentOf(p); ok && o.NoMasking {
		return console.Usage("%s is an agent: what it prints stays masked", label).WithHint("leave out --no-masking")
	}
	return o.execute(ctx, env, p)
}

// located finds the program of a command.
func (o Options) located(args []string, env environment) (*program, error) {
	dir, _ := o.Dir() // empty where nobody knows
	return locate(slices.Concat(args, o.further), env.get("PATH"), dir)
}

// execute asks for the values and runs the program as our child, or, without
// masks, in our place.
func (o Options) execute(ctx context.Context, env environment, p *program) error {
	own := o.ownTerminal()
	defer own.Close()
	values, err := o.release(ctx, env, p)
	if err != nil {
		return err
	}
	defer sdk.Wipe(values...)
	full, err := env.resolved(values)
	if err != nil {
		return err
	}
	if o.NoMasking {
		if err := errors.Join(p.unchanged(ctx), ctx.Err()); err != nil {
			return err
		}
		return o.notStarted(o.become(p, full))
	}
	// The tables take a millisecond; the last look at the program takes another.
	built := make(chan *mask.Matcher, 1)
	go func() { built <- o.matcher(env, values) }()
	// The last look at the program comes as late as it can: between it and the
	// start lies nothing that waits.
	err = p.unchanged(ctx)
	m := <-built
	defer m.Wipe()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "run", "", "cancelled")
	}
	c := child{in: o.Console.In, out: o.Console.Out, err: o.Console.Err, mask: m, own: own,
		started: func() { sdk.Wipe(values...) }}
	end, err := c.run(p, full)
	if err != nil {
		return o.notStarted(err)
	}
	m.Wipe()
	o.exit(end)
	return nil
}

// release asks for the values while the program is being hashed; the hash is
// part of what is asked.
func (o Options) release(ctx context.Context, env environment, p *program) ([][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hashed := make(chan error, 1)
	go func() { hashed <- p.hash(ctx) }()
	hash := sync.OnceValue(func() error { return <-hashed })
	var values [][]byte
	err := o.Console.Session(ctx, func(s *sdk.Client) error {
		if err := hash(); err != nil {
			return err
		}
		want := o.want(env, p)
		if label, ok := agentOf(p); ok {
			want.Agent = true
			o.Console.Say("%s is an agent: it would hold the values itself, so a person is asked each time", label)
		}
		var err error
		_, values, err = s.Release(ctx, want, o.Console.Waiting)
		return o.Console.Parked(err)
	})
	cancel()
	_ = hash() // waits for it; where it matters, the session saw its error
	return values, err
}

// want is what is asked for.
func (o Options) want(env environment, p *program) api.Want {
	w := api.Want{Ask: o.Ask, Sink: "handoff", Refs: env.spelled(), Names: env.withRefs(), Program: p.described()}
	w.Program.Argv, w.Program.Free = w.Program.Argv[:len(w.Program.Argv)-len(o.further)], o.free
	if len(o.further) > 0 { // what is asked for is any; who is asked now sees these
		w.Purpose = strings.TrimSpace(w.Purpose + " [now with: " + strings.Join(o.further, " ") + "]")
	}
	if o.NoMasking { // whoever started us can see all that the program shows
		w.Sink = "reveal"
	}
	return w
}

// matcher knows the values, and warns of those that it does not mask.
func (o Options) matcher(env environment, values [][]byte) *mask.Matcher {
	known := make([]mask.Value, len(values))
	for i, v := range values {
		known[i] = mask.Bytes(env.refs[i].String(), v)
	}
	m := mask.New(known, mask.Options{})
	for _, name := range m.Unmasked() {
		o.Console.Say("warning: the value of %s is shorter than %d bytes and is not masked", canon.Escape(name), mask.MinLen)
	}
	return m
}

// notStarted ends with the status that a shell gives to a program that it
// cannot start, where err says so, and else returns err.
func (o Options) notStarted(err error) error {
	e, ok := errors.AsType[*startError](err)
	if !ok {
		return err
	}
	console.Fail(o.Console.Err, o.Console.JSON(), e.fault)
	o.Exit(e.status)
	return nil
}

// exit ends as the program ended: by the same signal where that is possible, so
// that a shell sees it and says so.
func (o Options) exit(end ending) {
	if end.signal != 0 {
		dieBy(end.signal)
		o.Exit(128 + int(end.signal))
		return
	}
	o.Exit(end.status)
}

// ending is how a program ended: by a signal, if that is not 0.
type ending struct {
	status int
	signal syscall.Signal
}

// startError is a program that cannot be started, with the shells' status.
type startError struct {
	status int
	fault  *fault.Error
}

func (e *startError) Error() string { return e.fault.Error() }

func (e *startError) Unwrap() error { return e.fault }

func notFound(name, msg string) error {
	return &startError{statusNotFound, fault.New(fault.NotFound, "run", name, msg)}
}

func notExecutable(name, msg string) error {
	return &startError{statusNotExecutable, fault.New(fault.Unavailable, "run", name, msg)}
}

// startFailed words the error of an attempt to execute path. What the system
// says about the environment it says by number only.
func startFailed(path string, err error) error {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return notExecutable(path, "the arguments and the environment together are too large")
	case errors.Is(err, syscall.ENOEXEC):
		return notExecutable(path, "is neither a program of this system nor a script with #! in front")
	case errors.Is(err, fs.ErrPermission):
		return notExecutable(path, "permission denied")
	case errors.Is(err, fs.ErrNotExist):
		return notFound(path, "no such file, or its interpreter or loader is missing")
	}
	return notExecutable(path, "cannot be executed")
}

// allowed reports whether a file may set a variable although it loads code.
func (o Options) allowed(name string) bool {
	return slices.ContainsFunc(o.AllowEnv, func(s string) bool { return sameName(s, name) })
}

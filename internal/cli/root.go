// Package cli is the thumbturn program: its command tree and how it ends. It
// speaks to the daemon through the sdk and cannot decrypt anything.
package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/audit"
	"github.com/thumbturn/thumbturn/internal/cli/daemon"
	"github.com/thumbturn/thumbturn/internal/cli/initialize"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/item"
	"github.com/thumbturn/thumbturn/internal/cli/policy"
	"github.com/thumbturn/thumbturn/internal/cli/read"
	"github.com/thumbturn/thumbturn/internal/cli/request"
	"github.com/thumbturn/thumbturn/internal/cli/run"
	"github.com/thumbturn/thumbturn/internal/cli/service"
	"github.com/thumbturn/thumbturn/internal/cli/session"
	"github.com/thumbturn/thumbturn/internal/cli/start"
	"github.com/thumbturn/thumbturn/internal/cli/vault"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/term"
	"github.com/thumbturn/thumbturn/sdk"
)

// Program is one run of thumbturn: everything it takes from outside. The fields
// In to Environ stand for those of package os.
type Program struct {
	Version string // X.Y.Z
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	Environ []string
	Prompt  console.Prompter
	// InputIsTerminal tells that In is a terminal.
	InputIsTerminal bool
	Executable      func() (string, error)
	Now             func() time.Time
	Rand            io.Reader

	VerifyOffline func(context.Context, audit.Check, io.Writer) error
}

// System returns the Program of this process.
func System(version string) Program {
	return Program{
		Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(),
		Prompt: terminal{}, InputIsTerminal: term.IsTerminal(os.Stdin),
		Executable: os.Executable, Now: time.Now, Rand: rand.Reader,
		VerifyOffline: verifyOffline,
	}
}

// getenv reads from Environ; of a name that stands twice, the first counts.
func (p Program) getenv(name string) string {
	for _, kv := range p.Environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v
		}
	}
	return ""
}

func (p Program) home() (api.Home, error) {
	h, err := sdk.FindHome(p.getenv)
	if err != nil {
		return h, fault.New(fault.Usage, "", "", err.Error())
	}
	return h, nil
}

// dial connects, starting the daemon where it does not run.
func (p Program) dial(ctx context.Context) (*sdk.Client, error) {
	h, err := p.home()
	if err != nil {
		return nil, err
	}
	return start.Starter{Home: h, Executable: p.Executable, Environ: p.Environ}.Dial(ctx)
}

// running connects to a daemon that runs already.
func (p Program) running(ctx context.Context) (*sdk.Client, error) {
	h, err := p.home()
	if err != nil {
		return nil, err
	}
	return sdk.Dial(ctx, h, sdk.Options{})
}

// Run executes one command line, without the program's name, and returns the
// exit status (fault.ExitCode).
func (p Program) Run(ctx context.Context, args []string) int {
	c := &console.Console{In: p.In, Out: p.Out, Err: p.Err, Prompt: p.Prompt, Getenv: p.getenv,
		Home: p.home, Dial: p.dial, InputIsTerminal: p.InputIsTerminal, Now: p.Now, Rand: p.Rand, Format: wantedFormat(args)}
	root := p.tree(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = fault.New(fault.Internal, "", "", "cancelled")
	}
	return console.Fail(p.Err, c.JSON(), err)
}

// wantedFormat finds out how to print an error that comes before the flags are
// parsed, such as an unknown flag.
func wantedFormat(args []string) string {
	for i, a := range args {
		switch {
		case a == "--":
			return "human"
		case a == "--format=json", a == "--format" && i+1 < len(args) && args[i+1] == "json":
			return "json"
		}
	}
	return "human"
}

func (p Program) tree(c *console.Console) *cobra.Command {
	root := &cobra.Command{
		Use:   "thumbturn",
		Short: "Secrets that agents can use and never see",
		Long: `Thumbturn keeps secrets, lets programs and agents use them through references
such as op://vault/item/field, asks a person where it must, and records it all.

Exit status: 0 done, 1 error, 2 wrong usage, 3 denied, 4 locked, 5 waiting for a
person.`,
		Example: "  thumbturn init\n  thumbturn unlock\n  thumbturn set op://work/github/token",
		Version: p.Version, SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			switch c.Format {
			case "human", "human-readable":
				c.Format = "human"
			case "json":
			default:
				bad := c.Format
				c.Format = "human"
				return console.Usage("unknown format %q; use json or human", bad)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.PersistentFlags().StringVar(&c.Format, "format", c.Format, "print results as `FORMAT`: json or human")
	root.PersistentFlags().BoolVar(&c.Yes, "yes", false, "answer yes to questions; approves nothing")

	s := session.Options{Console: c, Running: p.running}
	a := audit.Options{Console: c, Now: p.Now, Offline: p.VerifyOffline}
	root.AddCommand(
		initialize.New(c, p.Rand), initialize.NewRecover(c, p.Rand), initialize.NewPassphrase(c, p.Rand),
		session.NewUnlock(s), session.NewLock(s), session.NewStatus(s), session.NewWhoami(s),
		run.New(run.Options{Console: c, Environ: p.Environ, Dir: os.Getwd, Exit: os.Exit}),
		item.NewSet(c), item.New(c), vault.New(c), read.New(c, os.Getwd),
		request.NewList(c), request.NewApprove(c), request.NewDeny(c),
		audit.New(a), audit.NewRestore(a),
		policy.New(policy.Options{Console: c}),
		daemon.New(daemon.Options{Console: c, Running: p.running}),
		service.New(service.Options{Console: c, OS: runtime.GOOS, Executable: p.Executable, UID: os.Geteuid(), Host: service.ThisHost(p.Err)}),
		p.versionCommand(c),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	return root
}

func (p Program) versionCommand(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  thumbturn version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.Print(map[string]string{"version": p.Version}, func(w io.Writer) { fmt.Fprintln(w, p.Version) })
		},
	}
}

// strict makes cobra's complaints about arguments errors of kind usage, and a
// group without subcommand, or with an unknown one, a mistake and not a success.
func strict(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usage(cmd, err)
			}
			return nil
		}
	}
	if cmd.RunE == nil && cmd.HasSubCommands() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			return console.Usage("%s needs a subcommand", cmd.CommandPath()).WithHint("see: " + cmd.CommandPath() + " --help")
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

func usage(cmd *cobra.Command, err error) error {
	return fault.New(fault.Usage, "", "", err.Error()).WithHint("see: " + cmd.CommandPath() + " --help")
}

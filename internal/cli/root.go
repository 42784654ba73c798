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
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/cli/audit"
	"github.com/thumbturn/thumbturn/internal/cli/backup"
	"github.com/thumbturn/thumbturn/internal/cli/daemon"
	"github.com/thumbturn/thumbturn/internal/cli/doctor"
	"github.com/thumbturn/thumbturn/internal/cli/export"
	"github.com/thumbturn/thumbturn/internal/cli/grant"
	"github.com/thumbturn/thumbturn/internal/cli/importer"
	"github.com/thumbturn/thumbturn/internal/cli/initialize"
	"github.com/thumbturn/thumbturn/internal/cli/inject"
	"github.com/thumbturn/thumbturn/internal/cli/internal/complete"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/finder"
	"github.com/thumbturn/thumbturn/internal/cli/item"
	"github.com/thumbturn/thumbturn/internal/cli/man"
	"github.com/thumbturn/thumbturn/internal/cli/pin"
	"github.com/thumbturn/thumbturn/internal/cli/policy"
	"github.com/thumbturn/thumbturn/internal/cli/project"
	"github.com/thumbturn/thumbturn/internal/cli/read"
	"github.com/thumbturn/thumbturn/internal/cli/request"
	"github.com/thumbturn/thumbturn/internal/cli/revision"
	"github.com/thumbturn/thumbturn/internal/cli/run"
	"github.com/thumbturn/thumbturn/internal/cli/service"
	"github.com/thumbturn/thumbturn/internal/cli/session"
	"github.com/thumbturn/thumbturn/internal/cli/start"
	"github.com/thumbturn/thumbturn/internal/cli/uninstall"
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
	// What goes to a terminal may have colour.
	OutIsTerminal, ErrIsTerminal bool

	Executable func() (string, error)
	Now        func() time.Time
	Rand       io.Reader

	VerifyOffline func(context.Context, audit.Check, io.Writer) error
}

// System returns the Program of this process.
func System(version string) Program {
	return Program{
		Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(),
		Prompt: terminal{}, InputIsTerminal: term.IsTerminal(os.Stdin),
		OutIsTerminal: term.IsTerminal(os.Stdout), ErrIsTerminal: term.IsTerminal(os.Stderr),
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

// built is when this program was made: the time of the commit that it was built
// from, else that of its file.
func (p Program) built() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil && s.Key == "vcs.time" {
				return t
			}
		}
	}
	self, err := p.Executable()
	if err != nil {
		return time.Time{}
	}
	fi, err := os.Stat(self)
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

// Run executes one command line, without the program's name, and returns the
// exit status (fault.ExitCode).
func (p Program) Run(ctx context.Context, args []string) int {
	c := &console.Console{In: p.In, Out: p.Out, Err: p.Err, Prompt: p.Prompt, Getenv: p.getenv,
		Home: p.home, Dial: p.dial, InputIsTerminal: p.InputIsTerminal, Format: wantedFormat(args),
		OutIsTerminal: p.OutIsTerminal, ErrIsTerminal: p.ErrIsTerminal, Now: p.Now, Rand: p.Rand}
	root := p.tree(c, args)
	if complete.Asked(args) {
		root.SetErr(io.Discard) // a shell shows what comes there beside the prompt
		complete.Source{Running: p.running, Tasks: p.tasks}.Attach(root)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = fault.New(fault.Internal, "", "", "cancelled")
	}
	return c.Fail(err)
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

func (p Program) tree(c *console.Console, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "thumbturn",
		Short: "Secrets that agents can use and never see",
		Long: `Thumbturn keeps secrets, lets programs and agents use them through references
such as op://vault/item/field, asks a person where it must, and records it all.

Exit status: 0 done, 1 error, 2 wrong usage, 3 denied, 4 locked, 5 waiting for a
person.`,
		Example: "  thumbturn init\n  thumbturn unlock\n  thumbturn set op://team/github/token",
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

	wanted := p.commands(c)
	if len(args) > 0 && args[0] != "man" { // which writes of all; any other needs but itself to be made
		if i := slices.IndexFunc(wanted, func(m maker) bool { return m.name == args[0] }); i >= 0 {
			wanted = wanted[i : i+1]
		}
	}
	for _, m := range wanted {
		root.AddCommand(m.make())
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	complete.Explain(root)
	strict(root)
	return root
}

// maker makes the command of a name.
type maker struct {
	name string
	make func() *cobra.Command
}

// commands is the whole tree. Making all of it takes longer than what most commands
// do.
func (p Program) commands(c *console.Console) []maker {
	type cmd = *cobra.Command
	s := session.Options{Console: c, Running: p.running}
	return []maker{
		{"init", func() cmd { return initialize.New(c, p.Rand) }},
		{"recover", func() cmd { return initialize.NewRecover(c, p.Rand, openBackup) }},
		{"passphrase", func() cmd { return initialize.NewPassphrase(c, p.Rand) }},
		{"recovery", func() cmd { return initialize.NewRecovery(c) }},
		{"passkey", func() cmd { return initialize.NewPasskey(c) }},
		{"pin", func() cmd { return pin.New(c) }},
		{"unlock", func() cmd { return session.NewUnlock(s) }},
		{"lock", func() cmd { return session.NewLock(s) }},
		{"status", func() cmd { return session.NewStatus(s) }},
		{"whoami", func() cmd { return session.NewWhoami(s) }},
		{"run", func() cmd { return run.New(run.Options{Console: c, Environ: p.Environ, Dir: os.Getwd, Exit: os.Exit}) }},
		{"set", func() cmd { return item.NewSet(c) }},
		{"item", func() cmd { return items(c) }},
		{"vault", func() cmd { return vault.New(c) }},
		{"read", func() cmd { return read.New(c, os.Getwd) }},
		{"inject", func() cmd { return inject.New(inject.Options{Console: c, Environ: p.Environ, Dir: os.Getwd}) }},
		{"grant", func() cmd {
			return grant.New(grant.Options{Console: c, Dir: os.Getwd, Path: p.getenv("PATH"), Describe: run.Describe})
		}},
		{"import", func() cmd { return importer.New(importer.Options{Console: c, Dir: os.Getwd, GPG: "gpg"}) }},
		{"export", func() cmd { return export.New(c, os.Getwd) }},
		{"requests", func() cmd { return request.NewList(c) }},
		{"approve", func() cmd { return request.NewApprove(c) }},
		{"deny", func() cmd { return request.NewDeny(c) }},
		{"audit", func() cmd { return audit.New(audit.Options{Console: c, Version: p.Version, Offline: p.VerifyOffline}) }},
		{"backup", func() cmd { return backup.New(c) }},
		{"restore", func() cmd { return backup.NewRestore(c) }},
		{"device", func() cmd { return backup.NewDevice(c) }},
		{"policy", func() cmd { return policy.New(policy.Options{Console: c}) }},
		{"project", func() cmd {
			return project.New(project.Options{Console: c, Dir: os.Getwd, Want: func(ctx context.Context, task string) (api.Want, error) {
				return run.Want(ctx, run.Options{Console: c, Environ: p.Environ, Dir: os.Getwd}, task)
			}})
		}},
		{"daemon", func() cmd { return daemon.New(daemon.Options{Console: c, Running: p.running}) }},
		{"doctor", func() cmd {
			return doctor.New(doctor.Options{Console: c, Version: p.Version, OS: runtime.GOOS, Environ: p.Environ, Dir: os.Getwd,
				Executable: p.Executable, Now: p.Now, Built: p.built, Running: p.running})
		}},
		{"man", func() cmd { return man.New(man.Options{Console: c, Version: p.Version}) }},
		{"uninstall", func() cmd {
			return uninstall.New(uninstall.Options{Console: c, OS: runtime.GOOS, Executable: p.Executable})
		}},
		{"service", func() cmd {
			return service.New(service.Options{Console: c, OS: runtime.GOOS, Executable: p.Executable, UID: os.Geteuid(), Host: service.ThisHost(p.Err)})
		}},
		{"version", func() cmd { return p.versionCommand(c) }},
	}
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

// tasks names the tasks of the project's file around the working directory.
func (p Program) tasks() []string {
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	found, err := finder.Find(dir, p.getenv)
	if err != nil {
		return nil
	}
	return found.TaskNames()
}

// openBackup is backup.Open for a command that shares nothing with it.
func openBackup(path string) (io.ReadCloser, int64, archive.Manifest, error) {
	f, err := backup.Open(path)
	if err != nil {
		return nil, 0, archive.Manifest{}, err
	}
	return f, f.Size, f.Manifest, nil
}

// items is the item command with all that belongs under it.
func items(c *console.Console) *cobra.Command {
	cmd := item.New(c)
	cmd.AddCommand(revision.Commands(c)...)
	return cmd
}

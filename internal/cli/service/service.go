// Package service is the commands service install and service uninstall: they
// show the files and steps that make thumbturnd a service, and take them.
package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Options is what the commands of this package take.
type Options struct {
	Console    *console.Console
	OS         string                 // runtime.GOOS
	Executable func() (string, error) // os.Executable
	UID        int                    // os.Geteuid()
	Host       Host

	Plan    bool
	System  bool
	User    bool
	NoStart bool
	For     int // uid of the human that a system service serves; 0 finds it
}

// New returns the service command.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "Have the system start thumbturnd", Args: cobra.NoArgs,
		Example: "  thumbturn service install --plan"}
	install := &cobra.Command{
		Use:   "install",
		Short: "Make thumbturnd a service, or show how",
		Long: `Make thumbturnd a service of your own user, or with --system one under a user of
its own, so that programs of yours cannot read its memory, files or ports. All
that will be done is printed first.

On a machine with a TPM, --system gives the service the group tss and leave to use
/dev/tpmrm0, and no other device, so that "thumbturn pin" works there.`,
		Example: "  thumbturn service install --plan\n  thumbturn service install\n  sudo thumbturn service install --system --for $(id -u)",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Install(cmd.Context(), o) },
	}
	uninstall := &cobra.Command{
		Use:   "uninstall",
		Short: "Make thumbturnd a service no more; vaults stay",
		Long: `Stop the service and have the system start it no more. Vaults stay where they
are, and so does what other users' services share: the user of the service, the
program and the unit files of --system.`,
		Example: "  thumbturn service uninstall --plan\n  sudo thumbturn service uninstall --system --for $(id -u)",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Uninstall(cmd.Context(), o) },
	}
	for _, c := range []*cobra.Command{install, uninstall} {
		c.Flags().BoolVar(&o.Plan, "plan", false, "print what would be done, and do nothing")
		c.Flags().BoolVar(&o.User, "user", false, "as a service of your own user (this is the default)")
		c.Flags().BoolVar(&o.System, "system", false, "as a system service, under a user of its own; needs root")
		c.Flags().IntVar(&o.For, "for", 0, "with --system: the human it serves, by `UID`; else you, or who called sudo")
		c.Flags().BoolVar(&o.NoStart, "no-start", false, "leave out what speaks to the service manager")
		cmd.AddCommand(c)
	}
	return cmd
}

// Install prints the plan and, unless that was all that was asked for, applies it.
func Install(ctx context.Context, o Options) error {
	daemon, err := o.daemon()
	if err != nil {
		return err
	}
	uid, err := o.human()
	if err != nil {
		return err
	}
	steps, err := plan(o.OS, daemon, o.System, uid, o.Host.Chip != nil && o.Host.Chip())
	if err != nil {
		return err
	}
	if o.Plan {
		return o.print(steps)
	}
	if fi, err := os.Stat(daemon); err != nil || !fi.Mode().IsRegular() {
		return fault.New(fault.Unavailable, "service install", daemon, "there is no thumbturnd beside this program").
			WithHint("install both programs into one folder")
	}
	return o.apply(ctx, "install", uid, steps)
}

// Uninstall is the way back.
func Uninstall(ctx context.Context, o Options) error {
	uid, err := o.human()
	if err != nil {
		return err
	}
	steps, err := undo(o.OS, o.System, uid)
	if err != nil {
		return err
	}
	if o.Plan {
		return o.print(steps)
	}
	return o.apply(ctx, "uninstall", uid, steps)
}

// daemon is the thumbturnd beside our own executable.
func (o Options) daemon() (string, error) {
	self, err := o.Executable()
	if err != nil {
		return "", fault.New(fault.Unavailable, "service install", "", "cannot tell where this program lies")
	}
	return filepath.Join(filepath.Dir(self), "thumbturnd"), nil
}

// human is the uid of whom the service serves.
func (o Options) human() (int, error) {
	if o.System && o.User {
		return 0, console.Usage("--system and --user exclude each other")
	}
	if !o.System {
		if o.For != 0 {
			return 0, console.Usage("--for goes with --system")
		}
		return o.UID, nil
	}
	uid := o.For
	if uid == 0 {
		uid = o.UID
	}
	if uid == 0 {
		uid, _ = strconv.Atoi(o.Console.Getenv("SUDO_UID")) // zero where it is none
	}
	if uid <= 0 {
		return 0, console.Usage("name the human it serves, who is not root, with --for UID, or call it by sudo")
	}
	return uid, nil
}

func (o Options) print(steps []step) error {
	if o.Console.JSON() {
		return o.Console.PrintJSON(steps)
	}
	for _, s := range steps {
		if s.Run != "" {
			fmt.Fprintf(o.Console.Out, "run: %s\n\n", s.Run)
			continue
		}
		fmt.Fprintf(o.Console.Out, "write %s:\n%s\n", s.Path, indent(s.Text))
	}
	return nil
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ") + "\n"
}

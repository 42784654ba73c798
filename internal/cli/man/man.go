// Package man is the man command: it writes the manual pages, one for each
// command, from what the commands say of themselves.
package man

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Options is what man takes.
type Options struct {
	Console *console.Console
	Version string // X.Y.Z
	Out     string // folder
}

// New returns the man command.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "man",
		Short: "Write the manual pages into a folder",
		Long: `Write the manual pages into a folder, one for each command. Pages that stand
there are replaced. Read one with "man -l FILE".`,
		Example: "  thumbturn man --out /usr/local/share/man/man1\n  thumbturn man --out . && man -l ./thumbturn-run.1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Out == "" {
				return console.Usage("name the folder with --out")
			}
			return Write(o, cmd.Root())
		},
	}
	cmd.Flags().StringVar(&o.Out, "out", "", "write into `DIR`; it is made where it does not exist")
	return cmd
}

// Write writes the pages of a command and of all below it.
func Write(o Options, root *cobra.Command) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return fault.Wrap(fault.Unavailable, "man", o.Out, err)
	}
	return each(root, func(cmd *cobra.Command) error {
		path := filepath.Join(o.Out, name(cmd)+".1")
		return o.Console.WriteFile(path, []byte(Page(cmd, o.Version)), 0o644, true)
	})
}

// each visits the commands that have a page.
func each(cmd *cobra.Command, visit func(*cobra.Command) error) error {
	if !paged(cmd) {
		return nil
	}
	if err := visit(cmd); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := each(sub, visit); err != nil {
			return err
		}
	}
	return nil
}

// paged leaves out what is hidden, and help, which prints what the pages say.
func paged(cmd *cobra.Command) bool { return !cmd.Hidden && cmd.Name() != "help" }

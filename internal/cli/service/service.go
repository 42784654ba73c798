// Package service is the commands service install and uninstall, which for now
// only show what would be done.
package service

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Options is what both take.
type Options struct {
	Console    *console.Console
	OS         string                 // runtime.GOOS
	Executable func() (string, error) // os.Executable
	Plan       bool
	System     bool
}

// New returns the service command.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "Have the system start thumbturnd", Args: cobra.NoArgs,
		Example: "  thumbturn service install --plan"}
	install := &cobra.Command{
		Use:   "install",
		Short: "Show the files and steps that make thumbturnd a service",
		Long: `Show the files and steps that make thumbturnd a service. With --system it runs
under its own user, so that programs of yours cannot read its memory.`,
		Example: "  thumbturn service install --plan\n  thumbturn service install --plan --system",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return Install(o) },
	}
	install.Flags().BoolVar(&o.Plan, "plan", false, "print what would be done")
	install.Flags().BoolVar(&o.System, "system", false, "as a system service, under a user of its own")
	cmd.AddCommand(install)
	return cmd
}

// step is one file to write or one command to run.
type step struct {
	Path string `json:"path,omitempty"`
	Text string `json:"text,omitempty"`
	Run  string `json:"run,omitempty"`
}

// Install prints the plan. Applying it comes in a later release.
func Install(o Options) error {
	if !o.Plan {
		return fault.New(fault.Unavailable, "service install", "", "applying comes in a later release").
			WithHint("see what to do with: thumbturn service install --plan")
	}
	self, err := o.Executable()
	if err != nil {
		return fault.New(fault.Unavailable, "service install", "", "cannot tell where this program lies")
	}
	steps, err := plan(o.OS, filepath.Join(filepath.Dir(self), "thumbturnd"), o.System)
	if err != nil {
		return err
	}
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

func plan(os, daemon string, system bool) ([]step, error) {
	switch {
	case os == "linux" && system:
		return linuxSystem(daemon), nil
	case os == "linux":
		return linuxUser(daemon), nil
	case os == "darwin" && !system:
		return darwinUser(daemon), nil
	case os == "darwin":
		return darwinSystem(daemon), nil
	}
	return nil, fault.New(fault.Unavailable, "service install", "", "there is no service plan for "+os+" yet")
}

// Package uninstall is the uninstall command, which shows what removing Thumbturn
// takes away, and what must be kept.
package uninstall

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Options is what uninstall takes.
type Options struct {
	Console    *console.Console
	OS         string                 // runtime.GOOS
	Executable func() (string, error) // os.Executable
	Plan       bool
	System     bool
}

// New returns the uninstall command.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Show what removing Thumbturn takes away, and what must be kept",
		Long: `Show the files and steps that remove Thumbturn from this computer, and what holds
your secrets and is not among them. With --system for the service under a user of
its own.`,
		Example: "  thumbturn uninstall --plan",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return Uninstall(o) },
	}
	cmd.Flags().BoolVar(&o.Plan, "plan", false, "print what would be done")
	cmd.Flags().BoolVar(&o.System, "system", false, "of the system service")
	return cmd
}

// removal is one step of uninstalling: a command to run, a path to remove, or a
// path to keep, and why.
type removal struct {
	Run    string `json:"run,omitempty"`
	Remove string `json:"remove,omitempty"`
	Keep   string `json:"keep,omitempty"`
	Why    string `json:"why,omitempty"`
	There  *bool  `json:"there,omitempty"` // of a path: whether something is there now
}

// Uninstall prints the plan. It changes nothing; applying it comes in a later
// release.
func Uninstall(o Options) error {
	if !o.Plan {
		return fault.New(fault.Unavailable, "uninstall", "", "applying comes in a later release").
			WithHint("see what to do with: thumbturn uninstall --plan")
	}
	self, err := o.Executable()
	if err != nil {
		return fault.New(fault.Unavailable, "uninstall", "", "cannot tell where this program lies")
	}
	home, err := o.Console.Home()
	if err != nil {
		return err
	}
	all, err := removals(o.OS, filepath.Dir(self), home, o.System)
	if err != nil {
		return err
	}
	for i := range all {
		if p := all[i].Remove + all[i].Keep; filepath.IsAbs(p) {
			_, err := os.Lstat(p)
			there := err == nil
			all[i].There = &there
		}
	}
	if o.Console.JSON() {
		return o.Console.PrintJSON(all)
	}
	for _, r := range all {
		what, at := "run:   ", r.Run
		switch {
		case r.Remove != "":
			what, at = "remove:", r.Remove
		case r.Keep != "":
			what, at = "keep:  ", r.Keep
		}
		note := ""
		if r.There != nil && !*r.There {
			note = " (not there)"
		}
		fmt.Fprintf(o.Console.Out, "%s %s%s\n", what, canon.Escape(at), note)
		if r.Why != "" {
			fmt.Fprintf(o.Console.Out, "        %s\n", r.Why)
		}
	}
	return nil
}

// removals lists, in the order in which it is safe, what ends the service, which
// programs and files may go, and what must stay.
func removals(system, dir string, home api.Home, ofSystem bool) ([]removal, error) {
	out := []removal{
		{Run: "thumbturn backup --to DIR", Why: "first of all, onto another disk; see docs/backup.md for what it can and cannot bring back"},
	}
	switch {
	case system != "linux" && system != "darwin", system == "darwin" && ofSystem:
		return nil, fault.New(fault.Unavailable, "uninstall", "", "there is no such service on "+system+" yet")
	case ofSystem:
		out = append(out, removal{Run: "sudo thumbturn service uninstall --system --for $(id -u)", Why: "if it was made a service"},
			removal{Keep: "/var/lib/thumbturn", Why: "the homes of the service: vaults, ledgers and the share of each"},
			removal{Keep: "user thumbturn-$(id -u)", Why: "it owns the home"})
	default:
		out = append(out, removal{Run: "thumbturn service uninstall", Why: "if it was made a service"},
			removal{Run: "thumbturn daemon stop"})
	}
	out = append(out, removal{Remove: filepath.Join(dir, "thumbturn")}, removal{Remove: filepath.Join(dir, "thumbturnd")},
		removal{Remove: home.Run, Why: "socket and lock"})
	if !ofSystem {
		out = append(out, removal{Keep: home.Data, Why: "the database: every vault, and the ledger"},
			removal{Keep: home.Device, Why: "the share: without it neither the database nor a backup opens"})
	}
	return append(out, removal{Keep: home.Config, Why: "drafts of the policy"},
		removal{Keep: "the recovery code", Why: "on paper; it replaces forgotten passphrases, and whoever has it and the database can open everything"}), nil
}

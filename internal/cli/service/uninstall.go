package service

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// NewUninstall returns the uninstall command.
func NewUninstall(o Options) *cobra.Command {
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

// removals undoes what plan does, in the order in which it is safe, and then
// tells programs, what may go, and what must stay.
func removals(system, dir string, home api.Home, ofSystem bool) ([]removal, error) {
	out := []removal{
		{Run: "thumbturn backup --to DIR", Why: "first of all, onto another disk; see docs/backup.md for what it can and cannot bring back"},
		{Run: "thumbturn daemon stop"},
	}
	switch {
	case system == "linux" && ofSystem:
		out = append(out,
			removal{Run: "sudo systemctl disable --now thumbturnd@$(id -u).socket thumbturnd@$(id -u).service"},
			removal{Remove: "/etc/systemd/system/thumbturnd@.socket"},
			removal{Remove: "/etc/systemd/system/thumbturnd@.service"},
			removal{Run: "sudo systemctl daemon-reload"},
			removal{Remove: "/usr/local/libexec/thumbturnd"},
			removal{Keep: "/var/lib/thumbturn", Why: "the homes of the service: vaults, ledgers and the share of each"},
			removal{Keep: "user thumbturn-$(id -u)", Why: "it owns the home"})
	case system == "linux":
		out = append(out,
			removal{Run: "systemctl --user disable --now thumbturn.socket thumbturn.service"},
			removal{Remove: "~/.config/systemd/user/thumbturn.socket"},
			removal{Remove: "~/.config/systemd/user/thumbturn.service"},
			removal{Run: "systemctl --user daemon-reload"})
	case system == "darwin" && ofSystem:
		out = append(out,
			removal{Run: "sudo launchctl bootout system/com.thumbturn.thumbturnd"},
			removal{Remove: "/Library/LaunchDaemons/com.thumbturn.thumbturnd.plist"},
			removal{Remove: "/usr/local/libexec/thumbturnd"},
			removal{Keep: "/var/thumbturn", Why: "the home of the service: vaults, ledger and share"},
			removal{Keep: "user _thumbturn", Why: "it owns the home"})
	case system == "darwin":
		out = append(out,
			removal{Run: "launchctl bootout gui/$(id -u)/com.thumbturn.thumbturnd"},
			removal{Remove: "~/Library/LaunchAgents/com.thumbturn.thumbturnd.plist"})
	default:
		return nil, fault.New(fault.Unavailable, "uninstall", "", "there is no plan for "+system+" yet")
	}
	out = append(out,
		removal{Remove: filepath.Join(dir, "thumbturn")},
		removal{Remove: filepath.Join(dir, "thumbturnd")},
		removal{Remove: home.Run, Why: "socket and lock"},
		removal{Keep: home.Data, Why: "the database: every vault, and the ledger"},
		removal{Keep: home.Device, Why: "the share: without it neither the database nor a backup opens"},
		removal{Keep: home.Config, Why: "drafts of the policy"},
		removal{Keep: "the recovery code", Why: "on paper; it replaces forgotten passphrases, and whoever has it and the database can open everything"})
	return out, nil
}

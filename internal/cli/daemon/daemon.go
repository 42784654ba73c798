// Package daemon is the commands daemon start, stop and status.
package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the commands of this package take.
type Options struct {
	Console *console.Console
	// Running dials without starting a daemon.
	Running func(context.Context) (*sdk.Client, error)
}

// New returns the daemon command with its subcommands.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{Use: "daemon", Short: "Start, stop or look at thumbturnd", Args: cobra.NoArgs,
		Example: "  thumbturn daemon status"}
	sub := func(use, short string, run func(context.Context, Options) error) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, Example: "  thumbturn daemon " + use,
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) }})
	}
	sub("start", "Start the daemon where it is not running", Start)
	sub("stop", "Stop the daemon; the vaults close", Stop)
	sub("status", "Tell whether the daemon runs, without starting it", Status)
	return cmd
}

// report is what all three print.
type report struct {
	Running bool   `json:"running"`
	PID     int    `json:"pid,omitempty"`
	Version string `json:"version,omitempty"`
	State   string `json:"state,omitempty"`
}

func describe(s *sdk.Client) report {
	h := s.Hello()
	return report{true, h.PID, h.Version, h.State}
}

func (o Options) print(r report) error {
	return o.Console.Print(r, func(w io.Writer) {
		if !r.Running {
			fmt.Fprintln(w, "not running")
			return
		}
		fmt.Fprintf(w, "running: pid %d, version %s, %s\n", r.PID, canon.Escape(r.Version), canon.Escape(r.State))
	})
}

// Start brings the daemon up.
func Start(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error { return o.print(describe(s)) })
}

// Status looks, and starts nothing.
func Status(ctx context.Context, o Options) error {
	s, err := o.Running(ctx)
	if sdk.NotRunning(err) {
		return o.print(report{})
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return o.print(describe(s))
}

// Stop ends the daemon.
func Stop(ctx context.Context, o Options) error {
	s, err := o.Running(ctx)
	if sdk.NotRunning(err) {
		return o.print(report{})
	}
	var pid int
	switch {
	case err == nil:
		defer s.Close()
		pid, err = s.Hello().PID, s.Stop(ctx)
	case sdk.OtherVersion(err): // nobody can ask it
		pid, err = o.signal(ctx)
	}
	if err != nil {
		return err
	}
	if !ended(ctx, pid) {
		return fault.New(fault.Unavailable, "daemon stop", "", "it is still ending").WithHint("look again with `thumbturn daemon status`")
	}
	return o.Console.Print(report{}, func(w io.Writer) { fmt.Fprintln(w, "stopped") })
}

const program = "thumbturnd"

// signal tells a daemon of another release to end: the process that listens on the
// home's socket, if it is a thumbturnd of our own user.
func (o Options) signal(ctx context.Context) (pid int, err error) {
	const op = "daemon stop"
	home, err := o.Console.Home()
	if err != nil {
		return 0, err
	}
	unit := "--user stop thumbturn.service"
	if home.System {
		unit = fmt.Sprintf("stop %s@%d.service", program, os.Getuid())
	}
	who, err := sdk.Serving(ctx, home)
	if err != nil {
		return 0, err
	}
	if who.UID != os.Getuid() || name(who.PID) != program {
		return 0, fault.New(fault.Denied, op, "", fmt.Sprintf("process %d, of user %d, listens there, and is no %s of yours", who.PID, who.UID, program)).
			WithHint("what a service manager started, it ends: systemctl " + unit)
	}
	p, err := os.FindProcess(who.PID) // on Linux it holds the process, and not only its number
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, op, "", err)
	}
	defer p.Release()
	// Who still listens is the one that is held.
	if again, err := sdk.Serving(ctx, home); err != nil || again != who || name(who.PID) != program {
		return 0, fault.New(fault.Unavailable, op, "", "it just ended, or another one started").WithHint("look again with `thumbturn daemon status`")
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, fault.Wrap(fault.Unavailable, op, "", err)
	}
	return who.PID, nil
}

// ended waits until the daemon's process is gone, so that the next command finds
// the home free. Its socket does not tell: where a service manager listens there,
// knocking would start it again.
func ended(ctx context.Context, pid int) bool {
	for range 500 {
		if gone(pid) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

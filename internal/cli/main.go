package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/harden"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shim"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Main runs the program as this process and returns its exit status. Before
// anything else it closes its memory to other programs; an interrupt or a
// request to end cancels what is waited for.
func Main(version string) int {
	if err := harden.Process(); err != nil {
		return console.Fail(os.Stderr, false, fault.Wrap(fault.Unavailable, "start", "", err))
	}
	if len(os.Args) > 1 && os.Args[1] == shim.Command { // our own child, which wants no more of us
		return shim.Main(os.Args[2:])
	}
	ends := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(os.Interrupt) { // a job started in the background keeps ignoring it, and so do its children
		ends = append(ends, os.Interrupt)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	return System(version).Run(ctx, os.Args[1:])
}

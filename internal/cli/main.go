package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/harden"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Main runs the program as this process and returns its exit status. Before
// anything else it closes its memory to other programs; an interrupt or a
// request to end cancels what is waited for.
func Main(version string) int {
	if err := harden.Process(); err != nil {
		return console.Fail(os.Stderr, false, fault.Wrap(fault.Unavailable, "start", "", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return System(version).Run(ctx, os.Args[1:])
}

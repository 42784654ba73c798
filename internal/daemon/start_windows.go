package daemon

import (
	"net"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func cleanStart() error {
	return fault.New(fault.Unavailable, "start", "", "the daemon does not run on Windows yet")
}

func (p *process) restart() error { return cleanStart() }

func bind(string) (*net.UnixListener, error) { return nil, cleanStart() }

func (p *process) lockable() bool { return false }

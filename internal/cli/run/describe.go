package run

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
)

// Describe reports a program as a run of args in dir would, without running it,
// and whether it is a known agent.
func Describe(ctx context.Context, args []string, searchPath, dir string) (desc api.Program, agent bool, err error) {
	p, err := locate(args, searchPath, dir)
	if err != nil {
		return api.Program{}, false, err
	}
	defer p.close()
	if err := p.inspect(); err != nil {
		return api.Program{}, false, err
	}
	if err := p.hash(ctx); err != nil {
		return api.Program{}, false, err
	}
	_, agent = agentOf(p)
	return p.described(), agent, nil
}

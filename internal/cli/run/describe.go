package run

import (
	"context"
	"path/filepath"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/agent"
)

// Describe reports a program as a run of args in dir would, without running it,
// and whether it is a known agent.
func Describe(ctx context.Context, args []string, searchPath, dir string) (desc api.Program, isAgent bool, err error) {
	p, err := locate(args, searchPath, dir)
	if err == nil {
		err = p.look(ctx)
	}
	if err != nil {
		return api.Program{}, false, err
	}
	defer p.close()
	_, isAgent = agentOf(p)
	return p.described(), isAgent, nil
}

// look opens the program and hashes it; the caller closes it where that went well.
func (p *program) look(ctx context.Context) error {
	if err := p.inspect(); err != nil {
		return err
	}
	err := p.hash(ctx)
	if err != nil {
		p.close()
	}
	return err
}

// agentOf names the known agent that a program is.
func agentOf(p *program) (label string, ok bool) {
	called := []string{p.args[0], p.file.path}
	if target, err := filepath.EvalSymlinks(p.file.path); err == nil {
		called = append(called, target)
	}
	return agent.OfCommand(called, p.args[1:])
}

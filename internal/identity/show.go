package identity

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
)

// Marked reports whether the caller's terminal session is marked as a person's.
func (r *Registry) Marked(c Caller) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.marks[c.Session()]
	return ok
}

// SetTestHome tells the registry of a home that was founded while it ran whether
// it is a test home.
func (r *Registry) SetTestHome(test bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opts.TestHome = test
}

// Chain names the asker and its ancestors, nearest first: "bash (812)". The
// names are as programs gave them: escape them before they are shown.
func (c Caller) Chain() []string {
	if c.f == nil {
		return nil
	}
	var out []string
	for _, p := range c.f.view.chain {
		out = append(out, fmt.Sprintf("%s (%d)", filepath.Base(cmp.Or(p.Exe.Path, append(slices.Clip(p.Argv), "?")[0])), p.PID))
	}
	return out
}

// Starter describes the process pid, and names a known agent among it and its
// ancestors. It serves to say who started the daemon.
func (r *Registry) Starter(pid int) (program, agent string) {
	for depth := 0; pid > 1 && depth <= maxDepth; depth++ {
		p, err := r.src.Process(pid)
		if err != nil {
			return program, agent
		}
		program = cmp.Or(program, filepath.Base(p.Exe.Path))
		if label, ok := agentOf(p); ok && agent == "" && !editor(p) {
			agent = label
		}
		pid = p.PPID
	}
	return program, agent
}

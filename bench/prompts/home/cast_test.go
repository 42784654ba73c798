package home

import (
	"slices"
	"testing"
)

// Each actor has a thumbturn of its own, below itself and below whoever is above it.
func TestCast(t *testing.T) {
	c := newCast([]Actor{{Name: "me", Kind: Person, Terminal: PersonTerminal}, {Name: "A", Kind: Agent, Terminal: "T"},
		{Name: "A/s", Kind: Program, Under: "A"}, {Name: "B", Kind: Agent, Terminal: "T"}})
	above := func(name string) (all []string) {
		for p := c.procs[c.asks[name]]; p.PID != initPID; p = c.procs[p.PPID] {
			all = append(all, p.Exe.Path)
		}
		return all
	}
	for name, want := range map[string][]string{
		"me": {"/opt/thumbturn", "/bin/bash"}, "A": {"/opt/thumbturn", "/opt/claude", "/bin/bash"}, "B": {"/opt/thumbturn", "/opt/claude", "/bin/bash"},
		"A/s": {"/opt/thumbturn", "/usr/bin/node", "/opt/claude", "/bin/bash"},
	} {
		if got := above(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if len(c.asks) != 4 || c.procs[c.asks["A"]].PPID == c.procs[c.asks["B"]].PPID || c.procs[c.asks["A"]].SID != c.procs[c.asks["B"]].SID {
		t.Error("two agents in one terminal are two sessions of it")
	}
}

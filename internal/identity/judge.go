package identity

import (
	"slices"

	"github.com/thumbturn/thumbturn/internal/agent"
	"github.com/thumbturn/thumbturn/internal/kernel"
)

const (
	maxDepth     = 128 // ancestors read before the ancestry counts as unreadable
	ancestorArgs = 16  // arguments of an ancestor kept in Evidence
)

// view is one reading of the world around a caller.
type view struct {
	peer  Peer
	boot  string
	ref   Namespaces // what a person's processes must live in
	chain []Process  // the asker first, then its parents up to pid 1
	whole bool       // the chain was read to its end and held meanwhile
	human int        // the uid that is served
}

// asker is the process that connected; views without one are never made.
func (v view) asker() Process { return v.chain[0] }

// leader is the index of the session leader in the chain, -1 if it is not
// among the asker's ancestors: it ended, or the asker was cut loose from it.
func (v view) leader() int {
	sid := v.asker().SID
	if sid == 0 { // led from outside our pid namespace
		return -1
	}
	return slices.IndexFunc(v.chain, func(p Process) bool { return p.PID == sid && p.SID == sid })
}

func (v view) session() Session {
	s := Session{SID: v.asker().SID, BootID: v.boot, TTY: v.asker().TTY.Name}
	if i := v.leader(); i >= 0 {
		s.Leader, s.LeaderStart, s.Namespaces = v.chain[i].PID, v.chain[i].Start, v.chain[i].NS
		s.TTY = v.chain[i].TTY.Name
	}
	return s
}

// near is the chain from the asker to its leader, or all of it without one:
// then nothing says where the asker's own part ends.
func (v view) near() []Process {
	if i := v.leader(); i >= 0 {
		return v.chain[:i+1]
	}
	return v.chain
}

// underAgent: see Caller.UnderAgent.
func (v view) underAgent() (string, bool) {
	if i := v.topAgent(); i >= 0 {
		return agentOf(v.chain[i])
	}
	if !v.whole {
		return "an ancestor that cannot be read", true
	}
	return "", false
}

// topAgent is the index of the topmost known agent, editors passed over.
func (v view) topAgent() int {
	return last(v.chain, func(p Process) bool { _, ok := agentOf(p); return ok && !editor(p) })
}

func agentOf(p Process) (string, bool) { return agent.Of(p.Exe.Path, p.Argv, p.Marks) }

func editor(p Process) bool { return p.Exe.State != kernel.StateUnreadable && agent.Editor(p.Exe.Path) }

// last is the index of the topmost process of a kind, -1 without one.
func last(chain []Process, is func(Process) bool) int {
	for i := len(chain) - 1; i >= 0; i-- {
		if is(chain[i]) {
			return i
		}
	}
	return -1
}

// root finds the root of an agent's session; with a label, or without one if
// the agent is unknown.
func (v view) root(label string) Root {
	at := -1
	if label != "" {
		at = v.topAgent()
	}
	if at < 0 {
		at = v.leader()
	}
	if at < 0 {
		// Never beyond the session: orphans of all sessions meet at pid 1 or
		// at the user's systemd, and would share each other's leases there.
		at = 0
		for at+1 < len(v.chain) && v.chain[at+1].SID == v.asker().SID && v.chain[at+1].UID == v.peer.UID && v.chain[at+1].PID != 1 {
			at++
		}
	}
	return v.rootAt(at)
}

func (v view) rootAt(i int) Root {
	return Root{PID: v.chain[i].PID, Start: v.chain[i].Start, BootID: v.boot}
}

// nearAgent names the known agent between the asker and its leader. Editors
// are not exempt here: a person's terminal starts below them.
func (v view) nearAgent() (string, bool) {
	i := last(v.near(), func(p Process) bool { _, ok := agentOf(p); return ok })
	if i < 0 {
		return "", false
	}
	return agentOf(v.chain[i])
}

// judge decides what the caller is. marked says whether its session is one of
// a person's, and waived whether that session needs no terminal.
func (v view) judge(marked, waived bool) *finding {
	f := &finding{view: v}
	if v.peer.UID != v.human {
		f.why = "another user"
		return f
	}
	f.kind = Agent
	if i := v.topAgent(); i >= 0 {
		f.label, _ = agentOf(v.chain[i])
	} else {
		f.label, _ = v.nearAgent()
	}
	f.root = v.root(f.label)
	if f.why = v.flaw(waived); f.why != "" {
		return f
	}
	if !marked {
		f.why = "terminal session not unlocked here"
		return f
	}
	f.kind, f.label, f.root, f.why = Person, "", v.rootAt(v.leader()), "terminal session unlocked by a person"
	return f
}

// flaw is the first reason why the caller cannot be a person, whether its
// session is marked or not; empty if there is none.
func (v view) flaw(waived bool) string {
	a := v.asker()
	if slices.Contains(a.Unreadable, kernel.UnChain) {
		return "this platform does not show the chain of parents"
	}
	if slices.Contains(a.Unreadable, kernel.UnSession) {
		return "this platform has no terminal sessions by which a person could be told from an agent"
	}
	if label, ok := v.nearAgent(); ok {
		return label + " in the chain"
	}
	if v.leader() < 0 {
		return "the leader of its session is not among its parents"
	}
	lead := v.chain[v.leader()]
	for i, p := range v.near() {
		if why := v.flawOf(i, p, waived && lead.NoNewPrivs); why != "" {
			return why
		}
	}
	switch {
	case waived:
		return ""
	case a.TTY.Nr == 0:
		return "no terminal"
	case a.TTY.Nr != lead.TTY.Nr:
		return "not in its session's terminal"
	case !a.Foreground():
		return "in the background of its terminal"
	}
	return ""
}

// flawOf is why process i of the near chain spoils it. boxed says that the whole
// session, its leader included, lives in a sandbox that sets NoNewPrivs, which a
// test home may do.
func (v view) flawOf(i int, p Process, boxed bool) string {
	has := func(what string) bool { return slices.Contains(p.Unreadable, what) }
	switch {
	case has(kernel.UnStatus):
		return "a process of the chain cannot be read"
	case p.UID != v.human:
		return "another user in the chain"
	case p.SID != v.asker().SID:
		return "another session in the chain"
	case p.NoNewPrivs && !boxed:
		return "NoNewPrivs set"
	// Our own client makes itself unreadable against its own user. For the
	// asker alone that is evidence; in its parents it hides an agent.
	case i > 0 && (has(kernel.UnExe) || has(kernel.UnEnviron) || has(kernel.UnNS) || len(p.Argv) == 0):
		return "a process of the chain cannot be read"
	case !holds(v.ref, p.NS, i == 0):
		return "in other namespaces"
	}
	return ""
}

// holds reports whether other is n, the same mount, pid and user namespace. Links
// that cannot be read match only where weaker facts are allowed to stand in.
func holds(n, other Namespaces, weak bool) bool {
	if n.Mnt == "" || n.PID == "" || n.User == "" {
		return false
	}
	same := func(ours, theirs string) bool { return ours == theirs || theirs == "" && weak && other.Alike }
	return same(n.Mnt, other.Mnt) && same(n.PID, other.PID) && same(n.User, other.User)
}

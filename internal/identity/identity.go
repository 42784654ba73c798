// Package identity turns evidence about the process at the other end of a
// Unix socket into a Caller. It holds the only constructors of a Caller; the
// zero Caller is nobody and everybody denies it.
//
// Evidence only lowers trust. Whoever asks is an agent, unless an unbroken
// chain of parents leads from it to the leader of a terminal session which a
// person marked by an unlock, with no known agent between, in the foreground
// of that terminal, in our own namespaces and without NoNewPrivs.
//
// Limits. The kernel says who connected, not who holds the descriptor now: a
// program may connect, leave the socket to a child and exec an honest program.
// Recheck catches the exec when it happens after Registry.Caller and cannot
// see it before. A program of the same user can imitate names, arguments and
// directories; an unknown agent in the foreground of a marked terminal passes
// as a person. For code of the same user all of this is a speed bump.
package identity

import (
	"fmt"
	"slices"
	"sync"
)

// Kind is what a caller is. The zero Kind is nobody.
type Kind string

// The kinds of callers.
const (
	Nobody  Kind = ""        // denied by everyone
	Agent   Kind = "agent"   // whoever is not shown to be something else
	Person  Kind = "person"  // see the package comment
	Service Kind = "service" // a token or workload identity; nothing here makes one yet
)

// Root names the process a session hangs from, so that it outlives the process
// which happens to ask: the terminal's leader for a person; for an agent the
// topmost process recognised as one, else the leader of its session, else the
// topmost ancestor within that session. Start makes a recycled pid another
// Root and BootID another boot.
type Root struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // clock ticks since boot (Linux), microseconds since 1970 (darwin)
	BootID string `json:"boot_id"`
}

// String is a stable key: "pid.start.boot". The zero Root gives "".
func (r Root) String() string {
	if r == (Root{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%s", r.PID, r.Start, r.BootID)
}

// Session is a terminal session by kernel facts alone. Leader is 0 where the
// leader is not among the asker's ancestors; such a session cannot be marked.
type Session struct {
	SID         int        `json:"sid"`
	Leader      int        `json:"leader"`
	LeaderStart uint64     `json:"leader_start"`
	BootID      string     `json:"boot_id"`
	TTY         string     `json:"tty"`
	Namespaces  Namespaces `json:"namespaces"` // the leader's
}

// Caller is whoever asks. It can only come from a Registry; it is immutable
// and may be copied. Close releases the process descriptor it holds.
type Caller struct{ f *finding }

// finding is what was read once about a caller, and what it amounts to.
type finding struct {
	view  view
	kind  Kind
	label string
	why   string
	root  Root
	mark  mark

	once     sync.Once
	recorded []byte
}

// at is what was found, and for the zero Caller a finding without evidence:
// nobody, of no user, with an ancestry that could not be read.
func (c Caller) at() *finding {
	if c.f == nil {
		return &finding{view: view{peer: Peer{UID: -1}, chain: make([]Process, 1)}, why: "no evidence"}
	}
	return c.f
}

// Kind is what the caller is; Nobody for the zero Caller.
func (c Caller) Kind() Kind { return c.at().kind }

// UID is the user the kernel named at connect; -1 for the zero Caller.
func (c Caller) UID() int { return c.at().view.peer.UID }

// Root is the root of the caller's session; zero for nobody.
func (c Caller) Root() Root { return c.at().root }

// Session is the terminal session the asker is in.
func (c Caller) Session() Session { return c.at().view.session() }

// Label is the name of a known agent, or empty. It is only a label: nothing
// may be allowed because of it.
func (c Caller) Label() string { return c.at().label }

// Agent reports whether the caller counts as an agent. Nobody does too.
func (c Caller) Agent() bool { return c.Kind() == Agent || c.Kind() == Nobody }

// UnderAgent scans the whole ancestry, up to pid 1, and names the known agent
// in it; editors that host agents are exempt. It serves to refuse init,
// unlock, approve and recover. An ancestry that cannot be read to its end
// counts as under an agent, and so does the zero Caller.
func (c Caller) UnderAgent() (string, bool) { return c.at().view.underAgent() }

// HasTerminal reports whether the asker has a controlling terminal.
func (c Caller) HasTerminal() bool { return c.at().view.asker().TTY.Nr != 0 }

// Foreground reports whether the asker's process group owns its terminal.
func (c Caller) Foreground() bool { return c.at().view.asker().Foreground() }

// ParentIsLeader reports whether the session leader itself started the asker;
// the ten-minute reveal needs it, because an unknown agent in the terminal is
// never the leader of the shell's session.
func (c Caller) ParentIsLeader() bool {
	v := c.at().view
	i := v.leader()
	return i >= 0 && v.asker().PPID == v.chain[i].PID
}

// Why says in one sentence, without full stop, why the caller is of its kind.
func (c Caller) Why() string { return c.at().why }

// Evidence is what was read, as plain data to show and to record. See the type
// for what must be masked first.
func (c Caller) Evidence() Evidence {
	v := c.at().view
	e := Evidence{Kind: c.Kind(), Label: c.Label(), Why: c.Why(), UID: c.UID(), Root: c.Root(), Session: v.session(), Complete: v.whole}
	e.UnderAgent, _ = v.underAgent()
	for i, p := range v.chain {
		p.Argv, p.Marks, p.Unreadable = slices.Clone(p.Argv), slices.Clone(p.Marks), slices.Clone(p.Unreadable)
		if i == 0 {
			e.Asker = p
			continue
		}
		if len(p.Argv) > ancestorArgs {
			p.Argv = append(p.Argv[:ancestorArgs], "…")
		}
		e.Ancestors = append(e.Ancestors, p)
	}
	return e
}

// Recorded is the evidence as render encodes it for the record; it is rendered
// once for a caller, and not to be changed.
func (c Caller) Recorded(render func(Evidence) []byte) []byte {
	f := c.at()
	f.once.Do(func() { f.recorded = render(c.Evidence()) })
	return f.recorded
}

// Close releases the process descriptor. A closed Caller fails Recheck; copies
// share the descriptor. Closing twice is harmless.
func (c Caller) Close() {
	if c.f != nil && c.f.view.peer.Handle != nil {
		_ = c.f.view.peer.Handle.Close() // nothing was written to it
	}
}

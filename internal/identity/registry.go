package identity

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/kernel"
	"github.com/thumbturn/thumbturn/internal/local"
)

// Options say whom a Registry serves. The zero Options serve the daemon's own
// user in a home that is not for tests.
type Options struct {
	// System: the daemon runs under a uid of its own and serves Human alone.
	// A person's processes are then compared with pid 1's namespaces, because
	// the daemon's own may be set apart by its service manager.
	System bool
	Human  int
	// TestHome is the home's own flag, from its genesis statement.
	TestHome bool
	Now      func() time.Time // nil means time.Now
}

// Registry makes Callers and remembers which terminal sessions are a person's.
// The marks live in memory only. It is safe for concurrent use.
type Registry struct {
	src  Source
	opts Options

	mu    sync.Mutex       // also guards opts.TestHome
	marks map[Session]bool // a person's sessions; true where no terminal is needed
	known map[int]reading  // of ancestors above a session's leader, by pid
}

// reading is a process as it was read at a time.
type reading struct {
	p  Process
	at time.Time
}

// An ancestor above the leader of its session decides nothing alone: it can only
// bring the name of an agent. While its pulse is the same it is not read again
// for a time, for terminals are deep and callers many.
const (
	knownFor = 5 * time.Second
	maxKnown = 256
)

// New returns a Registry without marks.
func New(src Source, opts Options) *Registry {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Registry{src: src, opts: opts, marks: map[Session]bool{}, known: map[int]reading{}}
}

// TestHome reports whether the refusals under an agent are waived here; who
// waives one records it.
func (r *Registry) TestHome() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opts.TestHome
}

// Caller reads the evidence about whoever connected. Another user gives
// fault.Denied together with a Caller that is nobody and carries the evidence,
// for the record. The caller of Caller closes it.
//
// The evidence is of the moment of this call: call it at accept.
func (r *Registry) Caller(ctx context.Context, conn *local.Conn) (Caller, error) {
	peer, err := r.src.Peer(conn)
	if err != nil {
		return Caller{}, unidentified(err)
	}
	v, err := r.read(peer)
	if err != nil {
		_ = peer.Handle.Close() // the failure to read is what is reported
		return Caller{}, unidentified(err)
	}
	f := r.judge(v)
	c := Caller{f}
	if f.kind == Nobody {
		return c, fault.New(fault.Denied, "identify", "", "this socket serves another user")
	}
	r.digest(ctx, f)
	if !peer.Handle.Alive() {
		c.Close()
		return Caller{}, fault.New(fault.Denied, "identify", "", "the caller has ended")
	}
	return c, nil
}

func unidentified(err error) error {
	if fault.Is(err, fault.Unavailable) {
		return err
	}
	e := fault.Wrap(fault.Denied, "identify", "", err)
	e.Msg = "the caller cannot be identified"
	return e
}

// readings is how often a chain that moves while it is read is read again
// before what held of it has to do.
const readings = 3

// read takes one consistent view of the peer and its ancestors.
func (r *Registry) read(peer Peer) (view, error) {
	self := r.src.Self()
	v := view{peer: peer, boot: self.BootID, ref: self.Namespaces, human: self.UID}
	if r.opts.System {
		v.human = r.opts.Human
		first, err := r.src.Process(1)
		if err != nil {
			return view{}, err
		}
		v.ref = first.NS
	}
	for range readings {
		asker, err := r.src.Process(peer.PID)
		if err != nil {
			return view{}, err
		}
		v.chain = []Process{asker}
		climbed := r.climb(&v)
		settled := r.settle(&v)
		if v.whole = settled && climbed; settled {
			break
		}
	}
	if !peer.Handle.Alive() { // so what was read under its pid was the peer's
		return view{}, fault.New(fault.Denied, "identify", "", "the caller has ended")
	}
	return v, nil
}

// climb adds the ancestors to the chain and reports whether it reached the
// first process. A parent younger than its child is a recycled pid.
func (r *Registry) climb(v *view) bool {
	for p := v.asker(); p.PPID != 0; {
		if len(v.chain) > maxDepth {
			return false
		}
		read := r.src.Process
		if v.leader() >= 0 {
			read = r.far
		}
		parent, err := read(p.PPID)
		if err != nil || parent.PID != p.PPID || parent.Start > p.Start {
			return false
		}
		v.chain = append(v.chain, parent)
		p = parent
	}
	return !slices.Contains(v.asker().Unreadable, kernel.UnChain)
}

// far reads a process, or takes it as it was read lately if it has not executed
// anything since.
func (r *Registry) far(pid int) (Process, error) {
	r.mu.Lock()
	old, ok := r.known[pid]
	r.mu.Unlock()
	if ok && r.opts.Now().Sub(old.at) < knownFor {
		if now, err := r.src.Pulse(pid); err == nil && now == old.p.Pulse() {
			return old.p, nil
		}
	}
	p, err := r.src.Process(pid)
	if err != nil {
		return p, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown {
		clear(r.known)
	}
	r.known[pid] = reading{p, r.opts.Now()}
	return p, nil
}

// settle reads every link again and reports whether all held. Where one did
// not, it cuts the chain: what was read above may belong to somebody else.
func (r *Registry) settle(v *view) bool {
	for i, p := range v.chain {
		now, err := r.src.Pulse(p.PID)
		if err != nil || now.Start != p.Start || now.Image != p.Exe.Image {
			v.chain = v.chain[:max(i, 1)] // the peer's handle tells about the asker
			return false
		}
		if now != p.Pulse() {
			v.chain = v.chain[:i+1]
			return false
		}
	}
	return true
}

func (r *Registry) judge(v view) *finding {
	m := r.markOf(v)
	f := v.judge(m.set, m.waived)
	f.mark = m
	return f
}

// mark is what the registry knows of a session: whether it is a person's, and
// whether it needs no terminal.
type mark struct{ set, waived bool }

func (r *Registry) markOf(v view) mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	waived, set := r.marks[v.session()]
	return mark{set, waived}
}

// digest fills in the hashes of the executables of the asker, the root and the
// leader. One that cannot be had stays empty: evidence, never a match.
func (r *Registry) digest(ctx context.Context, f *finding) {
	lead := f.view.leader()
	for i := range f.view.chain {
		p := &f.view.chain[i]
		if i != 0 && i != lead && p.PID != f.root.PID || p.Exe.Path == "" || p.Exe.State == kernel.StateUnreadable {
			continue
		}
		if sum, err := r.src.Digest(ctx, p.PID, p.Exe); err == nil {
			p.Exe.SHA256 = sum
		}
	}
}

// Recheck reads the evidence again (see again) and fails with fault.Denied if the process
// has ended, executes something else, moved elsewhere, or would now count for
// less. It is called before a prompt and again before delivery.
func (r *Registry) Recheck(c Caller) error {
	denied := func(msg string) error { return fault.New(fault.Denied, "recheck", c.Root().String(), msg) }
	if c.Kind() == Nobody {
		return denied("nobody asks")
	}
	old := c.f.view
	if !old.peer.Handle.Alive() {
		return denied("the caller has ended")
	}
	v, steady, err := r.again(c.f)
	if err != nil {
		return denied("the caller cannot be read any more")
	}
	if what := changed(old.asker(), v.asker()); what != "" {
		return denied("the caller's " + what + " changed since it asked")
	}
	if steady && r.markOf(v) == c.f.mark && v.asker().TTY == old.asker().TTY && v.asker().PGID == old.asker().PGID {
		return nil // what decided then is as it was, the root among it
	}
	if now := r.judge(v); c.f.kind == Person && now.kind != Person {
		return denied("the caller is no longer a person's: " + now.why)
	}
	if !r.Alive(c.f.root) {
		return denied("the root of the caller's session has ended")
	}
	return nil
}

// again is a new view of the peer. The asker is read anew; of its ancestors, up
// to the leader and the root, only that they are the same, in the same place,
// and executed nothing since. Where that does not hold, all is read anew. Those
// further up matter to UnderAgent alone, whose answer is that of the accept.
// steady says that none of them was read anew.
func (r *Registry) again(old *finding) (v view, steady bool, err error) {
	peer, chain := old.view.peer, old.view.chain
	asker, err := r.src.Process(peer.PID)
	if err != nil {
		return view{}, false, err
	}
	top := slices.IndexFunc(chain, func(p Process) bool { return p.PID == old.root.PID })
	top = max(top, old.view.leader()) + 1
	v = old.view
	v.chain = slices.Clone(chain)
	v.chain[0] = asker
	same := asker.PPID == chain[0].PPID
	for _, p := range chain[1:max(top, 1)] {
		now, err := r.src.Pulse(p.PID)
		same = same && err == nil && now == p.Pulse()
	}
	if !same {
		v, err = r.read(peer)
		return v, false, err
	}
	if !peer.Handle.Alive() {
		return view{}, false, fault.New(fault.Denied, "identify", "", "the caller has ended")
	}
	return v, true, nil
}

// changed names the first fact that differs between two readings of a process.
// Its parent may have ended; what that means is for judge.
func changed(a, b Process) string {
	a.Exe.SHA256, b.Exe.SHA256 = "", ""
	for _, fact := range []struct {
		name string
		same bool
	}{
		{"process", a.PID == b.PID && a.Start == b.Start},
		{"user", a.UID == b.UID && a.GID == b.GID},
		{"executable", a.Exe == b.Exe},
		{"argument list", slices.Equal(a.Argv, b.Argv)},
		{"directory", a.Cwd == b.Cwd},
		{"session", a.SID == b.SID},
		{"namespaces", a.NS == b.NS},
		{"privileges", a.NoNewPrivs == b.NoNewPrivs},
		{"readability", slices.Equal(a.Unreadable, b.Unreadable)},
	} {
		if !fact.same {
			return fact.name
		}
	}
	return ""
}

// Alive reports whether the process that root names still runs, in this boot.
// The zero Root is never alive.
func (r *Registry) Alive(root Root) bool {
	if root.PID == 0 || root.BootID == "" || root.BootID != r.src.Self().BootID {
		return false
	}
	now, err := r.src.Pulse(root.PID)
	return err == nil && now.Start == root.Start
}

// Mark makes the caller's terminal session a person's, after an unlock. It
// refuses with fault.Denied under an agent, and whatever could not be a person
// in a marked session.
func (r *Registry) Mark(c Caller) error {
	if label, under := c.UnderAgent(); under {
		return fault.New(fault.Denied, "mark", c.Root().String(), "refused under "+label)
	}
	return r.mark(c, false)
}

// MarkTest is Mark for test homes, and refused elsewhere. It waives the
// terminal, the foreground and the refusal under an agent. A known agent
// between the asker and its session's leader still is one.
func (r *Registry) MarkTest(c Caller) error {
	if !r.TestHome() {
		return fault.New(fault.Denied, "mark", c.Root().String(), "this is not a test home")
	}
	return r.mark(c, true)
}

// Markable refuses, with fault.Denied, a caller whose session could not be marked
// as a person's; waived as in MarkTest.
func Markable(c Caller, waived bool) error {
	if why := c.at().view.flaw(waived); why != "" {
		return fault.New(fault.Denied, "mark", c.Root().String(), why)
	}
	return nil
}

func (r *Registry) mark(c Caller, waived bool) error {
	if err := r.Recheck(c); err != nil {
		return err
	}
	if err := Markable(c, waived); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetEnded()
	r.marks[c.Session()] = waived
	return nil
}

// forgetEnded drops the marks of sessions whose leader has ended, so that the
// map cannot grow for ever. It is called with the lock held.
func (r *Registry) forgetEnded() {
	for s := range r.marks {
		if !r.Alive(Root{PID: s.Leader, Start: s.LeaderStart, BootID: s.BootID}) {
			delete(r.marks, s)
		}
	}
}

// Unmark forgets all sessions: the vaults were locked.
func (r *Registry) Unmark() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.marks)
}

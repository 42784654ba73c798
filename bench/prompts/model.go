package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// A model answers each line of a trace as another policy would, without a broker.
// The person reads as at the real desk.

// windowKey is the key of the time for which the unlocked terminal stays readable.
const windowKey = "window"

// leave is what a gesture gave beyond its own request.
type leave struct {
	until time.Duration
	uses  int
}

// rules are a policy that is modelled.
type rules struct {
	name string
	// free lets a line pass that nobody is asked about, refused ends it.
	free, refused func(*trace, line) bool
	// key is what a gesture for a line gives leave for; empty is for this once.
	key  func(*model, line) string
	life time.Duration // of that leave
	uses int           // of that leave; 0 is any number
	// one answer covers what a session asks for within this time.
	together time.Duration
}

// model is the state of a policy while it goes through a trace.
type model struct {
	rules
	t      *trace
	leaves map[string]leave
	turns  map[string]int           // how often an item was changed
	last   map[string]time.Duration // when a session was last answered, for together
}

// simulate passes a trace through a policy.
func simulate(t *trace, r rules) []done {
	m := &model{rules: r, t: t, leaves: map[string]leave{}, turns: map[string]int{}, last: map[string]time.Duration{}}
	out := make([]done, len(t.lines))
	for n, l := range t.lines {
		out[n] = m.line(l)
		if (l.Do == doPut || l.Do == doBind) && !out[n].Denied && !out[n].Refused && !t.agentic(l.Who) {
			m.turns[item(l.Refs[0])]++
		}
	}
	return out
}

func (m *model) line(l line) done {
	released := l.Do == doRun || l.Do == doRead
	switch {
	case m.free(m.t, l):
		return done{Released: released}
	case m.refused(m.t, l):
		return done{Refused: true}
	}
	key := m.key(m, l)
	if given, ok := m.leaves[key]; ok && key != "" && l.at < given.until && (given.uses > 0 || m.uses == 0) {
		given.uses--
		m.leaves[key] = given
		return done{Released: released, Leased: true}
	}
	d := done{Asked: true, Hour: int(l.at / time.Hour)}
	top := m.t.top(l.Who).Name
	if at, ok := m.last[top]; ok && m.together > 0 && l.at-at <= m.together {
		d.Asked, d.Beside = false, true
	} else {
		m.last[top] = l.at
	}
	if d.Denied = reads(m.request(l), l.Tell); d.Denied {
		return d
	}
	d.Released = released
	switch key {
	case "":
	case windowKey:
		m.leaves[key] = leave{until: l.at + windowLife, uses: len(m.t.lines)}
	default:
		m.leaves[key] = leave{until: l.at + m.life, uses: m.uses}
	}
	return d
}

// request is a line as the real desk would show it.
func (m *model) request(l line) canon.Request {
	r := canon.Request{Action: l.Do, Uses: 1, Caller: canon.Asker{Kind: "agent", Label: "claude", Root: m.t.top(l.Who).Name}}
	if l.Do == doRun {
		p := program(l)
		r.Action, r.Place = "hold", canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: p.Path, Shown: l.Argv, Dir: l.Dir, Names: variables(l.Refs),
			Image: &canon.Image{Hash: p.Hash, File: p.File, Interpreter: p.Interpreter, IntHash: p.IntHash, IntFile: p.IntFile}}
	}
	for _, x := range l.Refs {
		r.Subjects = append(r.Subjects, canon.Subject{Ref: x, Tier: canon.TierStandard, Revision: 1, Writer: "person"})
	}
	return r
}

func item(x string) string { return x[:strings.LastIndex(x, "/")] }

func guarded(l line) bool {
	return slices.ContainsFunc(l.Refs, func(x string) bool { return strings.HasPrefix(x, "op://prod/") })
}

func never(*trace, line) bool { return false }

// listing is what no policy asks about, and writing, which gives nothing away.
func listing(_ *trace, l line) bool { return l.Do == doList || l.Do == doPut }

// freely is what the built-in policy asks nobody about.
func freely(t *trace, l line) bool {
	return listing(t, l) || l.Do == doRun && !t.agentic(l.Who) && !guarded(l)
}

// forbidden is what the built-in policy forbids.
func forbidden(t *trace, l line) bool {
	return t.agentic(l.Who) && (l.Do == doRead || l.Do == doBind)
}

// exactArgv asks for each release.
func exactArgv() rules {
	return rules{name: "exact argv each time", free: listing, refused: never, key: func(*model, line) string { return "" }}
}

// openTerminal lets everything pass in a terminal for ten minutes after a gesture
// in it, listing and writing too.
func openTerminal() rules {
	return rules{name: "terminal open 10 min", free: never, refused: never, life: windowLife,
		key: func(m *model, l line) string { return m.t.top(l.Who).Terminal }}
}

// ours is the built-in policy with leases as the replay gives them. It stands here
// to be varied; a test holds it against the broker.
func ours() rules {
	return rules{name: "as it is", free: freely, refused: forbidden, life: leaseLife, uses: leaseUses, key: (*model).lease}
}

// lease is what a lease or a window is for; empty is for this once.
func (m *model) lease(l line) string {
	switch {
	case guarded(l) || l.Do == doBind:
		return ""
	case l.Do == doRead:
		if a, _ := m.t.actor(l.Who); a.Kind == personActor {
			return windowKey
		}
		return ""
	case !m.t.agentic(l.Who):
		return ""
	}
	var versions []string
	for _, x := range l.Refs {
		versions = append(versions, fmt.Sprint(x, m.turns[item(x)]))
	}
	return fmt.Sprintf("%q %q %q %q %d", m.session(l.Who), l.Argv, l.Dir, versions, l.Text)
}

// session is the topmost known agent above an actor.
func (m *model) session(name string) string {
	top := ""
	for a, ok := m.t.actor(name); ok; a, ok = m.t.actor(a.Under) {
		if a.Kind == agentActor {
			top = a.Name
		}
	}
	return top
}

// task is the command of the project's file that a line runs, with or without
// further arguments, and the task's references; empty for none. A program with
// another text is another set.
func (m *model) task(l line, further bool) string {
	if l.Do != doRun || guarded(l) || !m.t.agentic(l.Who) {
		return ""
	}
	for _, x := range m.t.Tasks {
		same := slices.Equal(x.Argv, l.Argv) || further && len(l.Argv) > len(x.Argv) && slices.Equal(x.Argv, l.Argv[:len(x.Argv)])
		if same && slices.Equal(x.Refs, l.Refs) {
			if l.Text != 0 {
				return fmt.Sprintf("changed %s %d", l.Argv[0], l.Text)
			}
			return "set"
		}
	}
	return ""
}

// tasks is ours where one gesture approves the project's named commands as a set.
func tasks(name string, further, project bool) rules {
	r := ours()
	r.name = name
	r.key = func(m *model, l line) string {
		set := m.task(l, further)
		switch {
		case set == "":
			return m.lease(l)
		case project:
			return set
		}
		return m.session(l.Who) + " " + l.Dir + " " + set
	}
	return r
}

// anyArguments is ours where a lease covers a program whatever its arguments are.
func anyArguments() rules {
	r := ours()
	r.name = "a lease covers other arguments"
	r.key = func(m *model, l line) string {
		if l.Do == doRun {
			l.Argv = l.Argv[:1]
		}
		return m.lease(l)
	}
	return r
}

// whatIf are variations of ours.
func whatIf() []rules {
	longer, together := ours(), ours()
	longer.name, longer.life = "leases of 2 h", 2*time.Hour
	together.name, together.together = "one answer for half a second", 500*time.Millisecond
	named := tasks("named tasks as one set, exact", false, false)
	open := tasks("named tasks, further arguments free", true, false)
	set := tasks("named tasks, exact, 8 h, 0.5 s together", false, false)
	set.life, set.uses, set.together = 8*time.Hour, 0, 500*time.Millisecond
	all := tasks("the same, further arguments free", true, false)
	all.life, all.uses, all.together = 8*time.Hour, 0, 500*time.Millisecond
	shared := tasks("the same, for all sessions of the project", true, true)
	shared.life, shared.uses, shared.together = 8*time.Hour, 0, 500*time.Millisecond
	return []rules{ours(), together, longer, anyArguments(), named, open, set, all, shared}
}

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/bench/prompts/home"
	"github.com/thumbturn/thumbturn/internal/canon"
)

// A model answers each line of a trace as another policy would, without a broker.
// The person reads as at the real desk.

// windowKey is the key of the time for which the unlocked terminal stays readable.
const windowKey = "window"

// leave is what a gesture gave beyond its own request.
type leave struct {
	from, until time.Duration
	uses        int
}

// rules are a policy that is modelled.
type rules struct {
	setup
	// free lets a line pass that nobody is asked about, refused ends it.
	free, refused func(*trace, line) bool
	// key is what a gesture for a line gives leave for; empty is for this once.
	key func(*model, line) string
}

// model is the state of a policy while it goes through a trace.
type model struct {
	rules
	t      *trace
	leaves map[string]leave
	turns  map[string]int     // how often an item was changed
	open   map[string]pending // by session
}

// pending is a question that a session has open.
type pending struct {
	at  time.Duration
	yes map[bool]bool // whether it has one to pass, by whether a lease comes with it
}

// simulate passes a trace through a policy.
func simulate(t *trace, r rules) []done {
	m := &model{rules: r, t: t, leaves: map[string]leave{}, turns: map[string]int{}, open: map[string]pending{}}
	out := make([]done, len(t.lines))
	for n, l := range t.lines {
		if out[n] = m.line(l); l.Do == doAsk {
			continue
		}
		if (l.Do == doPut || l.Do == doBind) && !out[n].Denied && !out[n].Refused && !t.agentic(l.Who) {
			m.turns[item(l.Refs[0])]++
		}
	}
	return out
}

func (m *model) line(l line) done {
	if l.Do == doAsk {
		return m.reserve(l)
	}
	l = m.t.job(l, m.project)
	released := l.Do == doRun || l.Do == doRead
	switch {
	case m.free(m.t, l):
		return done{Released: released}
	case m.refused(m.t, l):
		return done{Refused: true}
	}
	key, more := m.key(m, l), len(l.more) > 0
	if given, ok := m.live(key, l.at); ok {
		given.uses--
		m.leaves[key] = given
		return done{Released: released, Leased: true, Free: more}
	}
	d := m.ask(l, key)
	if !d.Denied {
		d.Released, d.Free = released, more
	}
	return d
}

// reserve asks for what the project's tasks have no leave for yet.
func (m *model) reserve(l line) (d done) {
	if !m.project {
		return d
	}
	for _, job := range m.t.jobs(l) {
		key := m.key(m, job)
		if _, ok := m.live(key, l.at); ok {
			continue
		}
		one := m.ask(job, key)
		d.Asked, d.Hour = d.Asked || one.Asked, one.Hour
		d.Beside = !d.Asked
		d.Given++
	}
	return d
}

// live is the leave for a key at a time.
func (m *model) live(key string, at time.Duration) (leave, bool) {
	given, ok := m.leaves[key]
	return given, ok && key != "" && at >= given.from && at < given.until && given.uses > 0
}

// ask lets a person answer, together with what else the session asks in the moment.
func (m *model) ask(l line, key string) done {
	leased := key != "" && key != windowKey
	top := m.t.top(l.Who).Name
	q, ok := m.open[top]
	if !ok || l.at > q.at+m.together || m.together == 0 {
		q = pending{l.at, map[bool]bool{}}
		m.open[top] = q
	}
	answered := q.at + m.together
	d := done{Hour: int(answered / time.Hour), Denied: reads(m.request(l), l.Tell)}
	if d.Asked = d.Denied || !q.yes[leased]; d.Denied {
		return d
	}
	d.Beside = !d.Asked
	q.yes[leased] = true
	given := leave{from: answered, until: answered + m.life, uses: m.uses}
	if m.together > 0 { // who asks at the end of the moment is in it
		given.from++
	}
	switch key {
	case "":
		return d
	case windowKey:
		given.until, given.uses = answered+windowLife, len(m.t.lines)
	}
	m.leaves[key] = given
	return d
}

// request is a line as the real desk would show it.
func (m *model) request(l line) canon.Request {
	r := canon.Request{Action: l.Do, Uses: 1, Caller: canon.Asker{Kind: "agent", Label: "claude", Root: m.t.top(l.Who).Name}}
	if l.Do == doRun {
		p := program(l)
		r.Action, r.Place = "hold", canon.Place{Free: l.free, Sink: "handoff", Grade: canon.GradeHold, Program: p.Path, Shown: l.Argv, Dir: l.Dir, Names: home.Variables(l.Refs),
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
	return rules{setup: setup{name: "exact argv each time"}, free: listing, refused: never, key: func(*model, line) string { return "" }}
}

// openTerminal lets everything pass in a terminal for ten minutes after a gesture
// in it, listing and writing too.
func openTerminal() rules {
	return rules{setup: setup{name: "terminal open 10 min", life: windowLife, uses: math.MaxInt}, free: never, refused: never,
		key: func(m *model, l line) string { return m.t.top(l.Who).Terminal }}
}

// ours is the built-in policy with leases as the replay gives them, under a setup. It
// stands here to be varied; each replay is held against it.
func ours(s setup) rules {
	return rules{setup: s, free: freely, refused: forbidden, key: (*model).lease}
}

// lease is what a lease or a window is for; empty is for this once.
func (m *model) lease(l line) string {
	switch {
	case guarded(l) || l.Do == doBind:
		return ""
	case l.Do == doRead:
		if a, _ := m.t.actor(l.Who); a.Kind == home.Person {
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
	return fmt.Sprintf("%q %q %v %q %q %d", m.session(l.Who), l.Argv, l.free, l.Dir, versions, l.Text)
}

// session is the topmost known agent above an actor.
func (m *model) session(name string) string {
	top := ""
	for a, ok := m.t.actor(name); ok; a, ok = m.t.actor(a.Under) {
		if a.Kind == home.Agent {
			top = a.Name
		}
	}
	return top
}

// shared is ours where one answer is for all sessions and worktrees of a project.
func shared() rules {
	r := ours(asked())
	r.name = "project ask, for all sessions of the project"
	r.key = func(m *model, l line) string {
		key := m.lease(l)
		if key != "" && l.Task != "" {
			return fmt.Sprintf("task %q %d", l.Task, l.Text)
		}
		return key
	}
	return r
}

// whatIf are variations of ours.
func whatIf() []rules {
	longer, together, day := ours(before()), ours(before()), ours(asked())
	longer.name, longer.life = "leases of 2 h", 2*time.Hour
	together.name, together.together = "one answer for a moment", moment
	day.name, day.project = "one answer for a moment, 8 h, no project ask", false
	return []rules{together, longer, day, shared()}
}

package main

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/bench/prompts/home"
	"github.com/thumbturn/thumbturn/ref"
)

// The traces are written for this benchmark, after what agents do; they are no
// recordings of anybody.
//
//go:embed testdata/*.jsonl
var files embed.FS

// What a line does.
const (
	doRun  = "run"  // argv in dir gets refs in its environment
	doRead = "read" // refs are printed
	doPut  = "put"  // a new value for refs
	doBind = "bind" // another address for the item of refs
	doList = "list"
	doAsk  = "ask" // for leases on the tasks of the project in dir, as one question
)

// What a line is; honest lines bear no mark.
const (
	markHostile  = "hostile"  // somebody misuses the secret, and something in the request differs
	markPoisoned = "poisoned" // nothing in the request differs: what the program reads or calls was changed
)

// line is one thing that an actor does.
type line struct {
	At   string   `json:"at"`
	Who  string   `json:"who"`
	Do   string   `json:"do"`
	Argv []string `json:"argv,omitempty"`
	Refs []string `json:"refs,omitempty"`
	Dir  string   `json:"dir,omitempty"`
	Task string   `json:"task,omitempty"` // that an agent runs instead, where there is a project's file
	Text int      `json:"text,omitempty"` // which text the program's file has: another number is another file
	Mark string   `json:"mark,omitempty"`
	Tell string   `json:"tell,omitempty"` // by which a person who reads it knows; none where nothing tells
	Note string   `json:"note,omitempty"`

	at   time.Duration
	free bool     // of a task behind whose arguments others may follow
	more []string // those
}

// trace is one recorded-looking session of work.
type trace struct {
	Title  string       `json:"title"`
	First  int          `json:"first,omitempty"` // gestures that the design allows in the first hour; 0 is no goal
	Later  int          `json:"later,omitempty"` // and in each hour after
	Actors []home.Actor `json:"actors"`
	Tasks  []task       `json:"tasks,omitempty"` // that the project's file names for agents

	lines []line
}

// traces reads all traces, in the order of their names.
func traces() ([]trace, error) {
	names, err := fs.Glob(files, "testdata/*.jsonl")
	if err != nil || len(names) == 0 {
		return nil, errors.Join(err, errors.New("no traces"))
	}
	var all []trace
	for _, n := range names {
		b, err := files.ReadFile(n)
		if err != nil {
			return nil, err
		}
		t, err := parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// parse reads a trace: a line of JSON about it, then one for each thing done.
func parse(b []byte) (trace, error) {
	var t trace
	in := bufio.NewScanner(bytes.NewReader(b))
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		if n == 1 {
			if err := strictly(in.Bytes(), &t); err != nil {
				return t, fmt.Errorf("line 1: %w", err)
			}
			if err := errors.Join(t.checkActors(), t.checkTasks()); err != nil {
				return t, err
			}
			continue
		}
		var l line
		err := strictly(in.Bytes(), &l)
		if err == nil {
			err = t.check(&l)
		}
		if err != nil {
			return t, fmt.Errorf("line %d: %w", n, err)
		}
		t.lines = append(t.lines, l)
	}
	if in.Err() == nil && len(t.lines) == 0 {
		return t, errors.New("an empty trace")
	}
	return t, in.Err()
}

func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one value")
	}
	return nil
}

func (t *trace) checkActors() error {
	if t.Title == "" || len(t.Actors) == 0 || len(t.Actors) > 100 {
		return errors.New("a trace has a title and 1 to 100 actors")
	}
	for i, a := range t.Actors {
		switch {
		case a.Name == "" || slices.IndexFunc(t.Actors, func(b home.Actor) bool { return b.Name == a.Name }) < i:
			return fmt.Errorf("actor %d has no name of its own", i)
		case a.Kind != home.Agent && a.Kind != home.Program && a.Kind != home.Person:
			return fmt.Errorf("%s is of no kind", a.Name)
		case (a.Under == "") == (a.Terminal == ""):
			return fmt.Errorf("%s is under an actor or in a terminal", a.Name)
		case a.Kind == home.Person && a.Terminal != home.PersonTerminal:
			return fmt.Errorf("%s is not in the terminal %q", a.Name, home.PersonTerminal)
		case a.Under != "" && slices.IndexFunc(t.Actors[:i], func(b home.Actor) bool { return b.Name == a.Under }) < 0:
			return fmt.Errorf("%s is under nobody before it", a.Name)
		}
	}
	return nil
}

func (t *trace) check(l *line) error {
	var err error
	if l.at, err = time.ParseDuration(l.At); err != nil {
		return err
	}
	if l.at < 0 || len(t.lines) > 0 && l.at < t.lines[len(t.lines)-1].at {
		return errors.New("earlier than the line before")
	}
	if _, ok := t.actor(l.Who); !ok {
		return fmt.Errorf("no actor %q", l.Who)
	}
	if l.Mark != "" && l.Mark != markHostile && l.Mark != markPoisoned {
		return fmt.Errorf("no mark %q", l.Mark)
	}
	if l.Tell != "" && l.Mark == "" {
		return errors.New("what tells of an honest line")
	}
	for _, x := range l.Refs {
		if _, err := ref.Parse(x); err != nil {
			return err
		}
	}
	if _, ok := t.task(*l); l.Task != "" && !ok {
		return fmt.Errorf("task %q is not one for this", l.Task)
	}
	switch {
	case l.Do == doRun && len(l.Argv) > 0 && l.Argv[0] != "" && strings.HasPrefix(l.Dir, "/") && len(l.Refs) > 0,
		(l.Do == doRead || l.Do == doPut || l.Do == doBind) && len(l.Refs) == 1 && len(l.Argv) == 0,
		l.Do == doList && len(l.Refs) == 0 && len(l.Argv) == 0,
		l.Do == doAsk && len(l.Refs) == 0 && len(l.Argv) == 0 && strings.HasPrefix(l.Dir, "/") && len(t.Tasks) > 0 && t.agentic(l.Who):
		return nil
	}
	return fmt.Errorf("not what a line that does %q has", l.Do)
}

func (t *trace) actor(name string) (home.Actor, bool) {
	i := slices.IndexFunc(t.Actors, func(a home.Actor) bool { return a.Name == name })
	if i < 0 {
		return home.Actor{}, false
	}
	return t.Actors[i], true
}

// top is the actor at the top of the chain to which one belongs: the session.
func (t *trace) top(name string) home.Actor {
	a, _ := t.actor(name)
	for a.Under != "" {
		a, _ = t.actor(a.Under)
	}
	return a
}

// agentic reports whether a known agent is in the chain of an actor.
func (t *trace) agentic(name string) bool {
	for a, ok := t.actor(name); ok; a, ok = t.actor(a.Under) {
		if a.Kind == home.Agent {
			return true
		}
	}
	return false
}

// refs are the references of a trace, each once.
func (t *trace) refs() []string {
	var all []string
	for _, l := range t.lines {
		all = append(all, l.Refs...)
	}
	for _, x := range t.Tasks {
		all = append(all, x.Refs...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// hours is how many a trace touches.
func (t *trace) hours() int { return int(t.lines[len(t.lines)-1].at/time.Hour) + 1 }

package home

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/local"
)

// What an actor is.
const (
	Agent   = "agent"   // a known agent
	Program = "program" // any program, which starts thumbturn itself
	Person  = "person"  // the leader of the one unlocked terminal
)

// Actor is one who asks.
type Actor struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Under    string `json:"under,omitempty"` // its parent, an earlier actor; else the shell of a terminal
	Terminal string `json:"terminal,omitempty"`
}

// PersonTerminal is the terminal that the person unlocked.
const PersonTerminal = "mine"

// The processes that every trace has: the first, the shell of the unlocked
// terminal, what the person starts there to set up, and to answer.
const (
	initPID   = 1
	shellPID  = 10
	personPID = 11
	answerPID = 12
	othersPID = 100 // from here on: two for each actor, and one for each other terminal
)

// cast is a Source of made-up processes: the actors of a trace, each with the
// thumbturn that it starts.
type cast struct {
	mu    sync.Mutex
	next  int // who connects
	procs map[int]identity.Process
	asks  map[string]int // actor to the pid of its thumbturn
}

type present struct{}

func (present) Alive() bool  { return true }
func (present) Close() error { return nil }

func newCast(actors []Actor) *cast {
	c := &cast{next: personPID, procs: map[int]identity.Process{}, asks: map[string]int{}}
	tty := func(n, foreground int) identity.Terminal {
		return identity.Terminal{Nr: 136<<8 + n, Name: "/dev/pts/" + strconv.Itoa(n), Foreground: foreground}
	}
	mine := tty(0, personPID)
	c.put(initPID, 0, initPID, initPID, "/sbin/init", identity.Terminal{}, "init")
	c.put(shellPID, initPID, shellPID, shellPID, "/bin/bash", mine, "-bash")
	c.put(personPID, shellPID, shellPID, personPID, "/opt/thumbturn", mine, "thumbturn")
	c.put(answerPID, shellPID, shellPID, personPID, "/opt/thumbturn", mine, "thumbturn", "approve")
	shells := map[string]int{PersonTerminal: shellPID}
	own := map[string]int{} // actor to its own process
	next := othersPID
	for _, a := range actors {
		if _, ok := shells[a.Terminal]; !ok && a.Terminal != "" {
			c.put(next, initPID, next, next, "/bin/bash", tty(len(shells), next+1), "-bash")
			shells[a.Terminal] = next
			next++
		}
		parent := shells[a.Terminal]
		if a.Under != "" {
			parent = own[a.Under]
		}
		up := c.procs[parent]
		group := up.TTY.Foreground // all that runs in a terminal is in front of it
		switch a.Kind {
		case Agent:
			c.put(next, parent, up.SID, group, "/opt/claude", up.TTY, "claude")
			parent, next = next, next+1
		case Program:
			c.put(next, parent, up.SID, group, "/usr/bin/node", up.TTY, "node", "/srv/"+a.Name)
			parent, next = next, next+1
		}
		own[a.Name] = parent
		c.put(next, parent, up.SID, group, "/opt/thumbturn", up.TTY, "thumbturn", "run")
		c.asks[a.Name] = next
		next++
	}
	return c
}

func (c *cast) put(pid, parent, sid, group int, exe string, tty identity.Terminal, argv ...string) {
	uid := os.Getuid()
	c.procs[pid] = identity.Process{PID: pid, PPID: parent, Start: uint64(pid), UID: uid, GID: uid, SID: sid, PGID: group, TTY: tty,
		NS: identity.Namespaces{Mnt: "m", PID: "p", User: "u", Net: "n"}, Exe: identity.Exe{Path: exe, Inode: uint64(pid), Image: exe}, Argv: argv, Cwd: "/"}
}

// connects says which process connects next, with which arguments.
func (c *cast) connects(pid int, argv []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = pid
	p := c.procs[pid]
	p.Argv = argv
	c.procs[pid] = p
}

// Self implements identity.Source.
func (c *cast) Self() identity.Self {
	return identity.Self{UID: os.Getuid(), BootID: "boot", Namespaces: c.procs[initPID].NS}
}

// Peer implements identity.Source.
func (c *cast) Peer(*local.Conn) (identity.Peer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return identity.Peer{PID: c.next, UID: c.procs[c.next].UID, Handle: present{}}, nil
}

// Process implements identity.Source.
func (c *cast) Process(pid int) (identity.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.procs[pid]
	if !ok {
		return p, errors.New("no such process")
	}
	return p, nil
}

// Pulse implements identity.Source.
func (c *cast) Pulse(pid int) (identity.Pulse, error) {
	p, err := c.Process(pid)
	return identity.Pulse{Start: p.Start, PPID: p.PPID, SID: p.SID, Image: p.Exe.Image}, err
}

// Digest implements identity.Source.
func (c *cast) Digest(context.Context, int, identity.Exe) (string, error) { return "hash", nil }

// Variables are the names under which a program gets references.
func Variables(refs []string) []string {
	names := make([]string, len(refs))
	for i, x := range refs {
		names[i] = strings.ToUpper(strings.NewReplacer("op://", "", "/", "_", "-", "_").Replace(x))
	}
	return names
}

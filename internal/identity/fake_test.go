package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/thumbturn/thumbturn/internal/kernel"
	"github.com/thumbturn/thumbturn/internal/local"
)

// world is a Source of made-up processes. Tests change it between calls.
type world struct {
	self  Self
	peer  Peer
	procs map[int]Process
	hooks []func(pid int) // run at each Process
	asked []int           // pids whose digest was asked for
}

type fakeHandle struct{ dead bool }

func (h *fakeHandle) Alive() bool  { return !h.dead }
func (h *fakeHandle) Close() error { h.dead = true; return nil }

func (w *world) Self() Self                     { return w.self }
func (w *world) Peer(*local.Conn) (Peer, error) { return w.peer, nil }
func (w *world) Pulse(pid int) (Pulse, error) {
	p, ok := w.procs[pid]
	if !ok {
		return Pulse{}, errors.New("no such process")
	}
	p.Exe.Image = fmt.Sprint(p.Exe.Path, p.Exe.Inode)
	return p.Pulse(), nil
}

func (w *world) Process(pid int) (Process, error) {
	for _, h := range w.hooks {
		h(pid)
	}
	p, ok := w.procs[pid]
	if !ok {
		return Process{}, errors.New("no such process")
	}
	p.Exe.Image = fmt.Sprint(p.Exe.Path, p.Exe.Inode)
	return p, nil
}

func (w *world) Digest(_ context.Context, pid int, _ Exe) (string, error) {
	w.asked = append(w.asked, pid)
	return "hash", nil
}

// edit changes one process.
func (w *world) edit(pid int, f func(*Process)) {
	p := w.procs[pid]
	p.Argv, p.Marks, p.Unreadable = slices.Clone(p.Argv), slices.Clone(p.Marks), slices.Clone(p.Unreadable)
	f(&p)
	w.procs[pid] = p
}

// insert puts a process between a child and its parent, in the child's session
// and group.
func (w *world) insert(pid, child int, name string, argv ...string) {
	p := w.procs[child]
	p.PID, p.Start, p.Unreadable, p.Marks = pid, p.Start-1, nil, nil
	p.Exe, p.Argv, p.Cwd = Exe{Path: name, Inode: uint64(pid)}, append([]string{name}, argv...), "/home/u"
	p.NS = home()
	w.procs[pid] = p
	w.edit(child, func(c *Process) { c.PPID = pid })
}

func home() Namespaces {
	return Namespaces{Mnt: "mnt:[1]", PID: "pid:[2]", User: "user:[3]", Net: "net:[4]"}
}

const (
	human    = 1000
	askPID   = 300
	shellPID = 200
	sshdPID  = 100
)

// terminal is a person's terminal: init, sshd, a login shell that leads the
// session, and our client in the foreground, unreadable as it makes itself.
func terminal() *world {
	tty := Terminal{Nr: 136 << 8, Name: "/dev/pts/0", Foreground: askPID}
	procs := []Process{
		{PID: 1, Start: 1, SID: 1, PGID: 1, Exe: Exe{Path: "/usr/lib/systemd/systemd"}, Argv: []string{"/sbin/init"}},
		{PID: sshdPID, PPID: 1, Start: 50, SID: sshdPID, PGID: sshdPID, Exe: Exe{State: kernel.StateUnreadable}, Argv: []string{"sshd: u"},
			Unreadable: []string{kernel.UnExe, kernel.UnEnviron, kernel.UnNS, kernel.UnCwd}},
		{PID: shellPID, PPID: sshdPID, Start: 60, UID: human, GID: human, SID: shellPID, PGID: shellPID, TTY: tty,
			NS: home(), Exe: Exe{Path: "/usr/bin/bash", Inode: 7}, Argv: []string{"-bash"}, Cwd: "/home/u"},
		{PID: askPID, PPID: shellPID, Start: 70, UID: human, GID: human, SID: shellPID, PGID: askPID, TTY: tty,
			NS: Namespaces{Alike: true}, Exe: Exe{State: kernel.StateUnreadable}, Argv: []string{"thumbturn", "read"},
			Unreadable: []string{kernel.UnExe, kernel.UnCwd, kernel.UnEnviron, kernel.UnNS}},
	}
	w := &world{self: Self{UID: human, BootID: "boot", Namespaces: home()}, procs: map[int]Process{}}
	w.peer = Peer{PID: askPID, UID: human, Handle: &fakeHandle{}}
	for _, p := range procs {
		w.procs[p.PID] = p
	}
	return w
}

func caller(t *testing.T, r *Registry) Caller {
	t.Helper()
	c, err := r.Caller(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// marked is a Registry in which the plain terminal's session is a person's.
func marked(t *testing.T, w *world) *Registry {
	t.Helper()
	r := New(terminal(), Options{})
	if err := r.Mark(caller(t, r)); err != nil {
		t.Fatal(err)
	}
	r.src = w
	clear(r.known)
	return r
}

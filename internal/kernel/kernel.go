// Package kernel reads what the system says about processes: who is at the other
// end of a connection, and what that process and its ancestors are. It judges
// nothing; that is for package identity.
package kernel

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/local"
)

// Source reads the kernel. New returns the real one; tests have their own, and
// there is no other way to replace it: a variable or a flag would be a way to
// choose one's own kind.
type Source interface {
	// Self describes the daemon: its namespaces and uid, and this boot.
	Self() Self
	// Peer says who connected. The handle refers to that very process.
	Peer(conn *local.Conn) (Peer, error)
	// Process reads one process. It fails only if there is none; what cannot
	// be read is named in Unreadable.
	Process(pid int) (Process, error)
	// Pulse says cheaply which process has a pid now and what it executes.
	Pulse(pid int) (Pulse, error)
	// Digest is the SHA-256 of the executable of pid, in hex. It fails if that
	// file is not the one exe describes.
	Digest(ctx context.Context, pid int, exe Exe) (string, error)
}

// Self describes the daemon.
type Self struct {
	UID        int
	BootID     string
	Namespaces Namespaces
}

// Peer is who connected, as the kernel noted it then.
type Peer struct {
	PID    int
	UID    int
	Handle Handle
}

// Handle holds on to a process across the recycling of its pid.
type Handle interface {
	Alive() bool // false once the process has ended, or after Close
	Close() error
}

// Pulse is a process at a moment: two that are equal are of one process, in one
// place, which executed nothing else in between.
type Pulse struct {
	Start uint64 // clock ticks since boot (Linux), microseconds since 1970 (elsewhere)
	PPID  int
	SID   int
	// Image differs after every exec: the name the kernel gives the process,
	// the addresses of its code, stack and arguments, its executable's device
	// and inode. Where they are hidden from us, the name remains.
	Image string
}

// Namespaces are the links under /proc/pid/ns, such as "mnt:[4026531832]";
// empty where unreadable.
type Namespaces struct {
	Mnt  string `json:"mnt"`
	PID  string `json:"pid"`
	User string `json:"user"`
	Net  string `json:"net"`
	// Alike stands in for unreadable links: the first mount's id, the depth of
	// pid namespaces and the uid map, which everybody may read, are the
	// daemon's own.
	Alike bool `json:"alike"`
	// SID is the security identifier of the user on Windows, where users have no
	// number.
	SID string `json:"sid,omitempty"`
}

// Terminal is a process's controlling terminal. Nr 0 is none.
type Terminal struct {
	Nr         int    `json:"nr"`         // device number as in /proc/pid/stat
	Name       string `json:"name"`       // "/dev/pts/3", made from Nr
	Foreground int    `json:"foreground"` // process group that owns it
}

// Exe is the file a process executes, as the kernel holds it.
type Exe struct {
	Path   string `json:"path"`
	State  string `json:"state"` // "", "deleted" or "unreadable"
	Dev    uint64 `json:"dev"`
	Inode  uint64 `json:"inode"`
	Size   int64  `json:"size"`
	Mtime  int64  `json:"mtime"`  // nanoseconds since 1970
	Ctime  int64  `json:"ctime"`  // nanoseconds since 1970
	SHA256 string `json:"sha256"` // hex; only for the asker, its root and its leader
	Image  string `json:"-"`      // see Pulse
}

// Process is the evidence about one process. Programs of the same user can
// imitate Exe, Argv, Cwd and Marks; the rest is the kernel's.
type Process struct {
	PID        int        `json:"pid"`
	PPID       int        `json:"ppid"`
	Start      uint64     `json:"start"` // clock ticks since boot (Linux), microseconds since 1970 (elsewhere)
	UID        int        `json:"uid"`   // effective
	GID        int        `json:"gid"`   // effective
	SID        int        `json:"sid"`
	PGID       int        `json:"pgid"`
	TTY        Terminal   `json:"tty"`
	NoNewPrivs bool       `json:"no_new_privs"`
	NS         Namespaces `json:"ns"`
	Exe        Exe        `json:"exe"`
	Argv       []string   `json:"argv"`
	Cwd        string     `json:"cwd"`
	Marks      []string   `json:"marks"`      // names of known agents' variables in its environment, never values
	Unreadable []string   `json:"unreadable"` // "exe", "environ", "cwd", "ns", "argv", "status", "chain", "session"
}

// The values of Exe.State, beside none.
const (
	StateDeleted    = "deleted"
	StateUnreadable = "unreadable"
)

// The names in Process.Unreadable.
const (
	UnExe     = "exe"
	UnEnviron = "environ"
	UnCwd     = "cwd"
	UnNS      = "ns"
	UnArgv    = "argv"    // unreadable, or longer than what we keep
	UnStatus  = "status"  // uid and NoNewPrivs unknown
	UnChain   = "chain"   // this platform does not show parents
	UnSession = "session" // this platform has no terminal sessions
)

// Pulse is what Source.Pulse said of the process when it was read.
func (p Process) Pulse() Pulse { return Pulse{p.Start, p.PPID, p.SID, p.Exe.Image} }

// Foreground reports whether the process's group owns its terminal.
func (p Process) Foreground() bool { return p.TTY.Nr != 0 && p.PGID != 0 && p.TTY.Foreground == p.PGID }

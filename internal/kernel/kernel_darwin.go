package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/digest"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/local"
)

// kernel asks sysctl. What only libproc tells stays unknown: the working
// directory, and the file that a process really executes, for which the path it
// was started by has to stand in. A process is held by its start time alone.
type kernel struct {
	self   Self
	hashes *digest.Cache[Exe]
}

// New is the Source of this machine.
func New() (Source, error) {
	boot, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "identify", "", err)
	}
	return kernel{Self{UID: os.Geteuid(), BootID: boot, Namespaces: alone()}, digest.NewCache[Exe]()}, nil
}

// alone is the one world there is: this system has no namespaces.
func alone() Namespaces { return Namespaces{Mnt: "none", PID: "none", User: "none"} }

func (k kernel) Self() Self { return k.self }

// Peer asks LOCAL_PEERCRED and LOCAL_PEERPID. Between connect and here the pid
// may have been recycled; only its audit token would tell.
func (k kernel) Peer(conn *local.Conn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Xucred
	var pid int
	var failed error
	err = raw.Control(func(fd uintptr) {
		if cred, failed = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); failed == nil {
			pid, failed = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return Peer{}, err
	}
	info, err := infoOf(pid)
	if err != nil {
		return Peer{}, err
	}
	return Peer{PID: pid, UID: int(cred.Uid), Handle: &held{pid: pid, start: startOf(info)}}, nil
}

func infoOf(pid int) (*unix.KinfoProc, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return nil, err
	}
	if int(info.Proc.P_pid) != pid || info.Proc.P_stat == zombie {
		return nil, unix.ESRCH
	}
	return info, nil
}

const zombie = 5 // SZOMB

func startOf(info *unix.KinfoProc) uint64 {
	at := info.Proc.P_starttime
	return uint64(at.Sec)*1_000_000 + uint64(at.Usec)
}

func argsOf(pid int) (procargs, bool) {
	text, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return procargs{}, false
	}
	defer clear(text)
	return parseProcargs(text)
}

// Process reads one process.
func (k kernel) Process(pid int) (Process, error) {
	info, err := infoOf(pid)
	if err != nil {
		return Process{}, err
	}
	sid, err := sessionOf(pid)
	if err != nil {
		return Process{}, err
	}
	e := info.Eproc
	p := Process{PID: pid, PPID: int(e.Ppid), Start: startOf(info), UID: int(e.Ucred.Uid), GID: int(e.Ucred.Groups[0]), SID: sid,
		PGID: int(e.Pgid), TTY: terminal(e.Tdev, e.Tpgid), NS: alone(), Unreadable: []string{UnCwd}}
	missing := func(what string, bad bool) {
		if bad {
			p.Unreadable = append(p.Unreadable, what)
		}
	}
	args, ok := argsOf(pid)
	missing(UnArgv, !ok)
	p.Argv, p.Marks = args.argv, args.marks
	p.Exe = exeAt(args.path)
	p.Exe.Image = imageOf(info, args.path)
	missing(UnExe, p.Exe.State == StateUnreadable)
	missing(UnEnviron, !args.environ && !guarded(args.path))
	return p, nil
}

// guarded reports whether a program is the system's own. The system shows no
// environment of these, and lets nobody put another program in their place.
func guarded(path string) bool {
	for _, dir := range []string{"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/libexec/", "/System/"} {
		if strings.HasPrefix(filepath.Clean(path), dir) {
			return true
		}
	}
	return false
}

// sessionOf is the session of a process. Terminals here run root's login, which
// leads the session and starts the person's shell: that one counts as its leader.
func sessionOf(pid int) (int, error) {
	sid, err := unix.Getsid(pid)
	if err != nil || sid == 0 || sid == pid {
		return sid, err
	}
	lead, err := infoOf(sid)
	if err != nil || lead.Eproc.Ucred.Uid != 0 || unix.ByteSliceToString(lead.Proc.P_comm[:]) != "login" {
		return sid, nil // an ended leader is nobody's parent
	}
	for at, depth := pid, 0; depth < maxDepth; depth++ {
		info, err := infoOf(at)
		if err != nil {
			return 0, err
		}
		up := int(info.Eproc.Ppid)
		if up == sid {
			return at, nil
		}
		if up <= 1 {
			break
		}
		at = up
	}
	return sid, nil
}

const maxDepth = 128

// terminal names a device as the system numbers them: the major number in the
// upper byte.
func terminal(dev, foreground int32) Terminal {
	major, minor := uint32(dev)>>24, uint32(dev)&0xffffff
	switch {
	case dev == -1 || dev == 0:
		return Terminal{}
	case major == 16:
		return Terminal{Nr: int(dev), Name: fmt.Sprintf("/dev/ttys%03d", minor), Foreground: int(foreground)}
	}
	return Terminal{Nr: int(dev), Name: fmt.Sprintf("tty %d:%d", major, minor), Foreground: int(foreground)}
}

// imageOf is Pulse.Image: the name and the path that exec gave the process.
func imageOf(info *unix.KinfoProc, path string) string {
	return unix.ByteSliceToString(info.Proc.P_comm[:]) + " " + path
}

// exeAt describes the file that stands now where the process was started from.
func exeAt(path string) Exe {
	var st unix.Stat_t
	if !filepath.IsAbs(path) || unix.Stat(path, &st) != nil {
		return Exe{Path: path, State: StateUnreadable}
	}
	return Exe{Path: path, Dev: uint64(st.Dev), Inode: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano()}
}

// Pulse says which process has a pid now.
func (k kernel) Pulse(pid int) (Pulse, error) {
	info, err := infoOf(pid)
	if err != nil {
		return Pulse{}, err
	}
	sid, err := sessionOf(pid)
	if err != nil {
		return Pulse{}, err
	}
	args, _ := argsOf(pid) // unreadable now and before, or a change
	return Pulse{startOf(info), int(info.Eproc.Ppid), sid, imageOf(info, args.path)}, nil
}

// Digest hashes the file at the path, if it is still the one that exe describes.
func (k kernel) Digest(ctx context.Context, _ int, exe Exe) (string, error) {
	key := exe
	key.State, key.SHA256, key.Image = "", "", ""
	return digestAt(ctx, k.hashes, key, func() Exe { return exeAt(key.Path) })
}

// held is a process by pid and start time.
type held struct {
	pid    int
	start  uint64
	closed atomic.Bool
}

func (h *held) Alive() bool {
	info, err := infoOf(h.pid)
	return err == nil && startOf(info) == h.start && !h.closed.Load()
}

func (h *held) Close() error {
	h.closed.Store(true)
	return nil
}

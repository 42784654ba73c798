package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/agent"
)

// What we read of a process at most, in bytes. A longer argument list is cut
// and marked unreadable; a longer environment is unreadable as a whole, since
// a mark might stand behind the end.
const (
	maxArgv    = 256 << 10
	maxEnviron = 4 << 20
	maxText    = 64 << 10
)

// stat is the part of /proc/pid/stat that we use (proc_pid_stat(5)).
type stat struct {
	state                            byte
	ppid, pgid, sid, tty, foreground int
	start                            uint64 // clock ticks since boot
	image                            string // name, and addresses of code, stack, arguments and environment
}

// parseStat reads /proc/pid/stat. The name in parentheses is the process's own
// choice and may hold parentheses, blanks and newlines: the last ")" ends it.
func parseStat(text string) (stat, error) {
	bad := errors.New("kernel: malformed stat")
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, bad
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, bad
	}
	s := stat{state: fields[0][0]}
	for i, to := range []*int{&s.ppid, &s.pgid, &s.sid, &s.tty, &s.foreground} {
		n, err := strconv.ParseInt(fields[1+i], 10, 32)
		if err != nil {
			return stat{}, bad
		}
		*to = int(n)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil || s.ppid < 0 {
		return stat{}, bad
	}
	s.start = start
	s.image = text[:end] + ")"
	for _, i := range imageFields {
		if i < len(fields) {
			s.image += " " + fields[i]
		}
	}
	return s, nil
}

// imageFields are start_code, end_code, start_stack, arg_start, arg_end,
// env_start and env_end of stat, counted from the state. The kernel draws their
// addresses anew at each exec.
var imageFields = [...]int{23, 24, 25, 45, 46, 47, 48}

// imageOf is Pulse.Image.
func imageOf(s stat, dev, inode uint64) string {
	return s.image + " " + strconv.FormatUint(dev, 36) + ":" + strconv.FormatUint(inode, 36)
}

// status is the part of /proc/pid/status that we use.
type status struct {
	uid, gid   int // effective
	noNewPrivs bool
	pidDepth   int // nested pid namespaces below ours, 1 for our own
}

// parseStatus demands every line it uses, each once: a missing one is not a
// zero.
func parseStatus(text string) (status, error) {
	bad := errors.New("kernel: malformed status")
	var uid, gid, nnp, ns []string
	for line := range strings.Lines(text) {
		key, rest, _ := strings.Cut(line, ":")
		var to *[]string
		switch key {
		case "Uid":
			to = &uid
		case "Gid":
			to = &gid
		case "NoNewPrivs":
			to = &nnp
		case "NSpid":
			to = &ns
		default:
			continue
		}
		if *to != nil {
			return status{}, bad
		}
		*to = strings.Fields(rest)
	}
	if len(uid) != 4 || len(gid) != 4 || len(nnp) != 1 || len(ns) == 0 {
		return status{}, bad
	}
	u, err := strconv.Atoi(uid[1])
	g, err2 := strconv.Atoi(gid[1])
	if err != nil || err2 != nil || u < 0 || g < 0 {
		return status{}, bad
	}
	return status{uid: u, gid: g, noNewPrivs: nnp[0] != "0", pidDepth: len(ns)}, nil
}

// ttyName makes a name from the device number of stat; the kernel's encoding
// has the minor number in two parts (new_encode_dev).
func ttyName(nr int) string {
	major, minor := nr>>8&0xfff, nr&0xff|nr>>12&0xfff00
	switch {
	case nr == 0:
		return ""
	case major >= 136 && major <= 143: // Unix98 terminals
		return fmt.Sprintf("/dev/pts/%d", (major-136)<<8|minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("/dev/tty%d", minor)
	case major == 4:
		return fmt.Sprintf("/dev/ttyS%d", minor-64)
	}
	return fmt.Sprintf("tty %d:%d", major, minor)
}

func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// procText reads a file of /proc/pid, and one byte more than max if there is
// more.
func procText(pid int, name string, max int64) ([]byte, error) {
	// Plain system calls: an os.File costs eight more of them a file, and a
	// caller is some fifty files.
	fd, err := unix.Open(procPath(pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	out := make([]byte, 0, 4096)
	for int64(len(out)) <= max {
		out = slices.Grow(out, 4096)
		n, err := unix.Read(fd, out[len(out):min(int64(cap(out)), max+1)])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return out, err
		}
		out = out[:len(out)+n]
	}
	return out, nil
}

func procStat(pid int) (stat, error) {
	if pid <= 0 {
		return stat{}, fs.ErrNotExist
	}
	text, err := procText(pid, "stat", maxText)
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(string(text))
	if err == nil && (s.state == 'Z' || s.state == 'X') {
		return stat{}, unix.ESRCH
	}
	return s, err
}

func procStatus(pid int) (status, error) {
	text, err := procText(pid, "status", maxText)
	if err != nil {
		return status{}, err
	}
	return parseStatus(string(text))
}

// readProcess reads all we want of a process; self is what its namespaces are
// compared with by the weaker facts.
func readProcess(pid int, self ground) (Process, error) {
	s, err := procStat(pid)
	if err != nil {
		return Process{}, err
	}
	p := Process{PID: pid, PPID: s.ppid, Start: s.start, UID: -1, GID: -1, SID: s.sid, PGID: s.pgid,
		TTY: Terminal{Nr: s.tty, Name: ttyName(s.tty), Foreground: s.foreground}}
	missing := func(what string, bad bool) {
		if bad {
			p.Unreadable = append(p.Unreadable, what)
		}
	}
	st, err := procStatus(pid)
	missing(UnStatus, err != nil)
	if err == nil {
		p.UID, p.GID, p.NoNewPrivs = st.uid, st.gid, st.noNewPrivs
	}
	var whole bool
	p.Argv, whole = procArgv(pid)
	missing(UnArgv, !whole)
	p.Exe = procExe(pid)
	p.Exe.Image = imageOf(s, p.Exe.Dev, p.Exe.Inode)
	missing(UnExe, p.Exe.State == StateUnreadable)
	p.Cwd, err = os.Readlink(procPath(pid, "cwd"))
	missing(UnCwd, err != nil)
	p.Marks, err = procMarks(pid)
	missing(UnEnviron, err != nil)
	p.NS = procNamespaces(pid)
	if p.NS.Mnt == "" || p.NS.PID == "" || p.NS.User == "" {
		missing(UnNS, true)
		p.NS.Alike = self.alike(pid)
	}
	return p, nil
}

// procArgv reads the argument list; false if it is not the whole one.
func procArgv(pid int) ([]string, bool) {
	text, err := procText(pid, "cmdline", maxArgv)
	if err != nil {
		return nil, false
	}
	if len(text) == 0 {
		return nil, true // a kernel thread
	}
	kept := string(text[:min(len(text), maxArgv)])
	return strings.Split(strings.TrimSuffix(kept, "\x00"), "\x00"), len(kept) == len(text)
}

// procMarks gives the known agents' variables in the environment that the
// process was started with, by name. Values are not looked at.
func procMarks(pid int) ([]string, error) {
	text, err := procText(pid, "environ", maxEnviron)
	if err != nil {
		return nil, err
	}
	if len(text) > maxEnviron {
		return nil, errors.New("kernel: environment too long")
	}
	defer clear(text)
	var marks []string
	for entry := range bytes.SplitSeq(text, []byte{0}) {
		name, _, _ := bytes.Cut(entry, []byte("="))
		if agent.Mark(string(name)) {
			marks = append(marks, string(name))
		}
	}
	slices.Sort(marks)
	return slices.Compact(marks), nil
}

// procExe describes the executable without opening it.
func procExe(pid int) Exe {
	link := procPath(pid, "exe")
	name, err := os.Readlink(link)
	var st unix.Stat_t
	if err == nil {
		err = unix.Stat(link, &st)
	}
	if err != nil {
		return Exe{State: StateUnreadable}
	}
	e := exeOf(name, &st)
	if cut, ok := strings.CutSuffix(name, " (deleted)"); ok && st.Nlink == 0 {
		e.Path, e.State = cut, StateDeleted
	}
	return e
}

func exeOf(name string, st *unix.Stat_t) Exe {
	return Exe{Path: name, Dev: uint64(st.Dev), Inode: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano()}
}

func procNamespaces(pid int) Namespaces {
	var n Namespaces
	for name, to := range map[string]*string{"mnt": &n.Mnt, "pid": &n.PID, "user": &n.User, "net": &n.Net} {
		*to, _ = os.Readlink(procPath(pid, "ns/"+name)) // empty is unreadable
	}
	return n
}

// ground is what anybody may read about the daemon's own namespaces.
type ground struct {
	mount    string // id of the first mount: copies of a mount namespace have ids of their own
	uidMap   string
	pidDepth int
}

func readGround(pid int) (ground, error) {
	st, err := procStatus(pid)
	uids, err2 := procText(pid, "uid_map", maxText)
	mounts, err3 := procText(pid, "mountinfo", maxText)
	g := ground{uidMap: strings.Join(strings.Fields(string(uids)), " "), pidDepth: st.pidDepth}
	g.mount, _, _ = strings.Cut(string(mounts), " ")
	return g, errors.Join(err, err2, err3)
}

// alike is false where something is missing, on either side.
func (g ground) alike(pid int) bool {
	other, err := readGround(pid)
	return err == nil && other == g && g.pidDepth > 0 && g.mount != "" && g.uidMap != ""
}

package identity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/digest"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/kernel"
)

// The tests of this file look at real processes over a real socket: the test's
// binary executes itself as the leader of a terminal session, and that starts
// the askers. The roles stand in the arguments:
//
//	leader SOCKET STAGE...   runs each stage in turn and waits for it
//	ask SOCKET               connects and waits until told
//	quiet SOCKET             the same, unreadable as our own client
//	between SOCKET           starts ask and waits for it
//	unprivileged SOCKET      the same, with NoNewPrivs
const role = "identity-test-role"

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == role {
		if err := play(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
			fmt.Fprintln(os.Stderr, "role", os.Args[2], err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(name, socket string, rest []string) error {
	switch name {
	case "leader":
		for _, stage := range rest {
			if err := run(stage, socket); err != nil {
				return fmt.Errorf("%s: %w", stage, err)
			}
		}
		return nil
	case "between":
		return start("ask", socket, nil).Run()
	case "quiet":
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return err
		}
	case "unprivileged":
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		return start("ask", socket, nil).Run()
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	word, err := bufio.NewReader(conn).ReadString('\n')
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case word == "exec\n": // the socket stays open in the new program
		raw, err := conn.(*net.UnixConn).SyscallConn()
		if err != nil {
			return err
		}
		if err := raw.Control(func(fd uintptr) { _, err = unix.FcntlInt(fd, unix.F_SETFD, 0) }); err != nil {
			return err
		}
		return syscall.Exec("/bin/sleep", []string{"honest", "20"}, nil)
	}
	return nil
}

// bare is an environment without marks. The race detector's sleep at exit would
// cost each role a second.
func bare() []string { return []string{"GORACE=atexit_sleep_ms=0"} }

func start(name, socket string, attr *syscall.SysProcAttr) *exec.Cmd {
	self, _ := os.Executable()
	cmd := exec.Command(self, role, name, socket)
	cmd.Env, cmd.Stderr, cmd.SysProcAttr = bare(), os.Stderr, attr
	return cmd
}

// run plays one stage of the leader.
func run(stage, socket string) error {
	cmd := start("ask", socket, nil)
	switch stage {
	case "ask":
	case "quiet", "between", "unprivileged":
		cmd = start(stage, socket, nil)
	case "agent":
		cmd = start("between", socket, nil)
		cmd.Args[0] = "claude"
	case "mark":
		cmd.Env = append(cmd.Env, "CLAUDECODE=1")
	case "detached":
		cmd = start("ask", socket, &syscall.SysProcAttr{Setsid: true})
	case "background":
		cmd = start("ask", socket, &syscall.SysProcAttr{Setpgid: true})
	case "userns": // a mount namespace of its own; unreadable as well
		cmd = start("quiet", socket, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}})
	case "hold": // so that the terminal stays
		cmd = exec.Command("/bin/sleep", "20")
	case "orphan":
		cmd = exec.Command("/bin/sh", "-c", `"$0" "$@" & exit 0`, cmd.Path, role, "ask", socket)
		cmd.Env = bare()
	default:
		return errors.New("unknown stage")
	}
	return cmd.Run()
}

// cut is the kernel with the ancestry ending at the test itself: whoever
// started the test may be an agent.
type cut struct {
	Source
	at int
}

func (c cut) Process(pid int) (Process, error) {
	p, err := c.Source.Process(pid)
	if pid == c.at {
		p.PPID, p.Marks = 0, nil
	}
	return p, err
}

func (c cut) Pulse(pid int) (Pulse, error) {
	p, err := c.Source.Pulse(pid)
	if pid == c.at {
		p.PPID = 0
	}
	return p, err
}

// pty opens a new terminal and returns both ends.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NO PSEUDO TERMINAL HERE, real terminal sessions are NOT tested: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// stand is a listening socket and a leader that plays stages at it.
type stand struct {
	t    *testing.T
	l    *net.UnixListener
	r    *Registry
	lead *exec.Cmd
}

func newStand(t *testing.T, opts Options, terminal bool, stages ...string) *stand {
	t.Helper()
	src, err := Kernel()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "id") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &stand{t: t, l: l, r: New(cut{src, os.Getpid()}, opts)}
	s.lead = start("leader", socket, &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL})
	s.lead.Args = append(s.lead.Args, stages...)
	if terminal {
		_, slave := pty(t)
		s.lead.Stdin, s.lead.SysProcAttr.Setctty = slave, true
	}
	if err := s.lead.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.lead.Process.Kill()
		s.lead.Wait()
	})
	return s
}

// next takes the next stage's connection.
func (s *stand) next() (Caller, *net.UnixConn) {
	s.t.Helper()
	if err := s.l.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	conn, err := s.l.AcceptUnix()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	c, err := s.r.Caller(s.t.Context(), conn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c, conn
}

func (s *stand) want(kind Kind, why string) {
	s.t.Helper()
	c, conn := s.next()
	if c.Kind() != kind || c.Why() != why {
		s.t.Errorf("%s, %q; want %s, %q\n%+v", c.Kind(), c.Why(), kind, why, c.Evidence())
	}
	if err := s.r.Recheck(c); err != nil {
		s.t.Error(err)
	}
	conn.Close()
}

func TestRealTerminal(t *testing.T) {
	s := newStand(t, Options{}, true, "ask", "ask", "quiet", "between", "agent", "mark", "unprivileged", "detached", "background", "ask")
	c, conn := s.next()
	if c.Kind() != Agent || c.Why() != "terminal session not unlocked here" || !c.Foreground() || !c.ParentIsLeader() {
		t.Fatalf("%s, %q\n%+v", c.Kind(), c.Why(), c.Evidence())
	}
	if e := c.Evidence(); len(e.Asker.Exe.SHA256) != 64 || e.Asker.Exe.SHA256 != e.Ancestors[0].Exe.SHA256 || !strings.HasPrefix(e.Asker.TTY.Name, "/dev/pts/") {
		t.Errorf("%+v", e.Asker)
	}
	if err := s.r.Mark(c); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	const yes = "terminal session unlocked by a person"
	s.want(Person, yes) // ask
	c, conn = s.next()  // quiet
	if c.Kind() != Person || !c.ParentIsLeader() {
		t.Errorf("our own client is %s: %s\n%+v", c.Kind(), c.Why(), c.Evidence().Asker)
	}
	if un := c.Evidence().Asker.Unreadable; os.Geteuid() != 0 && !slices.Equal(un, []string{kernel.UnExe, kernel.UnCwd, kernel.UnEnviron, kernel.UnNS}) {
		t.Errorf("unreadable: %v", un)
	}
	conn.Close()
	s.want(Person, yes) // between: an unknown program in the foreground passes
	c, conn = s.next()  // agent
	if c.Kind() != Agent || c.Label() != "claude" || c.Why() != "claude in the chain" || c.Root().PID == c.Session().Leader || !s.r.Alive(c.Root()) {
		t.Errorf("%s %q %q", c.Kind(), c.Label(), c.Why())
	}
	if err := s.r.Mark(c); !fault.Is(err, fault.Denied) {
		t.Errorf("an agent marked a session: %v", err)
	}
	conn.Close()
	s.want(Agent, "claude in the chain") // mark
	s.want(Agent, "NoNewPrivs set")
	s.want(Agent, "no terminal") // detached: leads a session of its own
	s.want(Agent, "in the background of its terminal")
	s.r.Unmark()
	s.want(Agent, "terminal session not unlocked here")
	if err := s.lead.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRealOrphan: the asker's parent starts it and ends, which cuts the asker
// from the leader though terminal, session and group stay. The kernel may need
// a moment for it.
func TestRealOrphan(t *testing.T) {
	s := newStand(t, Options{}, true, "ask", "orphan", "hold")
	c, conn := s.next()
	if err := s.r.Mark(c); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := s.l.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := s.l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 500 {
		if c, err = s.r.Caller(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if c.Kind() == Agent {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Its root is itself: at pid 1 it would meet the orphans of all sessions.
	if c.Kind() != Agent || c.Why() != "the leader of its session is not among its parents" || c.ParentIsLeader() || c.Root().PID != c.Evidence().Asker.PID {
		t.Errorf("%s, %q, root %s", c.Kind(), c.Why(), c.Root())
	}
}

func TestRealNamespaces(t *testing.T) {
	if out, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err != nil || strings.TrimSpace(string(out)) == "0" {
		t.Skip("NO USER NAMESPACES HERE, other namespaces are NOT tested on real processes")
	}
	s := newStand(t, Options{}, true, "ask", "userns")
	c, conn := s.next()
	if err := s.r.Mark(c); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := s.l.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := s.l.AcceptUnix()
	if err != nil {
		t.Skipf("NO USER NAMESPACE COULD BE MADE: %v", err)
	}
	defer conn.Close()
	c, err = s.r.Caller(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Kind() != Agent || c.Why() != "in other namespaces" {
		t.Errorf("%s, %q\n%+v", c.Kind(), c.Why(), c.Evidence().Asker)
	}
}

func TestRealTestHome(t *testing.T) {
	s := newStand(t, Options{TestHome: true}, false, "ask", "ask", "agent")
	c, conn := s.next()
	if err := s.r.Mark(c); !fault.Is(err, fault.Denied) {
		t.Errorf("marked without a terminal: %v", err)
	}
	if err := s.r.MarkTest(c); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.want(Person, "terminal session unlocked by a person")
	s.want(Agent, "claude in the chain")
}

// TestRealExec: the asker connects, keeps the socket and executes an honest
// program; its pid, start time and handle stay the same.
func TestRealExec(t *testing.T) {
	s := newStand(t, Options{}, true, "ask", "ask")
	c, conn := s.next()
	if err := s.r.Mark(c); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "exec\n"); err != nil {
		t.Fatal(err)
	}
	if err := denied(s.r, c); !strings.Contains(err, "changed") {
		t.Errorf("after exec: %s", err)
	}
	pid := c.Evidence().Asker.PID
	if p, err := s.r.src.Process(pid); err != nil || p.Start != c.Evidence().Asker.Start {
		t.Fatalf("%+v %v", p, err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil { // a grandchild of ours, held by its handle
		t.Fatal(err)
	}
	for range 500 {
		if !c.f.view.peer.Handle.Alive() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := denied(s.r, c); !strings.Contains(err, "has ended") {
		t.Errorf("after its end: %s", err)
	}
}

// denied waits until Recheck fails, five seconds at most, and returns how.
func denied(r *Registry, c Caller) string {
	for range 500 {
		if err := r.Recheck(c); fault.Is(err, fault.Denied) {
			return err.Error()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "not at all"
}

// TestDigestOfSelf: the hash is of the file that was described, or none.
func TestDigestOfSelf(t *testing.T) {
	src, err := Kernel()
	if err != nil {
		t.Fatal(err)
	}
	p, err := src.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p.Exe.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := digest.Of(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := src.Digest(t.Context(), p.PID, p.Exe); got != want || err != nil {
		t.Errorf("%s %v", got, err)
	}
	p.Exe.Inode++
	if got, err := src.Digest(t.Context(), p.PID, p.Exe); err == nil {
		t.Errorf("%s for another file", got)
	}
}

// TestAsOrdinaryUser runs the tests of real processes once more without
// privileges: root can read what others cannot.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this run has no privileges anyway")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "identity.test")
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(binary, 0o755)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.run=TestReal|TestReadSelf|TestHandle|TestDigestOfSelf")
	cmd.Dir, cmd.Env = "/", []string{"TMPDIR=" + dir, "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("NO OTHER USER HERE, unprivileged reading is NOT tested: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

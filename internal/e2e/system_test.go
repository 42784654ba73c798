//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/api"
)

const (
	humanUID    = 64000
	serviceUID  = 64001
	strangerUID = 64002
)

// service is a daemon in system mode and the human it serves. The test plays the
// service manager: it made the folders and listens.
type service struct {
	t      *testing.T
	top    string // human/ and state/ lie here, and a copy of this program
	listen *net.UnixListener
	human  *shell
}

// TestSystemMode runs its parts as the first process of a pid and a mount
// namespace, so that /run is the test's own and what is compared with pid 1's
// namespaces can be read.
func TestSystemMode(t *testing.T) {
	root(t)
	if os.Getenv(firstMark) == "" {
		t.Parallel()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestSystemMode$", "-test.v")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TMPDIR=" + os.TempDir(), firstMark + "=" + bin}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("--- SKIP: TestSystemMode")) || cmd.Process == nil {
			t.Skipf("*** SKIP: no namespaces here: %v\n%s", err, out)
		}
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSystemMode/stopped")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, m := range []struct {
		from, to, kind string
		flags          uintptr
	}{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0},
	} {
		if err := syscall.Mount(m.from, m.to, m.kind, m.flags, ""); err != nil {
			t.Skipf("*** SKIP: no mounts here: %v", err)
		}
	}
	if err := os.Chmod("/run", 0o755); err != nil {
		t.Fatal(err)
	}
	s := newService(t)
	t.Run("half set", s.halfSet)
	pid := s.start(capPtrace, capSearch)
	t.Run("life", func(t *testing.T) { s.life(t, pid) })
	t.Run("prying", func(t *testing.T) { s.prying(t, pid) })
	t.Run("strangers", s.strangers)
	t.Run("blind", func(t *testing.T) { s.blind(t, pid) })
	t.Run("stopped", s.stopped)
}

const (
	capPtrace = unix.CAP_SYS_PTRACE
	capSearch = unix.CAP_DAC_READ_SEARCH
)

func newService(t *testing.T) *service {
	t.Helper()
	top, err := os.MkdirTemp("", "tt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	s := &service{t: t, top: top}
	see := api.SystemHome(humanUID)
	for _, d := range []struct {
		path string
		uid  int
		mode os.FileMode
	}{
		{top, 0, 0o755}, {s.path("human"), humanUID, 0o700}, {s.path("state"), serviceUID, 0o700},
		{filepath.Dir(see.Run), 0, 0o755}, {see.Run, 0, 0o755}, {see.Device, serviceUID, 0o755}, {s.path("fake"), 0, 0o755},
	} {
		if err := os.MkdirAll(d.path, 0o700); err != nil {
			t.Fatal(err)
		}
		own(t, d.path, d.uid, d.mode)
	}
	for name, text := range map[string]string{"unlock": unlockPhrase, "presence": presencePhrase} {
		if err := os.WriteFile(s.path("human", name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		own(t, s.path("human", name), humanUID, 0o600)
	}
	if s.listen, err = net.ListenUnix("unix", &net.UnixAddr{Name: see.Socket(), Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	own(t, see.Socket(), humanUID, 0o600)
	if err := os.Symlink(see.Run, s.path("fake", "run")); err != nil { // a forged client's THUMBTURN_HOME
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(s.path("self"), self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.human = newShellOf(t, s.path("self"), []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + s.path("human"), "LANG=C.UTF-8"},
		&syscall.Credential{Uid: humanUID, Gid: humanUID})
	return s
}

func own(t *testing.T, path string, uid int, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func (s *service) path(names ...string) string {
	return filepath.Join(append([]string{s.top}, names...)...)
}

// daemon is thumbturnd as a unit would start it.
func (s *service) daemon(uid int, caps []uintptr, socket bool, env ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", `export LISTEN_PID=$$; exec "$0"`, program("thumbturnd"))
	cmd.Env = append(env, "PATH=/usr/bin:/bin", "HOME="+s.path("state"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, AmbientCaps: caps,
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if socket {
		f, err := s.listen.File()
		if err != nil {
			s.t.Fatal(err)
		}
		cmd.ExtraFiles, cmd.Env = []*os.File{f}, append(cmd.Env, "LISTEN_FDS=1")
	}
	return cmd
}

func (s *service) start(caps ...uintptr) (pid int) {
	s.t.Helper()
	cmd := s.daemon(serviceUID, caps, true, "THUMBTURN_HOME="+s.path("state"), "THUMBTURN_HUMAN="+strconv.Itoa(humanUID))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	return cmd.Process.Pid
}

// do runs thumbturn in the human's shell.
func (s *service) do(t *testing.T, args ...string) result {
	t.Helper()
	return s.human.run(command{Argv: append([]string{program("thumbturn")}, args...)})
}

func (s *service) ok(t *testing.T, args ...string) string {
	t.Helper()
	r := s.do(t, args...)
	if r.Code != 0 {
		t.Fatalf("%v: %v", args, r)
	}
	return r.Out
}

func (s *service) status(t *testing.T) (st api.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.ok(t, "status", "--format", "json")), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// What is set up by half does not become user mode.
func (s *service) halfSet(t *testing.T) {
	home, human := "THUMBTURN_HOME="+s.path("state"), "THUMBTURN_HUMAN="+strconv.Itoa(humanUID)
	tests := []struct {
		name   string
		uid    int
		socket bool
		env    []string
		want   string
	}{
		{"no socket", serviceUID, false, []string{home, human}, "no listening socket"},
		{"the human's own user", humanUID, true, []string{"THUMBTURN_HOME=" + s.path("human", "h"), human}, "the daemon's own user"},
		{"as root", 0, true, []string{home, human}, "runs as root"},
		{"for root", serviceUID, true, []string{home, "THUMBTURN_HUMAN=0"}, "is root"},
		{"no number", serviceUID, true, []string{home, "THUMBTURN_HUMAN=somebody"}, "not the number"},
		{"another spelling", serviceUID, true, []string{home, "THUMBTURN_HUMAN=064000"}, "not the number"},
		{"no home", serviceUID, true, []string{human}, "THUMBTURN_HOME"},
	}
	for _, tt := range tests {
		out, err := s.daemon(tt.uid, nil, tt.socket, tt.env...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v %s", tt.name, err, out)
		}
	}
	if left, err := os.ReadDir(s.path("state")); err != nil || len(left) > 0 {
		t.Errorf("a refused start left %v, %v", left, err)
	}
}

// life is what a person does, and what an agent of theirs may not.
func (s *service) life(t *testing.T, pid int) {
	s.ok(t, "init", "--test-home", "--passphrase-file", s.path("human", "unlock"),
		"--presence-passphrase-file", s.path("human", "presence"), "--recovery-file", s.path("human", "recovery"))
	if st := s.status(t); st.Mode != "system" || st.PID != pid || len(st.Warnings) > 0 || st.Home != s.path("state", "data") {
		t.Errorf("%+v", st)
	}
	if r := s.human.run(command{Argv: []string{program("thumbturn"), "set", "op://dev/api/key"}, Stdin: []byte(canary)}); r.Code != 0 {
		t.Fatal(r)
	}
	use := command{Argv: []string{program("thumbturn"), "run", "--", "sh", "-c", `test "$KEY" = "$0"`, canary}, Env: []string{"KEY=op://dev/api/key"}}
	wantCode(t, s.human.run(use), 0)
	wantCode(t, s.human.run(command{Argv: []string{program("thumbturn"), "read", "--no-wait", "op://dev/api/key"}, Setsid: true}), 3)
	filters := state(t, pid)["Seccomp_filters"]
	s.ok(t, "lock")
	wantCode(t, s.human.run(use), 4)
	s.ok(t, "unlock", "--passphrase-file", s.path("human", "unlock"))
	wantCode(t, s.human.run(use), 0)
	s.ok(t, "audit", "verify")
	got := state(t, pid)
	if got["Seccomp"] != "2" || got["NoNewPrivs"] != "1" || got["Seccomp_filters"] != filters || got["CapEff"] != fmt.Sprintf("%016x", 1<<capPtrace|1<<capSearch) {
		t.Errorf("after a lock (%s filters before): %v", filters, got)
	}
	if _, err := os.Stat(s.path("human", ".local")); err == nil {
		t.Error("something was put into the human's own home")
	}
}

// state is /proc/pid/status.
func state(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(line, ":")
		out[k] = strings.TrimSpace(v)
	}
	return out
}

// prying tries, as the human's user, to see into the daemon; what it tries works
// on a process and a folder of its own.
func (s *service) prying(t *testing.T, pid int) {
	own := s.human.start(command{Argv: []string{"sh", "-c", "echo $$ >" + s.path("human", "pid") + "; exec sleep 20"}, Limit: 20 * time.Second})
	var target int
	for range 200 {
		b, _ := os.ReadFile(s.path("human", "pid"))
		if target, _ = strconv.Atoi(strings.TrimSpace(string(b))); target > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	try := func(pid int, dir, run string) map[string]string {
		r := s.human.run(command{Argv: []string{s.path("self")}, Env: []string{fmt.Sprintf("%s=%d:%s:%s", pryMark, pid, dir, run)}})
		var got map[string]string
		if err := json.Unmarshal([]byte(r.Out), &got); err != nil {
			t.Fatalf("%v: %v", err, r)
		}
		return got
	}
	mine := s.path("human", "h")
	for _, d := range []string{mine, filepath.Join(mine, "data"), filepath.Join(mine, "device")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"data/thumbturn.db", "device/keys", "device/device.pub", "thumbturn.sock"} {
		if err := os.WriteFile(filepath.Join(mine, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "-R", strconv.Itoa(humanUID), mine).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	control := try(target, mine, mine)
	for what, got := range try(pid, s.path("state"), api.SystemHome(humanUID).Run) {
		if got == "" {
			t.Errorf("%s: worked on the daemon", what)
		}
		if control[what] != "" {
			t.Errorf("%s does not work on a process of one's own, so it shows nothing: %s", what, control[what])
		}
	}
	if len(control) < 12 {
		t.Errorf("only %d things were tried", len(control))
	}
	_ = syscall.Kill(target, syscall.SIGKILL)
	<-own
}

// pry tries to see into a process, a home and the folder with its socket, and
// prints why each attempt failed.
func pry() {
	parts := strings.SplitN(os.Getenv(pryMark), ":", 3)
	pid, _ := strconv.Atoi(parts[0])
	proc, home, run := "/proc/"+parts[0]+"/", parts[1], parts[2]
	open := func(path string, flags int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flags, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if flags == os.O_RDONLY && strings.HasPrefix(path, proc) && !strings.HasSuffix(path, "mem") {
				_, err = f.Read(make([]byte, 1))
			}
			return err
		}
	}
	tries := map[string]func() error{
		"memory":     open(proc+"mem", os.O_RDWR),
		"maps":       open(proc+"maps", os.O_RDONLY),
		"environ":    open(proc+"environ", os.O_RDONLY),
		"executable": func() error { _, err := os.Readlink(proc + "exe"); return err },
		"descriptor": func() error { _, err := os.Readlink(proc + "fd/0"); return err },
		"ptrace":     func() error { return syscall.PtraceAttach(pid) },
		"signal":     func() error { return syscall.Kill(pid, 0) },
		"read memory": func() error {
			at := uint64(0x400000) // where a static program's code lies
			if b, err := os.ReadFile(proc + "maps"); err == nil {
				first, _, _ := strings.Cut(string(b), "-")
				at, _ = strconv.ParseUint(first, 16, 64)
			}
			local := []unix.Iovec{{Base: new(byte), Len: 1}}
			_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: 1}}, 0)
			return err
		},
		"list home":   func() error { _, err := os.ReadDir(home); return err },
		"database":    open(filepath.Join(home, "data", "thumbturn.db"), os.O_RDONLY),
		"device keys": open(filepath.Join(home, "device", "keys"), os.O_RDONLY),
		"change key":  open(filepath.Join(run, "device", "device.pub"), os.O_WRONLY),
		"replace key": func() error {
			return os.Rename(filepath.Join(run, "device", "device.pub"), filepath.Join(run, "device", "x"))
		},
		"replace socket": func() error { return os.Remove(filepath.Join(run, "thumbturn.sock")) },
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(tries)) {
		out[name] = ""
		if err := tries[name](); err != nil {
			out[name] = err.Error()
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}

// strangers are all but the one human: other users, the daemon's own, root.
func (s *service) strangers(t *testing.T) {
	ask := func(uid int) result {
		return command{Argv: []string{s.path("self")}, Env: []string{forgeMark + "=reveal", "THUMBTURN_HOME=" + s.path("fake")}, UID: uid}.run()
	}
	if r := ask(strangerUID); !strings.Contains(r.Out, "permission denied") {
		t.Errorf("the socket is open to a stranger: %v", r)
	}
	own(t, api.SystemHome(humanUID).Socket(), humanUID, 0o666)
	for _, uid := range []int{strangerUID, serviceUID, 0} {
		if r := ask(uid); !strings.Contains(r.Out, `"kind":"denied"`) || strings.Contains(r.Out, canary) {
			t.Errorf("user %d: %v", uid, r)
		}
	}
	own(t, api.SystemHome(humanUID).Socket(), humanUID, 0o600)
}

// Without its capabilities the daemon takes everybody for an agent, and says so.
func (s *service) blind(t *testing.T, pid int) {
	s.ok(t, "daemon", "stop")
	if !gone(pid, 5*time.Second) {
		t.Fatal("the daemon goes on")
	}
	for _, caps := range [][]uintptr{nil, {capPtrace}} {
		pid := s.start(caps...)
		s.do(t, "unlock", "--passphrase-file", s.path("human", "unlock"))
		if st := s.status(t); st.PID != pid || len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], "everybody counts as an agent") {
			t.Errorf("%v: %+v", caps, st)
		}
		if r := s.do(t, "whoami", "--format", "json"); !strings.Contains(r.Out, `"agent"`) {
			t.Errorf("%v: %v", caps, r)
		}
		s.ok(t, "daemon", "stop")
		if !gone(pid, 5*time.Second) {
			t.Fatal("the daemon goes on")
		}
	}
}

// The CLI starts no daemon in place of a service that does not answer.
func (s *service) stopped(t *testing.T) {
	if err := s.listen.Close(); err != nil { // unlinks the socket
		t.Fatal(err)
	}
	for _, dead := range []bool{false, true} {
		r := s.do(t, "status")
		wantCode(t, r, 1)
		wantSaid(t, r, "systemctl status thumbturnd@64000.socket")
		if dead {
			break
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: api.SystemHome(humanUID).Socket(), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		own(t, api.SystemHome(humanUID).Socket(), humanUID, 0o600)
		l.SetUnlinkOnClose(false)
		l.Close() // a socket on which nobody listens, in the second round
	}
	if _, err := os.Stat(s.path("human", ".local")); err == nil {
		t.Error("a daemon of the human's own was started")
	}
	// A folder of the human's own is not a service's.
	own(t, api.SystemHome(humanUID).Run, humanUID, 0o755)
	wantSaid(t, s.do(t, "status"), "not a service's")
}

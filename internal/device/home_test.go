//go:build unix

package device

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestCheckPrivate(t *testing.T) {
	for _, c := range []struct {
		dir, file fs.FileMode
		bad       string // which path is named
	}{
		{0o700, 0o600, ""}, {0o500, 0o400, ""}, {0o700, 0o700, ""},
		{0o755, 0o600, "dir"}, {0o710, 0o600, "dir"}, {0o701, 0o600, "dir"}, {0o770, 0o644, "dir"}, {0o702, 0o600, "dir"},
		{0o700, 0o644, "file"}, {0o700, 0o620, "file"}, {0o700, 0o601, "file"}, {0o700, 0o606, "file"}, {0o700, 0o666, "file"},
	} {
		good, dir := t.TempDir(), filepath.Join(t.TempDir(), "my dir")
		must(t, os.Chmod(good, 0o700))
		must(t, os.Mkdir(dir, 0o700))
		file := filepath.Join(dir, "f")
		must(t, os.WriteFile(file, nil, 0o600))
		must(t, os.Chmod(file, c.file))
		must(t, os.Chmod(dir, c.dir))
		err := CheckPrivate(good, dir)
		must(t, os.Chmod(dir, c.dir|0o700))
		if c.bad == "" {
			if err != nil {
				t.Errorf("%v %v: %v", c.dir, c.file, err)
			}
			continue
		}
		path, mode := dir, c.dir
		if c.bad == "file" {
			path, mode = file, c.file
		}
		wantKind(t, err, fault.Denied, fmt.Sprintf("%s: is open to others (mode %04o)", path, mode))
		e, _ := errors.AsType[*fault.Error](err)
		if want := fmt.Sprintf("run: chmod %o '%s'", mode&0o700, path); e.Hint != want {
			t.Errorf("hint %q, want %q", e.Hint, want)
		}
	}
}

func TestCheckPrivateKinds(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	file, link := filepath.Join(dir, "f"), filepath.Join(dir, "l")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Symlink(file, link))
	must(t, CheckPrivate(dir))
	wantKind(t, CheckPrivate(file), fault.Denied, "is not a directory")
	wantKind(t, CheckPrivate(filepath.Join(dir, "none")), fault.Unavailable, "no such file")
	must(t, os.Remove(file))
	wantKind(t, CheckPrivate(dir), fault.Denied, "cannot be examined")
	must(t, os.Remove(link))
	sock := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", sock)
	must(t, err)
	defer ln.Close()
	must(t, os.Chmod(sock, 0o600))
	must(t, CheckPrivate(dir))
	must(t, os.Chmod(sock, 0o660))
	wantKind(t, CheckPrivate(dir), fault.Denied, sock)
}

func TestCheckPrivateOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	file := filepath.Join(dir, "f")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Chown(file, 65534, 65534))
	wantKind(t, CheckPrivate(dir), fault.Denied, file+": does not belong to user 0")
	must(t, os.Remove(file))
	must(t, os.Chown(dir, 65534, 65534))
	wantKind(t, CheckPrivate(dir), fault.Denied, "does not belong to user 0")
}

func TestLockHome(t *testing.T) {
	run := t.TempDir()
	l, err := LockHome(run)
	must(t, err)
	if !l.Guards(run) || l.Guards(t.TempDir()) {
		t.Error("Guards names the wrong home")
	}
	_, err = LockHome(run)
	wantKind(t, err, fault.Exists, fmt.Sprintf("another daemon runs on this home (pid %d)", os.Getpid()))
	must(t, os.WriteFile(filepath.Join(run, "lock"), []byte("rubbish"), 0o600))
	_, err = LockHome(run)
	wantKind(t, err, fault.Exists, "another daemon runs on this home")
	must(t, l.Release())
	l, err = LockHome(run)
	must(t, err)
	must(t, l.Release())
	_, err = LockHome(filepath.Join(run, "none"))
	wantKind(t, err, fault.Unavailable, "no such file")
	must(t, os.Remove(filepath.Join(run, "lock")))
	must(t, os.Symlink(filepath.Join(run, "elsewhere"), filepath.Join(run, "lock")))
	_, err = LockHome(run)
	wantKind(t, err, fault.Unavailable, "symbolic links")
}

// TestMain is also the daemon's successor of TestAdoptLock.
func TestMain(m *testing.M) {
	run := os.Getenv("DEVICE_TEST_RUN")
	if run == "" {
		os.Exit(m.Run())
	}
	l, err := AdoptLock(3)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, 3, syscall.F_GETFD, 0)
	fmt.Printf("adopted guards=%v cloexec=%v\n", l.Guards(run), flags&syscall.FD_CLOEXEC != 0)
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test closes it
	os.Exit(0)
}

// TestAdoptLock hands the lock to a successor and gives up its own descriptor:
// at no time is the home free.
func TestAdoptLock(t *testing.T) {
	run := t.TempDir()
	l, err := LockHome(run)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "DEVICE_TEST_RUN="+run)
	cmd.ExtraFiles = []*os.File{l.File()}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	b := make([]byte, 200)
	n, _ := out.Read(b)
	if got := string(b[:n]); got != "adopted guards=true cloexec=true\n" {
		t.Errorf("successor: %q", got)
	}
	must(t, l.Release())
	_, err = LockHome(run)
	wantKind(t, err, fault.Exists, fmt.Sprintf("(pid %d)", cmd.Process.Pid))
	in.Close()
	must(t, cmd.Wait())
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if l, err = LockHome(run); err == nil || time.Since(start) > 5*time.Second {
			break
		}
	}
	must(t, err)
	must(t, l.Release())
}

func TestAdoptLockRefuses(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer w.Close()
	fd, err := syscall.Dup(int(r.Fd()))
	must(t, err)
	r.Close()
	if _, err = AdoptLock(uintptr(fd)); !fault.Is(err, fault.Denied) {
		t.Errorf("a pipe: %v", err)
	}
	run := t.TempDir()
	l, err := LockHome(run)
	must(t, err)
	defer l.Release()
	fd, err = syscall.Open(filepath.Join(run, "lock"), syscall.O_RDWR, 0)
	must(t, err)
	if _, err = AdoptLock(uintptr(fd)); !fault.Is(err, fault.Denied) {
		t.Errorf("a descriptor that does not hold the lock: %v", err)
	}
}

// TestUnwritable needs a user whom permissions bind: a rotation that cannot be
// written changes nothing.
func TestUnwritable(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	d, dir, data := create(t)
	before := share(t, d)
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	wantKind(t, d.RotateShare(seeded(4)), fault.Unavailable, "permission denied")
	must(t, d.SetPin(Pin{Statements: 1}, true)) // the open file needs no directory
	r, _, err := d.NextShare(seeded(4))
	must(t, err)
	wantKind(t, r.Prepare(), fault.Unavailable, "permission denied")
	if !bytes.Equal(before, share(t, d)) || !bytes.Equal(before, share(t, reopen(t, dir, data))) {
		t.Error("the share changed")
	}
	must(t, os.Chmod(dir, 0o700))
	must(t, os.Chmod(filepath.Join(dir, "keys"), 0))
	_, err = Open(dir, data)
	wantKind(t, err, fault.Unavailable, "permission denied")
}

// asNobody runs the calling test again as uid 65534.
func asNobody(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip("no /proc to copy the test binary from")
	}
	dir, err := os.MkdirTemp("", "asnobody") // t.TempDir lets nobody else in
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o755))
	bin := filepath.Join(dir, "test")
	must(t, os.WriteFile(bin, self, 0o755))
	cmd := exec.Command(bin, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = "/", []string{"TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

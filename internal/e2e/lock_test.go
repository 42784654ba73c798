//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/logind"
	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// lockEvents are the reasons of the locks in the ledger, oldest first.
func lockEvents(run func(...string) result) []string {
	r := run("audit", "list", "--type", "lock", "--format", "json")
	var out []string
	for _, m := range regexp.MustCompile(`"reason": *"([^"]*)"`).FindAllStringSubmatch(r.Out, -1) {
		out = append(out, m[1])
	}
	return out
}

// waiting is a home with all that a lock must end: a reveal window, an agent's
// request, and a run that waits for it. A child that holds a value runs on.
func waiting(t *testing.T) (h *home, run, child <-chan result) {
	t.Helper()
	h = founded(t)
	h.set("op://dev/Stripe/credential", "a-value-of-some-length")
	wantCode(t, h.approved(h.person, "read", "op://dev/Stripe/credential"), 0)
	wantCode(t, h.person("read", "--no-wait", "op://dev/Stripe/credential"), 0) // the window is open
	holds := []string{"KEY=op://dev/Stripe/credential"}
	child = h.sh.start(command{Argv: []string{program("thumbturn"), "run", "--", "sh", "-c",
		`echo $$ > child; until test -e go; do sleep 0.1; done; test "$KEY" = a-value-of-some-length`}, Dir: filepath.Dir(h.dir), Env: holds})
	for range 200 {
		if _, err := os.Stat(h.file("child")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	run = h.sh.start(command{Argv: []string{program("thumbturn"), "run", "--", "true"}, Setsid: true, Env: holds})
	h.pending()
	return h, run, child
}

// wantLocked checks what a lock by itself has left.
func (h *home) wantLocked(run, child <-chan result, reason string) {
	h.t.Helper()
	r := <-run
	wantCode(h.t, r, 4)
	wantSaid(h.t, r, "locked")
	if s := h.status(); s.State != "locked" {
		h.t.Errorf("%s: %s", reason, s.State)
	}
	h.unlock()
	if r := h.person("requests", "--all", "--format", "json"); strings.TrimSpace(r.Out) != "[]" {
		h.t.Errorf("%s left a request: %v", reason, r)
	}
	wantCode(h.t, h.person("read", "--no-wait", "op://dev/Stripe/credential"), 5) // the window is gone
	if got := lockEvents(h.person); len(got) != 1 || got[0] != reason {
		h.t.Errorf("locks in the ledger: %q, want one for %q", got, reason)
	}
	h.write("go", "")
	wantCode(h.t, <-child, 0) // it kept what it had
}

func TestIdleLock(t *testing.T) {
	t.Parallel()
	h, run, child := waiting(t)
	if s := h.status(); s.Locks.After != (8 * time.Hour).Milliseconds() {
		t.Errorf("by default: %+v", s.Locks)
	}
	r := h.agent("lock", "--after", "0")
	wantCode(t, r, 3)
	wantSaid(t, r, "only a person")
	wantCode(t, h.person("lock", "--after", "10ms"), 2)
	h.ok("lock", "--after", "3s")
	pid := h.pid()
	for range 3 { // a use begins it anew; to look at it does not
		time.Sleep(1500 * time.Millisecond)
		h.ok("vault", "list")
		if s := h.status(); s.State != "unlocked" || s.Locks.After != 3000 {
			t.Fatalf("it locked although it was used: %+v", s)
		}
	}
	for end := time.Now().Add(20 * time.Second); h.status().State == "unlocked"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not lock")
		}
	}
	h.wantLocked(run, child, "idle")
	if h.pid() != pid {
		t.Error("it is another process")
	}
	wantCode(t, h.person("lock", "--after", "0"), 0)
	if s := h.status(); s.Locks.After != 0 {
		t.Errorf("never: %+v", s.Locks)
	}
}

// A setting that cannot be read opens nothing, and says where it stands.
func TestUnreadableSetting(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.ok("lock")
	file := filepath.Join(h.dir, "config", "daemon.toml")
	if err := os.WriteFile(file, []byte("lock_after = \"soon\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := h.person("unlock", "--passphrase-file", h.file("unlock"))
	wantCode(t, r, 2)
	wantSaid(t, r, "daemon.toml", "lock_after")
	wantSaid(t, h.person("status"), "unlock is refused", "daemon.toml")
	if err := os.WriteFile(file, []byte("lock_after = \"1h\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.unlock()
	wantSaid(t, h.person("status"), "after 1h unused")
}

// TestOutsideLocks has /run for itself, with a system bus and a logind there.
func TestOutsideLocks(t *testing.T) {
	root(t)
	if os.Getenv(firstMark) == "" {
		t.Parallel()
		if _, err := exec.LookPath("dbus-daemon"); err != nil {
			t.Skip("*** SKIP: there is no dbus-daemon")
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestOutsideLocks$", "-test.v")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TMPDIR=" + os.TempDir(), firstMark + "=" + bin}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("--- SKIP: TestOutsideLocks")) || cmd.Process == nil {
			t.Skipf("*** SKIP: no namespaces here: %v\n%s", err, out)
		}
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestOutsideLocks/bus")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""),
		os.Mkdir("/run/dbus", 0o755)); err != nil {
		t.Skipf("*** SKIP: no mounts here: %v", err)
	}
	stop := logindtest.Bus(t, logind.SystemBus)
	f := logindtest.New(t, logind.SystemBus)
	f.Put("1", logindtest.Session{Class: "user", Seat: "seat0"})
	for reason, happens := range map[string]func(*testing.T){
		logind.Suspend: func(t *testing.T) {
			f.Prepare(true)
			if !f.Sleeps(5 * time.Second) {
				t.Error("sleep is held up for ever")
			}
		},
		logind.ScreenLock: func(*testing.T) { f.Hint("1", true); f.Hint("1", true) },
		logind.Logout:     func(*testing.T) { f.End("1"); f.Put("1", logindtest.Session{Class: "user", Seat: "seat0"}) },
	} {
		t.Run(reason, func(t *testing.T) {
			h, run, child := waiting(t)
			if got := h.locksOn(); len(got) != 3 {
				t.Fatalf("it listens for %q", got)
			}
			happens(t)
			h.wantLocked(run, child, reason)
			f.Prepare(false)
		})
	}
	t.Run("bus", func(t *testing.T) {
		h := founded(t)
		h.locksOn()
		wantSaid(t, h.person("status"), "after 8h unused, on suspend, on screen lock, on logout")
		stop()
		for end := time.Now().Add(5 * time.Second); len(h.status().Locks.On) > 0 && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
		wantSaid(t, h.person("status"), "the system bus went away")
		wantSaid(t, h.person("doctor"), "the vaults lock only after 8h unused: the system bus went away")
	})
}

// locksOn waits until the daemon hears from outside and returns what locks it.
func (h *home) locksOn() []string {
	for range 100 {
		if on := h.status().Locks.On; len(on) > 0 {
			return on
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

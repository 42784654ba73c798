//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
)

// What is searched for in the daemon's memory must not stand in this program,
// which the daemon hashes as it hashes whoever asks: so it is written in ROT13.
var (
	unlockPhrase   = unturned("pbeerpg ubefr onggrel fgncyr")
	presencePhrase = unturned("nabgure guvat gb erzrzore jryy")
)

func unturned(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, s)
}

// home is a test home with a person's shell.
type home struct {
	t   *testing.T
	dir string // THUMBTURN_HOME; its parent holds the passphrase files
	sh  *shell

	mu   sync.Mutex
	said strings.Builder // all that any command printed on standard error
}

// bare makes a home without an account.
func bare(t *testing.T) *home {
	t.Helper()
	top, err := os.MkdirTemp("", "tt")
	if err != nil {
		t.Fatal(err)
	}
	h := &home{t: t, dir: filepath.Join(top, "h")}
	t.Cleanup(func() { h.stop(); _ = os.RemoveAll(top) })
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("unlock", unlockPhrase+"\n")
	h.write("presence", presencePhrase+"\n")
	h.sh = newShell(t, h.env())
	return h
}

// founded makes a home with an account, unlocked in its shell.
func founded(t *testing.T) *home {
	t.Helper()
	h := bare(t)
	h.found()
	return h
}

func (h *home) found() {
	h.t.Helper()
	h.ok("init", "--test-home", "--passphrase-file", h.file("unlock"),
		"--presence-passphrase-file", h.file("presence"), "--recovery-file", h.file("recovery"))
}

// env is the whole environment of commands: no mark of whatever runs the tests.
func (h *home) env() []string {
	return []string{"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + filepath.Dir(h.dir), "LANG=C.UTF-8", "TERM=xterm", "THUMBTURN_HOME=" + h.dir}
}

func (h *home) file(name string) string { return filepath.Join(filepath.Dir(h.dir), name) }

func (h *home) write(name, text string) string {
	h.t.Helper()
	if err := os.WriteFile(h.file(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return h.file(name)
}

// do runs a command of the person's shell and keeps what it said.
func (h *home) do(c command) result { return h.heard(h.sh.run(c)) }

func (h *home) heard(r result) result {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said.WriteString(r.Err)
	return r
}

// person runs thumbturn in the person's shell.
func (h *home) person(args ...string) result {
	return h.do(command{Argv: append([]string{program("thumbturn")}, args...)})
}

// agent runs thumbturn in a session of its own.
func (h *home) agent(args ...string) result {
	return h.do(command{Argv: append([]string{program("thumbturn")}, args...), Setsid: true})
}

// ok is person that must succeed.
func (h *home) ok(args ...string) string {
	h.t.Helper()
	r := h.person(args...)
	if r.Code != 0 {
		h.t.Fatalf("thumbturn %s: %v", strings.Join(args, " "), r)
	}
	return r.Out
}

// set stores a value as the person.
func (h *home) set(ref, value string) {
	h.t.Helper()
	r := h.do(command{Argv: []string{program("thumbturn"), "set", ref}, Stdin: []byte(value)})
	if r.Code != 0 {
		h.t.Fatalf("set %s: %v", ref, r)
	}
}

func (h *home) unlock() { h.t.Helper(); h.ok("unlock", "--passphrase-file", h.file("unlock")) }

func (h *home) approve(id string) {
	h.t.Helper()
	h.ok("approve", id, "--passphrase-file", h.file("presence"))
}

// approved runs a command that parks, approves it, and comes back for it.
func (h *home) approved(run func(...string) result, args ...string) result {
	h.t.Helper()
	r := run(append([]string{args[0], "--no-wait"}, args[1:]...)...)
	if r.Code != 5 {
		h.t.Fatalf("%v did not park: %v", args, r)
	}
	id := strings.TrimSpace(r.Out)
	h.approve(id)
	return run(append([]string{args[0], "--request", id}, args[1:]...)...)
}

// pending waits until a request waits for a person and returns its id.
func (h *home) pending() string {
	h.t.Helper()
	for range 200 {
		var list []api.Pending
		if r := h.person("requests", "--format", "json"); r.Code == 0 && json.Unmarshal([]byte(r.Out), &list) == nil && len(list) > 0 && list[0].State == "pending" { // they come first
			return list[0].ID
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.t.Fatal("no request waits")
	return ""
}

func (h *home) status() api.Status {
	h.t.Helper()
	var s api.Status
	if err := json.Unmarshal([]byte(h.ok("status", "--format", "json")), &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// pid is the running daemon's, 0 without one. The lock file's pid counts only
// while it is a thumbturnd of ours.
func (h *home) pid() int {
	b, err := os.ReadFile(filepath.Join(h.dir, "run", "lock"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if pid <= 0 || err != nil || strings.TrimSuffix(exe, " (deleted)") != program("thumbturnd") {
		return 0
	}
	return pid
}

// stop ends the daemon, gently if it can.
func (h *home) stop() {
	pid := h.pid()
	if pid == 0 {
		return
	}
	h.sh2("daemon", "stop")
	if !gone(pid, 5*time.Second) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		gone(pid, 5*time.Second)
	}
}

// sh2 runs thumbturn directly: at the end of a test its shell has ended.
func (h *home) sh2(args ...string) result {
	return command{Argv: append([]string{program("thumbturn")}, args...), Env: h.env(), Limit: 5 * time.Second}.run()
}

// kill ends the daemon without a warning.
func (h *home) kill() {
	h.t.Helper()
	pid := h.pid()
	if pid == 0 {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if !gone(pid, 5*time.Second) {
		h.t.Fatal("the daemon survives SIGKILL")
	}
}

// gone waits until a process has ended; a zombie has.
func gone(pid int, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			return true
		}
	}
	return false
}

func wantCode(t *testing.T, r result, code int) {
	t.Helper()
	if r.Code != code {
		t.Errorf("exit %d, want %d\n%v", r.Code, code, r)
	}
}

func wantSaid(t *testing.T, r result, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(r.Out+r.Err, p) {
			t.Errorf("%q is not said:\n%v", p, r)
		}
	}
}

// root skips, loudly, what only root can arrange.
func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("*** SKIP: only root can arrange this")
	}
}

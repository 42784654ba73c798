//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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

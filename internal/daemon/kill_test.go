//go:build linux

package daemon_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// home is a test home with the real programs, built once for the test.
type home struct {
	t        *testing.T
	bin, dir string
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{t: t, bin: t.TempDir(), dir: t.TempDir()}
	build := exec.Command("go", "build", "-o", h.bin, "github.com/thumbturn/thumbturn/cmd/thumbturn", "github.com/thumbturn/thumbturn/cmd/thumbturnd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for name, text := range map[string]string{"unlock": "seven quiet herons cross the weir", "presence": "nobody counts the amber lanterns"} {
		if err := os.WriteFile(filepath.Join(h.bin, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.must(`thumbturn init --test-home --passphrase-file $BIN/unlock --presence-passphrase-file $BIN/presence --recovery-file $BIN/code`)
	t.Cleanup(func() { _, _ = h.sh(`thumbturn daemon stop`) })
	return h
}

// command is a shell script as the leader of a session of its own.
func (h *home) command(script string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", script+"\n:") // the last line keeps the shell, the leader, alive beside its children
	cmd.Dir = h.dir
	cmd.Env = []string{"PATH=" + h.bin + ":/usr/bin:/bin", "THUMBTURN_HOME=" + filepath.Join(h.dir, "h"), "HOME=" + h.dir, "BIN=" + h.bin}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func (h *home) sh(script string) (string, error) {
	out, err := h.command("set -e\n" + script).CombinedOutput()
	return string(out), err
}

func (h *home) must(script string) string {
	h.t.Helper()
	out, err := h.sh(script)
	if err != nil {
		h.t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return out
}

func (h *home) pid() int {
	out := h.must(`thumbturn status --format json`)
	_, rest, _ := strings.Cut(out, `"pid":`)
	n, err := strconv.Atoi(strings.TrimSpace(strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == '}' })[0]))
	if err != nil || n < 2 {
		h.t.Fatalf("no pid in %s", out)
	}
	return n
}

// TestKillLoop kills the daemon at a random moment while it writes and releases.
// Afterwards every acknowledged write is there, the ledger verifies, and the
// home is neither held nor damaged.
func TestKillLoop(t *testing.T) {
	rounds := 20
	if s := os.Getenv("THUMBTURN_KILL_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil || rounds < 1 {
			t.Fatalf("THUMBTURN_KILL_ROUNDS=%q", s)
		}
	}
	h := newHome(t)
	const unlock = "thumbturn unlock --passphrase-file $BIN/unlock >/dev/null\n"
	for round := range rounds {
		acked := filepath.Join(h.dir, "acked")
		_ = os.Remove(acked)
		h.must(unlock + "printf start | thumbturn set op://dev/Item" + fmt.Sprint(round) + "/first >/dev/null")
		pid := h.pid()
		var out bytes.Buffer
		work := h.command(unlock + fmt.Sprintf(`i=0
while printf "value $i" | thumbturn set op://dev/Item%d/f$i >/dev/null; do
  echo $i >>acked; K=op://dev/Item%d/f$i thumbturn run -- true || exit 0; i=$((i+1))
done`, round, round))
		work.Stdout, work.Stderr = &out, &out
		if err := work.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = work.Wait()
		verify := h.must(unlock + "thumbturn audit verify")
		if !strings.Contains(verify, "everything agrees") {
			t.Fatalf("round %d: %s", round, verify)
		}
		b, _ := os.ReadFile(acked)
		done := strings.Fields(string(b))
		if len(done) == 0 {
			continue // killed before the first write of this round
		}
		last := done[len(done)-1]
		got := h.must(unlock + fmt.Sprintf(`K=op://dev/Item%d/f%s thumbturn run -- sh -c 'test "$K" = "value %s" && echo right'`, round, last, last))
		if !strings.Contains(got, "right") {
			t.Fatalf("round %d: acknowledged value %s is not there: %s", round, last, got)
		}
	}
}

//go:build linux

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSixtyFourAtOnce(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	wantCode(t, h.approved(h.person, "read", "op://dev/api/key"), 0)
	time.Sleep(200 * time.Millisecond)
	var wait []<-chan result
	for range 64 {
		wait = append(wait, h.sh.start(command{Argv: []string{program("thumbturn"), "read", "--no-wait", "op://dev/api/key"}}))
	}
	for _, w := range wait {
		if r := <-w; r.Code != 0 || r.Out != canary+"\n" {
			t.Errorf("%v", r)
		}
	}
	h.ok("audit", "verify")
	h.ok("audit", "verify", "--approvals")
}

// Ten megabytes come back byte for byte. A client that never takes them does
// not stop the others.
func TestLargeField(t *testing.T) {
	t.Parallel()
	h := founded(t)
	big := bytes.Repeat([]byte("0123456789abcde\n"), 10<<20/16)
	big = append(big, 'x')
	h.set("op://dev/big/file", string(big))
	h.set("op://dev/api/key", canary)
	out := h.file("big")
	wantCode(t, h.approved(h.person, "read", "-n", "-o", out, "op://dev/big/file"), 0)
	if b, err := os.ReadFile(out); err != nil || !bytes.Equal(b, big) {
		t.Errorf("%d bytes came back, %v", len(b), err)
	}
	// It runs into a pipe that nobody reads, and is stopped at once.
	slow := exec.Command("sh", "-c", program("thumbturn")+" read op://dev/big/file | sleep 3")
	slow.Env, slow.SysProcAttr = h.env(), &syscall.SysProcAttr{Setsid: true}
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 5 {
		wantCode(t, h.person("read", "op://dev/api/key"), 0)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("others waited %v", d)
	}
	_ = slow.Wait()
}

// Who goes away while a person thinks gets nothing later.
func TestGoneWhileWaiting(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	for _, sig := range []string{"KILL", "INT", "TERM"} {
		w := h.sh.start(command{Argv: []string{"timeout", "-s", sig, "0.7", program("thumbturn"), "read", "op://dev/api/key"}})
		id := h.pending()
		if r := <-w; r.Code == 0 || strings.Contains(r.String(), canary) {
			t.Errorf("%s: %v", sig, r)
		}
		h.person("approve", id, "--passphrase-file", h.file("presence"))
		if events := h.ok("audit", "list", "--type", "intent"); strings.Contains(events, id) {
			t.Errorf("%s: released to nobody: %s", sig, events)
		}
		h.person("deny", id)
	}
	if b, err := filepath.Glob(filepath.Join(h.dir, "run", "*")); err != nil || len(b) > 3 {
		t.Errorf("left behind: %v, %v", b, err)
	}
}

// A title names one item of a vault (api.ItemPut).
func TestCreateTwice(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.ok("item", "create", "--vault", "dev", "--title", "login", "username[text]=ada")
	if r := h.person("item", "create", "--vault", "dev", "--title", "login", "username[text]=eve"); r.Code == 0 {
		t.Errorf("item create makes a second item of the same title: %v", r)
	}
}

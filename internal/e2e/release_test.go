//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// otherRelease builds a thumbturnd that speaks another version of the protocol.
func otherRelease(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	frame, err := filepath.Abs("../../api/frame.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(frame)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), "const Version = 1\n", "const Version = 99\n", 1)
	if other == string(text) {
		t.Fatal("the version stands elsewhere now")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{frame: filepath.Join(dir, "frame.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"frame.go": []byte(other), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "thumbturnd"), "../../cmd/thumbturnd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return filepath.Join(dir, "thumbturnd")
}

// A daemon of another release understands nothing of this one, and yet `daemon
// stop` ends it, so that this one can take over.
func TestStopOtherRelease(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	h.stop()
	other := otherRelease(t)
	end := h.sh.start(command{Argv: []string{other}, Limit: time.Minute})
	var r result
	for range 500 {
		if r = h.person("daemon", "status"); !strings.Contains(r.Out, "not running") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	wantCode(t, r, 1)
	wantSaid(t, r, "different versions", "thumbturn daemon stop")
	r = h.person("daemon", "stop")
	wantCode(t, r, 0)
	wantSaid(t, r, "stopped")
	select {
	case r := <-end:
		wantCode(t, r, 0) // it ended in order
	case <-time.After(waitLong):
		t.Error("it runs on")
	}
	h.unlock()
	if !h.uses("op://dev/api/key", canary) {
		t.Error("this release does not work after it")
	}
}

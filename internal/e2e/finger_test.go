//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/thumbturn/thumbturn/internal/fprint/fprinttest"
	"github.com/thumbturn/thumbturn/internal/logind"
	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// TestFinger has /run for itself, with a system bus and the real fprintd there.
func TestFinger(t *testing.T) {
	root(t)
	fprinttest.Installed(t)
	if os.Getenv(firstMark) == "" {
		t.Parallel()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestFinger$", "-test.v")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TMPDIR=" + os.TempDir(), firstMark + "=" + bin}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("--- SKIP: TestFinger")) || cmd.Process == nil {
			t.Skipf("*** SKIP: no namespaces, bus or virtual reader here: %v\n%s", err, out)
		}
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFinger")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""),
		os.Mkdir("/run/dbus", 0o755)); err != nil {
		t.Skipf("*** SKIP: no mounts here: %v", err)
	}
	logindtest.Bus(t, logind.SystemBus)
	m := fprinttest.New(t, logind.SystemBus)
	h := founded(t)
	h.set("op://prod/api/key", "the-value-of-prod")
	file := filepath.Join(h.dir, "config", "daemon.toml")
	setting := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := h.person("read", "--no-wait", "op://prod/api/key")
	wantCode(t, r, 5)
	id := strings.TrimSpace(r.Out)
	approve := []string{"approve", id, "--passphrase-file", h.file("presence")}

	setting("fingerprint = true")
	wantSaid(t, h.person("status"), "with a finger beside it")
	r = h.person(approve...)
	wantCode(t, r, 3)
	wantSaid(t, r, "no finger is enrolled", "fprintd-enroll")
	m.Enrol("mine")

	s := h.start(false, approve...)
	s.says("now the finger")
	m.Scan("SCAN one")
	s.says("once more")
	m.Scan("SCAN two")
	s.says("once more\nthat finger did not match: once more\n")
	m.Scan("SCAN three")
	r = <-s.done
	wantCode(t, r, 3)
	wantSaid(t, result{Err: s.says("did not match")}, "the finger did not match")
	wantCode(t, h.person("read", "--request", id, "--no-wait", "op://prod/api/key"), 5)

	// Whoever goes away is waited for no longer, and the reader is free for the next.
	const script = `"$@" 2>"$said" & until grep -q "now the finger" "$said"; do sleep 0.1; done; kill $!; wait $!`
	argv := append([]string{"/bin/sh", "-c", "said=$1; shift; " + script, "sh", h.file("said"), program("thumbturn")}, approve...)
	if r = h.do(command{Argv: argv}); r.Code == 0 {
		t.Error("a finger that nobody gave")
	}

	s = h.start(false, approve...)
	s.says("now the finger")
	m.Scan("SCAN mine")
	wantCode(t, <-s.done, 0)
	r = h.person("read", "--request", id, "op://prod/api/key")
	wantCode(t, r, 0)
	if strings.TrimSpace(r.Out) != "the-value-of-prod" {
		t.Errorf("%q", r.Out)
	}
	wantSaid(t, h.person("audit", "list"), "a finger matched too", "the finger did not match")

	// An act on the account, and another setting that leaves this one.
	s = h.start(false, "recovery", "rotate", "--passphrase-file", h.file("presence"), "--recovery-file", h.file("recovery2"))
	s.says("now the finger")
	m.Scan("SCAN mine")
	wantCode(t, <-s.done, 0)
	wantCode(t, h.person("lock", "--after", "1h"), 0)
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "\nfingerprint = true\n") {
		t.Errorf("%s %v", b, err)
	}

	r = h.person("read", "--no-wait", "op://prod/api/key")
	approve[1] = strings.TrimSpace(r.Out)
	setting("fingerprint = 1")
	r = h.person(approve...)
	wantCode(t, r, 2)
	wantSaid(t, r, "daemon.toml")
	setting("fingerprint = true")
	m.Stop()
	r = h.person(approve...)
	wantCode(t, r, 1)
	wantSaid(t, r, "there is no fprintd")
	setting("fingerprint = false")
	wantCode(t, h.person(approve...), 0)
}

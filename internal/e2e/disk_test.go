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
)

// apart runs the test that calls it once more, in a mount namespace of its own,
// and reports whether this is that run. Whoever is not root is so in a user
// namespace of its own.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(firstMark) != "" {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Skipf("*** SKIP: no mounts here: %v", err)
		}
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TMPDIR=" + os.TempDir(), firstMark + "=" + bin}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil || bytes.Contains(out, []byte("--- SKIP: "+t.Name())) {
		t.Skipf("*** SKIP: no namespaces here: %v\n%s", err, out)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// filled takes all space of the home's disk and returns how to free it.
func (h *home) filled() (free func()) {
	h.t.Helper()
	path := filepath.Join(h.dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		h.t.Fatal(err)
	}
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	_ = f.Close()
	return func() {
		if err := os.Remove(path); err != nil {
			h.t.Error(err)
		}
	}
}

// A disk that is full under a running daemon: whatever must be written is refused
// and says why, nothing is released without its record, and with space again all
// goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	h := bare(t)
	if err := syscall.Mount("tmpfs", h.dir, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Skipf("*** SKIP: no tmpfs here: %v", err)
	}
	t.Cleanup(func() { h.stop(); _ = syscall.Unmount(h.dir, syscall.MNT_DETACH) })
	h.found()
	h.set("op://dev/api/key", canary)
	h.set("op://dev/old/key", "to be deleted")
	waits := h.person("read", "--no-wait", "op://dev/api/key")
	wantCode(t, waits, 5)
	id := strings.TrimSpace(waits.Out)

	free := h.filled()
	marker := h.file("started")
	run := func() result {
		_ = os.Remove(marker)
		return h.do(command{Argv: []string{program("thumbturn"), "run", "--", "sh", "-c", `echo >"$0"`, marker}, Env: []string{"KEY=op://dev/api/key"}})
	}
	value := func(size int) func() result {
		return func() result {
			return h.do(command{Argv: []string{program("thumbturn"), "set", "op://dev/much/key"}, Stdin: bytes.Repeat([]byte("x"), size)})
		}
	}
	refused := func(what string, r result) {
		t.Helper()
		if r.Code != 1 || !strings.Contains(r.Err, "the disk is full") || strings.Contains(r.String(), canary) {
			t.Errorf("%s: %v", what, r)
		}
	}
	// The database's log has room laid out; what still fits is written.
	for _, size := range []int{1 << 20, 1 << 16, 1 << 12, 1} {
		r := value(size)()
		for n := 0; r.Code == 0 && n < 40; n++ {
			r = value(size)()
		}
		refused("a value", r)
	}
	r := run()
	for n := 0; r.Code == 0 && n < 40; n++ {
		r = run()
	}
	refused("a use", r)
	if _, err := os.Stat(marker); err == nil {
		t.Error("a program was started without a record")
	}
	refused("an item", h.person("item", "create", "--vault", "dev", "--title", "another", "password=x"))
	refused("a backup", h.person("backup", "--to", h.file("x.tar")))
	refused("an approval", h.person("approve", id, "--passphrase-file", h.file("presence")))
	if r := h.person("read", "--request", id, "--no-wait", "op://dev/api/key"); r.Code == 0 || strings.Contains(r.String(), canary) {
		t.Errorf("released without a record: %v", r)
	}
	if s := h.status(); s.State != "unlocked" {
		t.Errorf("%+v", s)
	}
	refused("an unlock", h.person("unlock", "--passphrase-file", h.file("unlock")))

	free()
	h.unlock()
	h.set("op://dev/api/key", canary+" again")
	if !h.uses("op://dev/api/key", canary+" again") {
		t.Error("with space again it is not used")
	}
	wantCode(t, h.approved(h.person, "read", "op://dev/old/key"), 0)
	h.backedUp("after.tar")
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
	h.halt()
	h.unlock()
	wantSaid(t, h.person("audit", "verify"), "everything agrees")

	// A daemon that must start while there is no space, starts when there is.
	h.halt()
	free = h.filled()
	if r := h.person("status"); r.Code == 0 && !strings.Contains(r.Out, "locked") {
		t.Errorf("%v", r)
	}
	free()
	h.unlock()
	if !h.uses("op://dev/api/key", canary+" again") {
		t.Error("after a start without space it is not used")
	}
}

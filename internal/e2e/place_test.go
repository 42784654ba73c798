//go:build linux

package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What surrounds whoever starts the daemon does not reach it.
func TestDaemonEnvironment(t *testing.T) {
	t.Parallel()
	h := bare(t)
	loud := []string{"SSL_CERT_FILE=/tmp/evil.pem", "HTTPS_PROXY=http://127.0.0.1:9", "LD_AUDIT=", "GODEBUG=x509sha1=1", "GOTRACEBACK=crash", "BROWSER=/tmp/evil", "EVIL=1"}
	for _, how := range []command{
		{Argv: []string{program("thumbturn"), "status"}, Env: loud, Dir: "/tmp"},
		{Argv: []string{"sh", "-c", program("thumbturnd") + " </dev/null >/dev/null 2>&1 & sleep 0.5; " + program("thumbturn") + " status"}, Env: loud, Dir: "/tmp"},
	} {
		wantCode(t, h.do(how), 0)
		pid := h.pid()
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil {
			t.Skipf("*** SKIP: only root can read the daemon's environment: %v", err)
		}
		for _, kv := range loud {
			if name, _, _ := strings.Cut(kv, "="); strings.Contains("\x00"+string(b), "\x00"+name+"=") {
				t.Errorf("%s reached the daemon: %q", name, b)
			}
		}
		if cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); err != nil || cwd != "/" {
			t.Errorf("works in %q, %v", cwd, err)
		}
		h.stop()
	}
}

// A home may lie deeper than the 100 bytes that a socket's name has room for.
func TestDeepHome(t *testing.T) {
	t.Parallel()
	h := bare(t)
	h.dir = filepath.Join(filepath.Dir(h.dir), strings.Repeat("deep/", 30), "h")
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("unlock", unlockPhrase+"\n")
	h.write("presence", presencePhrase+"\n")
	h.sh = newShell(t, h.env())
	h.ok("init", "--test-home", "--passphrase-file", h.file("unlock"), "--presence-passphrase-file", h.file("presence"),
		"--recovery-file", h.file("recovery"))
	h.set("op://dev/deep/credential", "a value far down")
	r := h.do(command{Argv: []string{program("thumbturn"), "run", "--", "sh", "-c", `test "$KEY" = "a value far down"`}, Env: append(h.env(), "KEY=op://dev/deep/credential")})
	wantCode(t, r, 0)
}

func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	h := founded(t)
	pid := h.pid()
	r := h.do(command{Argv: []string{program("thumbturnd")}})
	if r.Code == 0 {
		t.Errorf("a second daemon ran: %v", r)
	}
	wantSaid(t, r, "another daemon runs on this home", strconv.Itoa(pid))
	if h.status().PID != pid {
		t.Error("the first daemon is gone")
	}
}

func TestLoosePermissions(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.ok("daemon", "stop")
	hints := true
	for _, name := range []string{".", "data", "config", "run", "device"} {
		dir := filepath.Join(h.dir, name)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r := h.person("status")
		if r.Code == 0 {
			t.Errorf("%s: %v", name, r)
		}
		wantSaid(t, r, "is open to others", dir)
		hints = hints && strings.Contains(r.Err, "chmod 700")
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.unlock()
	if !hints {
		t.Error("the daemon's report drops the hint, so nobody is told the chmod to run")
	}
}

func TestClonedHome(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	h.ok("daemon", "stop")
	clone := filepath.Join(filepath.Dir(h.dir), "clone")
	if out, err := exec.Command("cp", "-a", h.dir, clone).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	env := []string{"THUMBTURN_HOME=" + clone}
	for _, args := range [][]string{{"status"}, {"unlock", "--passphrase-file", h.file("unlock")}, {"read", "op://dev/api/key"}} {
		r := h.do(command{Argv: append([]string{program("thumbturn")}, args...), Env: env})
		if r.Code == 0 || strings.Contains(r.String(), canary) {
			t.Errorf("%v: %v", args, r)
		}
		if args[0] == "status" {
			wantSaid(t, r, "copied")
		}
	}
	h.unlock() // the original still works
}

func TestReadOnlyHome(t *testing.T) {
	root(t)
	t.Parallel()
	h := founded(t)
	h.ok("daemon", "stop")
	if err := syscall.Mount(h.dir, h.dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("*** SKIP: no mounts here: %v", err)
	}
	defer func() { h.stop(); _ = syscall.Unmount(h.dir, syscall.MNT_DETACH) }()
	if err := syscall.Mount("", h.dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("*** SKIP: no read-only mounts here: %v", err)
	}
	r := h.person("status")
	if r.Code == 0 {
		t.Errorf("%v", r)
	}
	if d := h.do(command{Argv: []string{program("thumbturnd")}}); d.Code == 0 || !strings.Contains(d.Err, "read-only") {
		t.Errorf("%v", d)
	}
}

func TestSocketPlace(t *testing.T) {
	t.Parallel()
	h := founded(t)
	socket := filepath.Join(h.dir, "run", "thumbturn.sock")
	h.kill()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("no stale socket to test with: %v", err)
	}
	h.unlock()
	h.halt()
	_ = os.Remove(socket)
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := h.person("status")
	if r.Code == 0 {
		t.Errorf("%v", r)
	}
	wantSaid(t, h.do(command{Argv: []string{program("thumbturnd")}}), "something that is no socket")
	if b, err := os.ReadFile(socket); err != nil || len(b) != 0 {
		t.Errorf("the foreign file was touched: %v", err)
	}
	// A stranger that listens there does not hold the device's key.
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			body := `{"v":1,"body":{"version":"0.1.0","protocol":1,"device":"x","signature":"AAAA","state":"locked"}}`
			_, _ = c.Write(append([]byte{0, 0, 0, byte(len(body)), 'J'}, body...))
		}
	}()
	r = h.person("unlock", "--passphrase-file", h.file("unlock"))
	wantCode(t, r, 1)
	wantSaid(t, r, "does not hold this device's key")
}

// A file in config/ is a draft: it changes nothing before it is applied.
func TestPolicyDraft(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	draft := filepath.Join(h.dir, "config", "policy.cedar")
	if err := os.WriteFile(draft, []byte("@id(\"all\")\n@ask(\"none\")\npermit (principal, action, resource);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := h.status(); s.PolicyDraft != "differs" {
		t.Errorf("%+v", s)
	}
	for range 2 {
		wantCode(t, h.agent("read", "--no-wait", "op://dev/api/key"), 3)
		h.ok("daemon", "stop")
		h.unlock()
	}
	wantCode(t, h.agent("policy", "apply", "--no-wait", draft), 3)
	if r := h.agent("read", "--no-wait", "op://dev/api/key"); r.Code != 3 || strings.Contains(r.String(), canary) {
		t.Errorf("%v", r)
	}
}

// Whoever asks right after a lock is answered by the process that follows.
func TestAskAfterLock(t *testing.T) {
	t.Parallel()
	h := founded(t)
	for range 10 {
		h.unlock()
		h.ok("lock")
		if r := h.person("status"); r.Code != 0 {
			t.Errorf("a client that comes while the daemon replaces itself loses its connection: %v", r)
		}
	}
}

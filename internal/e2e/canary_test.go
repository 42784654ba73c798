//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shapes are seven ways to write a value down. The base64 ones are searched
// without their last group, which depends on what follows.
func shapes(v string) map[string][]byte {
	rev := []byte(v)
	slices.Reverse(rev)
	cut := func(s string) []byte { return []byte(s[:len(s)/4*4-4]) }
	return map[string][]byte{
		"raw": []byte(v), "reversed": rev,
		"base64": cut(base64.StdEncoding.EncodeToString([]byte(v))), "base64url": cut(base64.URLEncoding.EncodeToString([]byte(v))),
		"hex": []byte(hex.EncodeToString([]byte(v))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(v)))),
		"percent": []byte(url.QueryEscape(v)),
	}
}

func search(t *testing.T, where string, b []byte, values ...string) {
	t.Helper()
	for _, v := range values {
		for name, shape := range shapes(v) {
			if i := bytes.Index(b, shape); i >= 0 {
				t.Errorf("%s holds %q as %s: …%q…", where, v, name, b[max(0, i-40):min(len(b), i+len(shape)+40)])
			}
		}
	}
}

// One value passes every door, and then lies nowhere but where it was wanted.
func TestCanary(t *testing.T) {
	t.Parallel()
	h := founded(t)
	second, bearer, proposed := unturned("tuc_9s8R7q6P5o4N3f2Q1s0TuWxYmKpIoAz12"), unturned("fx_yvir_4242nopqRSTU5353vwxyZABC"), unturned("cebc-8fWq72Xq/djr+mmL1")
	tt := program("thumbturn")
	h.set("op://dev/api/key", canary)
	wantCode(t, h.person("item", "create", "--vault", "dev", "--title", "argv", "password="+second), 0)
	wantCode(t, h.approved(h.person, "read", "op://dev/api/key"), 0)
	env := []string{"KEY=op://dev/api/key"}
	script := `printf '%s\n' "$KEY"; printf %s "$KEY" | base64 -w0; echo; printf %s "$KEY" | od -An -tx1 | tr -d ' \n'; echo; printf %s "$KEY" >&2; echo c2s/`
	r := h.do(command{Argv: []string{tt, "run", "--", "sh", "-c", script}, Env: env})
	wantCode(t, r, 0)
	search(t, "masked output", []byte(r.String()), canary)
	r = h.do(command{Argv: []string{tt, "run", "--", "sh", "-c", `test "$KEY" = '` + canary + `'`}, Env: env})
	wantCode(t, r, 0)
	for _, args := range [][]string{
		{"run", "--no-wait", "--", "curl", "-H", "Authorization: Bearer " + bearer, "https://127.0.0.1:9/"},
		{"run", "--no-wait", "--", "deploy", "--token", canary},
		{"run", "--no-wait", "--", "env", "KEY=" + canary},
		{"read", "--no-wait", canary}, {"set", second},
		{"item", "get", second}, {"item", "create", "--vault", "dev", "password=" + bearer}, {"item", "delete", bearer},
		{"vault", "create", "--no-wait", "--tier", bearer, "x"}, {bearer}, {"status", "--" + bearer},
		{"read", "--no-wait", "--purpose", "for " + bearer, "op://dev/api/key"},
	} {
		for _, setsid := range []bool{true, false} {
			h.do(command{Argv: append([]string{tt}, args...), Env: append(env, "T="+bearer), Setsid: setsid})
		}
	}
	p := h.do(command{Argv: []string{tt, "set", "op://dev/api/key"}, Stdin: []byte(proposed), Setsid: true})
	if p.Code != 0 && p.Code != 5 {
		t.Errorf("an agent proposes: %v", p)
	}
	// What people and programs type as names is repeated to them, so the errors
	// of this test's own arguments are not searched for what they named.
	errs := h.said.String()
	search(t, "standard error", []byte(errs), proposed, canary)
	time.Sleep(300 * time.Millisecond) // late outcomes
	export := h.ok("audit", "export")
	search(t, "export", []byte(export), canary, second, bearer, proposed)
	search(t, "events", []byte(h.ok("audit", "list", "--format", "json")), canary, second, bearer, proposed)
	search(t, "requests", []byte(h.ok("requests", "--all", "--format", "json")), canary, second, bearer, proposed)
	h.searchFiles(canary, second, bearer, proposed)
	h.ok("lock")
	for range 100 {
		if strings.Contains(h.person("status").Out, "locked") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.searchFiles(canary, second, bearer, proposed)
	h.searchMemory(canary, second, proposed, unlockPhrase, presencePhrase)
	h.abort()
	h.searchFiles(canary, second, bearer, proposed)
}

func (h *home) searchFiles(values ...string) {
	h.t.Helper()
	err := filepath.WalkDir(h.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		if err == nil {
			search(h.t, p, b, values...)
		}
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}

// abort ends the unlocked daemon by a signal that dumps core where that is
// possible, and looks for the core. Where cores go to a program there is no file
// to look for: that none is written is then told by the limits, and by
// TestNotDumpable, for the kernel hands out no core of such a process (core(5)).
func (h *home) abort() {
	h.t.Helper()
	h.unlock()
	pid := h.pid()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil || !coreOff(string(b)) {
		h.t.Errorf("core dumps are not off: %v\n%s", err, b)
	}
	if b, err = os.ReadFile("/proc/sys/kernel/core_pattern"); err != nil {
		h.t.Fatal(err)
	}
	pattern := strings.TrimSpace(string(b))
	cores := func() map[string]bool {
		found, _ := filepath.Glob("/core*") // the daemon works in /
		if filepath.IsAbs(pattern) {
			more, _ := filepath.Glob(filepath.Dir(pattern) + "/*" + strconv.Itoa(pid) + "*")
			found = append(found, more...)
		}
		set := map[string]bool{}
		for _, f := range found {
			set[f] = true
		}
		return set
	}
	before := cores()
	if err := syscall.Kill(pid, syscall.SIGABRT); err != nil || !gone(pid, 5*time.Second) {
		h.t.Fatalf("abort: %v", err)
	}
	for f := range cores() {
		if !before[f] {
			h.t.Errorf("a core was left at %s", f)
		}
	}
}

// searchMemory reads the daemon's whole memory.
func (h *home) searchMemory(values ...string) {
	h.t.Helper()
	proc := "/proc/" + strconv.Itoa(h.pid())
	if b, err := os.ReadFile(proc + "/limits"); err != nil || !coreOff(string(b)) {
		h.t.Errorf("core dumps are not off: %v\n%s", err, b)
	}
	if os.Geteuid() != 0 {
		h.t.Log("*** SKIP: only root can read the daemon's memory")
		return
	}
	maps, err := os.Open(proc + "/maps")
	if err != nil {
		h.t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(proc + "/mem")
	if err != nil {
		h.t.Fatal(err)
	}
	defer mem.Close()
	read := 0
	for sc := bufio.NewScanner(maps); sc.Scan(); {
		var from, to int64
		var perm string
		if n, _ := fmt.Sscanf(sc.Text(), "%x-%x %s", &from, &to, &perm); n != 3 || perm[0] != 'r' {
			continue
		}
		const step = 1 << 20
		buf := make([]byte, step+256)
		for at := from; at < to; at += step {
			n, _ := mem.ReadAt(buf[:min(int64(len(buf)), to-at)], at)
			read += n
			search(h.t, "memory "+sc.Text(), buf[:n], values...)
		}
	}
	if read < 1<<20 {
		h.t.Errorf("only %d bytes of memory could be read", read)
	}
}

// coreOff reports whether both limits, the one that holds and the one up to which
// it could be raised, are zero.
func coreOff(limits string) bool {
	for line := range strings.Lines(limits) {
		if f, ok := strings.CutPrefix(line, "Max core file size"); ok {
			n := strings.Fields(f)
			return len(n) >= 2 && n[0] == "0" && n[1] == "0"
		}
	}
	return false
}

// The daemon's files under /proc belong to root and not to its user: it is not
// dumpable (proc(5)), so nobody else of that user may attach or read its memory,
// and no core is written, to a file or to a program. What its passphrases were
// stretched in is no longer there at all.
func TestNotDumpable(t *testing.T) {
	t.Parallel()
	h := founded(t)
	if held := h.memory("VmRSS"); held > 64<<10 { // which is what stretching one of its passphrases takes
		t.Errorf("the daemon keeps %d MiB", held>>10)
	}
	uid, dir := os.Getuid(), h.dir
	if uid == 0 { // to whom everything belongs: the same program under another uid
		uid, dir = 65534, h.file("nobody")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(h.dir), 0o711); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
		env := []string{"THUMBTURN_HOME=" + dir}
		r := h.do(command{Argv: []string{program("thumbturn"), "daemon", "start"}, Env: env, UID: uid})
		wantCode(t, r, 0)
		defer h.do(command{Argv: []string{program("thumbturn"), "daemon", "stop"}, Env: env, UID: uid})
	}
	b, err := os.ReadFile(filepath.Join(dir, "run", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	proc := "/proc/" + strings.TrimSpace(string(b)) + "/"
	if b, err := os.ReadFile(proc + "limits"); err != nil || !coreOff(string(b)) {
		t.Errorf("core dumps are not off: %v\n%s", err, b)
	}
	for _, file := range []string{"mem", "environ", "fd/0", "maps"} {
		if fi, err := os.Lstat(proc + file); err == nil && fi.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s belongs to user %d: the daemon is dumpable", file, fi.Sys().(*syscall.Stat_t).Uid)
		}
		as := uid
		if as == os.Getuid() {
			as = 0 // as we are
		}
		r := h.do(command{Argv: []string{"head", "-c1", proc + file}, UID: as})
		if r.Code == 0 || !strings.Contains(r.Err, "ermission denied") {
			t.Errorf("%s can be read by its own user: %v", file, r)
		}
	}
}

// A credential typed where a name belongs is not recorded as it is.
func TestCredentialInReference(t *testing.T) {
	t.Parallel()
	h := founded(t)
	const bearer = "sk_live_4242abcdEFGH5353ijklMNOP"
	wantCode(t, h.person("read", "--no-wait", "op://dev/"+bearer+"/x"), 1)
	time.Sleep(300 * time.Millisecond)
	if strings.Contains(h.ok("audit", "list", "--format", "json"), bearer) {
		t.Error("the reason of a denial keeps a credential that stood in the reference")
	}
}

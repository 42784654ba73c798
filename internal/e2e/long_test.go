//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk"
)

// big writes a file of n bytes that no two seeds have in common, with a value at
// its beginning, in its middle and at its end.
func (h *home) big(name string, n int64, value string) string {
	h.t.Helper()
	f, err := os.Create(h.file(name))
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n)^rand.Uint64())
	if _, err := io.CopyN(f, rand.NewChaCha8(seed), n); err != nil {
		h.t.Fatal(err)
	}
	for _, at := range []int64{0, n / 2, n - int64(len(value))} {
		if _, err := f.WriteAt([]byte(value), at); err != nil {
			h.t.Fatal(err)
		}
	}
	return f.Name()
}

func sum(t *testing.T, name string) [32]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := sha256.New()
	if _, err := io.Copy(d, f); err != nil {
		t.Fatal(err)
	}
	return [32]byte(d.Sum(nil))
}

// memory is what the daemon holds now and held at most since calm, in KiB.
func (h *home) memory(what string) int64 {
	h.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(h.pid()) + "/status")
	if err != nil {
		h.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), what+":")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// calm makes VmHWM begin anew.
func (h *home) calm() int64 {
	h.t.Helper()
	if err := os.WriteFile("/proc/"+strconv.Itoa(h.pid())+"/clear_refs", []byte("5"), 0); err != nil {
		h.t.Skipf("*** SKIP: only root can measure the daemon's memory: %v", err)
	}
	return h.memory("VmRSS")
}

// rows counts blobs: pieces are of kind 4, marks of kind 5.
func (h *home) rows(kind int) (n int) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "data", "thumbturn.db")+"?mode=ro")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM blob WHERE kind = ?", kind).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// until waits for what is about to happen.
func (h *home) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("in vain: %s", what)
		}
	}
}

// window approves a read, so that this terminal may read for ten minutes.
func (h *home) window() {
	h.t.Helper()
	h.set("op://dev/small/token", "small")
	if h.person("read", "--no-wait", "op://dev/small/token").Code != 0 {
		wantCode(h.t, h.approved(h.person, "read", "op://dev/small/token"), 0)
	}
}

func (h *home) attach(item, file string) result {
	return h.do(command{Argv: []string{program("thumbturn"), "item", "create", "--vault", "dev", "--title", item, `disk\.img[file]=` + file}, Limit: 2 * time.Minute})
}

func (h *home) verified() {
	h.t.Helper()
	wantSaid(h.t, h.person("audit", "verify"), "everything agrees")
}

const mib = 1 << 20

// bound is how much more than when idle either process may hold.
const bound = 48 << 10 // KiB

// A large file comes back as it was, and neither process ever holds more than a
// small part of it. (One of the greatest length is what the bench attaches.)
func TestLongValue(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: long")
	}
	t.Parallel()
	h := founded(t)
	h.window()
	value := unturned("ybat_inyhr_42_pnanel_53_Xq9")
	file := h.big("image", 96*mib, value)
	base := h.person("status").Peak
	idle := h.calm()
	began := time.Now()
	r := h.attach("big", file)
	wantCode(t, r, 0)
	t.Logf("writing: %v, client %d KiB above %d, daemon %d above %d", time.Since(began), r.Peak-base, base, h.memory("VmHWM")-idle, idle)
	if h.memory("VmHWM")-idle > bound || r.Peak-base > bound {
		t.Error("too much memory")
	}
	if h.rows(4) != 96*mib/(64<<10) || h.rows(5) != 0 {
		t.Errorf("%d pieces, %d marks", h.rows(4), h.rows(5))
	}
	idle = h.calm()
	out := h.file("out")
	began = time.Now()
	r = h.do(command{Argv: []string{program("thumbturn"), "read", "--out-file", out, "op://dev/big/disk.img"}, Limit: 2 * time.Minute})
	wantCode(t, r, 0)
	t.Logf("reading: %v, client %d KiB above %d, daemon %d above %d", time.Since(began), r.Peak-base, base, h.memory("VmHWM")-idle, idle)
	if h.memory("VmHWM")-idle > bound || r.Peak-base > bound {
		t.Error("too much memory")
	}
	if fi, err := os.Stat(out); err != nil || fi.Mode().Perm() != 0o600 || sum(t, out) != sum(t, file) {
		t.Errorf("it came back changed: %v, %v", fi, err)
	}
	_ = os.Remove(out)
	wantSaid(t, h.person("read", "op://dev/big/disk.img?attribute=size"), strconv.Itoa(96*mib))

	// Standard output; one that breaks off is an error.
	read := "exec " + program("thumbturn") + " read -n op://dev/big/disk.img >" + out // the window is for children of the leader
	r = h.do(command{Argv: []string{"sh", "-c", read}, Limit: 2 * time.Minute})
	if wantCode(t, r, 0); sum(t, out) != sum(t, file) {
		t.Error("standard output has something else")
	}
	_ = os.Remove(out)
	if r = h.do(command{Argv: []string{"sh", "-c", "mkfifo " + out + "; head -c 100 " + out + " >/dev/null & " + read}, Limit: time.Minute}); r.Code == 0 {
		t.Errorf("a reader that leaves: %v", r)
	}

	// What needs the whole of it says so.
	for _, args := range [][]string{{"read", "op://dev/big/disk.img?ssh-format=openssh"}, {"run", "--", "true"}, {"item", "get", "big", "--reveal"}} {
		r := h.do(command{Argv: append([]string{program("thumbturn")}, args...), Env: []string{"X=op://dev/big/disk.img"}})
		wantCode(t, r, 2)
		wantSaid(t, r, "too long", "--out-file")
	}
	t.Logf("all but the search: %v", time.Since(began))
	h.searchLong(value)
	h.verified()
}

// searchLong is the end of the canary test for a value that was streamed.
func (h *home) searchLong(value string) {
	h.t.Helper()
	h.searchFiles(value)
	h.ok("lock")
	h.until("locked", func() bool { return strings.Contains(h.person("status").Out, "locked") })
	h.searchFiles(value)
	h.searchMemory(value)
	h.unlock()
}

// The life of a long value: an agent proposes one, it is activated, reverted,
// moved, backed up, put back, deleted and purged.
func TestLongLife(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.window()
	one, two := h.big("one", 17*mib+5, "1"), h.big("two", 16*mib+1, "2")
	read := func(ref string, want string) {
		t.Helper()
		out := h.file("out")
		run := h.person
		if strings.Contains(ref, "prod") {
			run = func(args ...string) result { return h.approved(h.person, args...) }
		}
		r := run("read", "--force", "--out-file", out, ref)
		if r.Code != 0 || sum(t, out) != sum(t, want) {
			t.Errorf("%s: %v", ref, r)
		}
	}
	wantCode(t, h.attach("x", one), 0)
	wantCode(t, h.attach("x", one), 1) // the title is taken; nothing is kept of it
	if h.rows(4) != 273 || h.rows(5) != 0 {
		t.Errorf("%d pieces, %d marks", h.rows(4), h.rows(5))
	}
	h.proposed("x", "disk.img", two)
	read("op://dev/x/disk.img", one)
	h.ok("item", "activate", "x")
	read("op://dev/x/disk.img", two)
	h.ok("item", "revert", "x", "--revision", "1")
	read("op://dev/x/disk.img", one)
	h.ok("item", "edit", "x", `more[file]=`+two, "note=short", `tiny[file]=`+h.file("unlock"))
	read("op://dev/x/more", two)
	wantCode(t, h.approved(func(a ...string) result { return h.person(append([]string{"item"}, a...)...) },
		"move", "x", "--current-vault", "dev", "--destination-vault", "prod"), 0)
	read("op://prod/x/disk.img", one)
	read("op://prod/x/more", two)
	h.verified()
	agent := h.agent("read", "--out-file", h.file("stolen"), "op://prod/x/more")
	wantCode(t, agent, 3)

	path, _ := h.backedUp("one.tar")
	wantCode(t, h.approved(func(a ...string) result { return h.person(append([]string{"item", a[0], "--yes"}, a[1:]...)...) }, "delete", "x"), 0)
	wantCode(t, h.approved(func(a ...string) result { return h.person(append([]string{"item", a[0], "--yes"}, a[1:]...)...) }, "purge", "x"), 0)
	if n := h.rows(4); n != 0 {
		t.Errorf("%d pieces survive the purge", n)
	}
	h.verified()
	h.ok("daemon", "stop")
	for _, f := range []string{"thumbturn.db", "thumbturn.db-wal", "thumbturn.db-shm"} {
		_ = os.Remove(filepath.Join(h.dir, "data", f))
	}
	h.ok("restore", "--from", path, "--passphrase-file", h.file("presence"), "--yes")
	h.unlock()
	h.window()
	read("op://prod/x/disk.img", one)
	h.verified()
}

// proposed has an agent, this process, bring a long value for a field.
func (h *home) proposed(item, field, file string) {
	h.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		h.t.Fatal(err)
	}
	c := h.dial()
	defer c.Close()
	got, err := c.ItemPutLong(h.t.Context(), api.ItemPut{Mode: "set", Vault: "dev", Item: item,
		Fields: []api.Field{{Label: field, Type: "FILE", Concealed: true, Stream: true}}}, nil, []sdk.Long{{Size: fi.Size(), From: f}}, nil)
	if err != nil || !got.Proposed {
		h.t.Errorf("%+v, %v", got, err)
	}
}

func (h *home) dial() *sdk.Client {
	h.t.Helper()
	home, err := api.FindHome(func(k string) string { return map[string]string{"THUMBTURN_HOME": h.dir}[k] })
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := sdk.Dial(h.t.Context(), home, sdk.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// Whoever is cut off in the middle of a write leaves nothing behind: not the
// client that is killed, nor one whose file changes, nor the daemon.
func TestLongWriteCut(t *testing.T) {
	t.Parallel()
	h := founded(t)
	file := h.big("image", 100*mib, "x")
	cut := func(who func(c *exec.Cmd)) {
		t.Helper()
		c := exec.Command(program("thumbturn"), "item", "create", "--vault", "dev", "--title", "cut", `disk\.img[file]=`+file)
		c.Env = h.env()
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an agent's: it may create
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		h.until("pieces arrive", func() bool { return h.rows(4) > 100 })
		if h.rows(5) != 1 {
			t.Errorf("%d marks", h.rows(5))
		}
		who(c)
		_ = c.Wait()
		if c.ProcessState.Success() {
			t.Error("it says that all is well")
		}
	}
	none := func(when string) {
		t.Helper()
		h.until("the pieces go when "+when, func() bool { return h.rows(4)+h.rows(5) == 0 })
		wantCode(t, h.person("item", "get", "cut"), 1)
		h.verified()
	}
	cut(func(c *exec.Cmd) { _ = c.Process.Kill() })
	none("the client is killed")
	cut(func(*exec.Cmd) { h.kill() })
	if h.rows(4) == 0 {
		t.Error("the daemon that was killed has erased something")
	}
	h.unlock()
	none("the daemon was killed")
	cut(func(*exec.Cmd) { h.ok("lock") })
	h.unlock()
	none("the vaults are locked")

	put := api.ItemPut{Mode: "create", Vault: "dev", Item: "cut", Title: "cut", Fields: []api.Field{{Label: "f", Type: "FILE", Concealed: true, Stream: true}}}
	for name, size := range map[string]int64{"shorter": 40 * mib, "longer": 20 * mib} {
		c := h.dial()
		_, err := c.ItemPutLong(t.Context(), put, nil, []sdk.Long{{Size: size, From: io.LimitReader(zeros{}, 30*mib)}}, nil)
		if err == nil || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("a file that becomes %s: %v", name, err)
		}
		_ = c.Close()
		none("the file becomes " + name)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Rubbish on the wire is refused by name, and leaves nothing.
func TestLongRubbish(t *testing.T) {
	t.Parallel()
	h := founded(t)
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("unix", filepath.Join(h.dir, "run", "thumbturn.sock"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	field := `{"label":"f","type":"FILE","concealed":true,"stream":true}`
	put := func(title string, fields ...string) []byte {
		return []byte(`{"mode":"create","vault":"dev","item":"` + title + `","title":"` + title + `","fields":[` + strings.Join(fields, ",") + `]}`)
	}
	part := func(n int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(n)), append([]byte{'P'}, make([]byte, n)...)...)
	}
	long := []int64{17 * mib}
	// Refused before anything is asked for: the connection stays good.
	for name, x := range map[string]struct {
		h    api.Header
		want string
	}{
		"stream of an operation without": {api.Header{Op: api.OpStatus, Streams: long}, "protocol"},
		"no field wants it":              {api.Header{Op: api.OpItemPut, Streams: long, Body: put("a")}, "protocol"},
		"no stream for the field":        {api.Header{Op: api.OpItemPut, Body: put("a", field)}, "protocol"},
		"a value and a stream":           {api.Header{Op: api.OpItemPut, Streams: long, Body: put("a", strings.Replace(field, "{", `{"value":true,`, 1))}, "protocol"},
		"a field that is not concealed":  {api.Header{Op: api.OpItemPut, Streams: long, Body: put("a", strings.Replace(field, "true", "false", 1))}, "usage"},
		"a vault that there is not":      {api.Header{Op: api.OpItemPut, Streams: long, Body: bytes.Replace(put("a", field), []byte("dev"), []byte("no"), 1)}, "not-found"},
		"an address from an agent":       {api.Header{Op: api.OpItemPut, Streams: long, Body: bytes.Replace(put("a", field), []byte("{"), []byte(`{"urls":["https://e"],`), 1)}, "denied"},
	} {
		c := dial()
		if err := api.WriteMessage(c, x.h); err != nil {
			t.Fatal(err)
		}
		got, err := api.ReadHeader(c)
		if err != nil || got.Error == nil || got.Error.Kind != x.want {
			t.Errorf("%s: %+v, %v", name, got.Error, err)
		}
		if err := api.WriteMessage(c, api.Header{Op: api.OpStatus}); err != nil {
			t.Error(err)
		}
		if got, err := api.ReadHeader(c); err != nil || got.Error != nil {
			t.Errorf("%s: the connection is gone: %v", name, err)
		}
	}
	// Found in the middle: the connection ends.
	for name, x := range map[string]struct {
		send []byte
		want string
	}{
		"empty part": {part(0), "protocol"}, "short part": {part(100), "protocol"}, "long part": {part(api.PartSize + 1), "protocol"},
		"a header for a part": {[]byte{0, 0, 0, 2, 'J', '{', '}'}, "protocol"}, "good, then short": {append(part(api.PartSize), part(9)...), "protocol"},
	} {
		c := dial()
		if err := api.WriteMessage(c, api.Header{Op: api.OpItemPut, Streams: long, Body: put("a", field)}); err != nil {
			t.Fatal(err)
		}
		if got, err := api.ReadHeader(c); err != nil || !got.More || string(got.Body) != `{"send":1}` {
			t.Fatalf("%s: not asked: %+v, %v", name, got, err)
		}
		_, _ = c.Write(x.send)
		if got, err := api.ReadHeader(c); err != nil || got.Error == nil || got.Error.Kind != x.want {
			t.Errorf("%s: %+v, %v", name, got.Error, err)
		}
		if _, err := api.ReadHeader(c); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	h.until("nothing is left", func() bool { return h.rows(4)+h.rows(5) == 0 })
	h.verified()
}

// A read that is cut off, at either end, leaves no file that could be taken for
// the whole.
func TestLongReadCut(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.window()
	wantCode(t, h.attach("big", h.big("image", 120*mib, "x")), 0)
	out := filepath.Join(h.file("to"), "out")
	if err := os.Mkdir(filepath.Dir(out), 0o700); err != nil {
		t.Fatal(err)
	}
	temporary := func() string {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".out.*.tmp"))
		if len(found) == 1 {
			if fi, err := os.Stat(found[0]); err == nil && fi.Size() > mib {
				return found[0]
			}
		}
		return ""
	}
	read := "exec " + program("thumbturn") + " read --out-file " + out + " op://dev/big/disk.img"
	reader := func() int {
		b, _ := os.ReadFile(h.file("pid"))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return pid
	}
	for name, stop := range map[string]func() bool{
		"killed": func() bool { h.kill(); return true },
		"locked": func() bool { // a lock waits for a delivery, and not for ever
			_ = syscall.Kill(reader(), syscall.SIGSTOP)
			defer syscall.Kill(reader(), syscall.SIGCONT)
			return h.person("lock").Code == 0
		},
	} {
		h.unlock()
		h.window()
		ch := h.sh.start(command{Argv: []string{"sh", "-c", "echo $$ >" + h.file("pid") + "; " + read}, Limit: time.Minute})
		h.until("the file grows", func() bool { return temporary() != "" })
		done := stop()
		r := h.heard(<-ch)
		if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) || r.Code == 0 || !done {
			t.Errorf("%s: %v\n%v", name, err, r)
		}
		if list, _ := os.ReadDir(filepath.Dir(out)); len(list) != 0 {
			t.Errorf("%s: left behind: %v", name, list)
		}
	}
	// A client that is killed leaves its temporary file, which nobody else can read.
	h.unlock()
	h.window()
	ch := h.sh.start(command{Argv: []string{"sh", "-c", "echo $$ >" + h.file("pid") + "; " + read}, Limit: time.Minute})
	h.until("the file grows", func() bool { return temporary() != "" })
	if fi, err := os.Stat(temporary()); err == nil && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	_ = syscall.Kill(reader(), syscall.SIGKILL)
	if r := h.heard(<-ch); r.Code != 128+int(syscall.SIGKILL) {
		t.Errorf("%v", r)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file: %v", err)
	}
	h.until("the outcome is on record", func() bool {
		return strings.Contains(h.ok("audit", "list", "--type", "outcome", "--format", "json"), "the caller has gone")
	})
	h.verified()
}

// A disk that gets full in the middle of a write, or of a read.
func TestLongOnFullDisk(t *testing.T) {
	t.Parallel()
	h := bare(t)
	data, small := filepath.Join(h.dir, "data"), h.file("small")
	for dir, size := range map[string]string{data: "size=100m,mode=0700", small: "size=10m,mode=0700"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
			t.Skipf("*** SKIP: only root can mount a small disk: %v", err)
		}
		t.Cleanup(func() { h.stop(); _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	h.ok("init", "--test-home", "--passphrase-file", h.file("unlock"),
		"--presence-passphrase-file", h.file("presence"), "--recovery-file", h.file("recovery"))
	h.window()
	r := h.attach("big", h.big("image", 100*mib, "x"))
	wantCode(t, r, 1)
	wantSaid(t, r, "nearly full", "free some space")
	if h.rows(4)+h.rows(5) != 0 {
		t.Errorf("%d pieces, %d marks", h.rows(4), h.rows(5))
	}
	h.verified()
	wantCode(t, h.attach("fits", h.big("fits", 18*mib, "x")), 0)
	out := filepath.Join(small, "out")
	r = h.person("read", "--out-file", out, "op://dev/fits/disk.img")
	wantCode(t, r, 1)
	wantSaid(t, r, "no space left")
	if list, _ := os.ReadDir(small); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	h.verified()
}

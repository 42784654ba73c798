//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
)

var canary = unturned("fx_yvir_51Pnanel/D7k+9Mj==r2r")

// waitLong bounds what should take a moment.
const waitLong = 10 * time.Second

// Whatever an agent does to look like a person's command, it gets no value.
func TestWhoIsWho(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	tt := program("thumbturn")
	out := h.write("out", "")
	inner := tt + " read --timeout 1s op://dev/api/key >" + out + " 2>&1; echo exit $? >>" + out
	fake := filepath.Join(filepath.Dir(h.dir), "claude")
	if err := os.Symlink("/bin/sh", fake); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.approved(h.person, "read", "op://dev/api/key"), 0)
	if r := h.person("read", "op://dev/api/key"); r.Code != 0 || r.Out != canary+"\n" {
		t.Errorf("the person's ten minutes: %v", r)
	}
	tests := []struct {
		name string
		cmd  command
		need string
	}{
		{"own session", command{Argv: []string{"sh", "-c", inner}, Setsid: true}, ""},
		{"setsid and script", command{Argv: []string{"setsid", "-f", "env", "-i", "THUMBTURN_HOME=" + h.dir, "PATH=/usr/bin:/bin", "script", "-qc", inner, "/dev/null"}}, "script"},
		{"tmux", command{Argv: []string{"tmux", "-S", h.file("tmux"), "-f", "/dev/null", "new-session", "-d", inner}}, "tmux"},
		{"double fork", command{Argv: []string{"sh", "-c", "( ( sleep 0.1; " + inner + " ) & ) "}}, ""},
		{"double fork, new session", command{Argv: []string{"sh", "-c", "( setsid sh -c 'sleep 0.1; " + inner + "' & ) "}}, ""},
		{"mark of an agent", command{Argv: []string{"sh", "-c", inner + "; true"}, Env: []string{"CLAUDECODE=1"}}, ""},
		{"agent by name", command{Argv: []string{fake, "-c", inner + "; true"}}, ""},
		{"agent by title", command{Argv: []string{"bash", "-c", `exec -a "claude --resume" sh -c "$0; true"`, inner}}, ""},
		{"another namespace", command{Argv: []string{"unshare", "--user", "--map-root-user", "sh", "-c", inner}}, "unshare"},
	}
	for _, tt := range tests {
		if tt.need != "" {
			if _, err := exec.LookPath(tt.need); err != nil {
				t.Logf("*** SKIP %s: no %s here", tt.name, tt.need)
				continue
			}
		}
		h.write("out", "")
		r := h.do(tt.cmd)
		var got string
		for range 250 {
			b, _ := os.ReadFile(out)
			if got = string(b); strings.Contains(got, "exit ") {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if strings.Contains(got, canary) || !strings.Contains(got, "exit 3") {
			t.Errorf("%s: %q\n%v", tt.name, got, r)
		}
	}
	h.ok("audit", "verify")
}

// Another user gets nothing, whatever the modes of files say.
func TestAnotherUser(t *testing.T) {
	root(t)
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	for _, dir := range []string{filepath.Dir(h.dir), h.dir, filepath.Join(h.dir, "run")} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(h.dir, "run", "thumbturn.sock"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"read", "op://dev/api/key"}, {"item", "list"}} {
		r := h.do(command{Argv: append([]string{program("thumbturn")}, args...), UID: 65534})
		if r.Code == 0 || strings.Contains(r.String(), canary) || strings.Contains(r.Out, "api") {
			t.Errorf("%v: %v", args, r)
		}
	}
	for _, op := range []string{"status", "reveal", "item.list"} {
		r := h.do(command{Argv: []string{selfCopy(h)}, Env: []string{forgeMark + "=" + op}, UID: 65534})
		if !strings.Contains(r.Out, `"kind":"denied"`) || strings.Contains(r.Out, canary) {
			t.Errorf("nobody asks %s: %v", op, r)
		}
	}
}

// selfCopy is this program where another user can execute it.
func selfCopy(h *home) string {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		h.t.Fatal(err)
	}
	p := filepath.Join(filepath.Dir(h.dir), "forge")
	if err := os.WriteFile(p, b, 0o755); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// forge speaks the protocol without our client: it asks for one thing and
// prints every answer.
func forge() {
	home := os.Getenv("THUMBTURN_HOME")
	c, err := net.Dial("unix", filepath.Join(home, "run", "thumbturn.sock"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	op := os.Getenv(forgeMark)
	head := api.Header{V: 1, Op: api.Op(op)}
	want := api.Want{Ask: api.Ask{NoWait: true}, Refs: []string{"op://dev/api/key"}}
	switch op {
	case "exec": // hand the connection on and become an honest program
		op = "reveal"
		defer func() {
			f, _ := c.(*net.UnixConn).File()
			_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETFD, 0)
			_, _ = syscall.ForkExec("/proc/self/exe", []string{"forge"}, &syscall.ProcAttr{
				Env: []string{forgeMark + "=inherited", "THUMBTURN_HOME=" + home}, Files: []uintptr{0, 1, 2, f.Fd()}})
			_ = syscall.Exec(program2(), []string{"thumbturn", "daemon", "status"}, []string{"THUMBTURN_HOME=" + home})
		}()
		return
	case "inherited":
		time.Sleep(200 * time.Millisecond) // the parent has become the honest program
		c, err = net.FileConn(os.NewFile(3, "conn"))
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		op = "reveal"
	case "file": // of a project, with what is no question for a lease
		op, want.Project = "handoff", &api.Project{File: "/.thumbturn.toml", Task: "a"}
	case "version":
		head = api.Header{V: 99, Op: api.OpHello}
	}
	if op == "reveal" || op == "handoff" {
		want.Sink = op
		want.Names = []string{"KEY"}
		want.Program = api.Program{Path: "/usr/bin/true", Argv: []string{"true"}, Dir: "/"}
		if op == "reveal" {
			want.Names, want.Program = nil, api.Program{}
		}
		head.Op = api.OpRelease
		head.Body, _ = json.Marshal(want)
	}
	b, _ := json.Marshal(head)
	frame := append([]byte{byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b)), 'J'}, b...)
	if _, err := c.Write(frame); err != nil {
		fmt.Println("write:", err)
	}
	h, err := api.ReadHeader(c)
	out, _ := json.Marshal(h)
	fmt.Printf("%s %v\n", out, err)
	for range h.Values {
		v, _ := api.ReadValue(c)
		fmt.Printf("value %s\n", v)
	}
}

// program2 is thumbturn's path for a forged client: beside PATH's first folder.
func program2() string {
	first, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	return filepath.Join(first, "thumbturn")
}

func TestForgedClient(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	self := selfCopy(h)
	tests := []struct {
		op    string
		agent bool
		want  string
	}{
		{"reveal", true, `"kind":"denied"`},
		{"handoff", true, `"kind":"pending"`},
		{"reveal", false, `"kind":"pending"`},
		{"file", true, "goes with reserve"},
		{"exec", true, `"error"`},
		{"exec", false, `"error"`},
		{"version", true, `"kind":"protocol"`},
		{"release", true, `"error"`},
		{"no.such", true, `"kind":"protocol"`},
	}
	for _, tt := range tests {
		r := h.do(command{Argv: []string{self}, Env: []string{forgeMark + "=" + tt.op}, Setsid: tt.agent})
		time.Sleep(50 * time.Millisecond)
		if strings.Contains(r.String(), canary) || !strings.Contains(r.Out, tt.want) {
			t.Errorf("%s (agent %v): %v", tt.op, tt.agent, r)
		}
	}
}

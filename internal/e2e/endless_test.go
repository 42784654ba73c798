//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// However much a program prints, run holds the same memory.
func TestRunPrintsMuch(t *testing.T) {
	if testing.Short() {
		t.Skip("so much takes seconds")
	}
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	const size, bound = 1 << 28, 48 << 10 // bytes; KiB
	// The program's parent is run itself; the greatest memory it ever held is in
	// its status.
	script := fmt.Sprintf(`yes "a line with $KEY in it" | head -c %d; grep -h -e Name -e VmHWM /proc/$PPID/status >&2`, size)
	outer := `"$0" run -- sh -c "$1" | wc -c`
	r := h.do(command{Argv: []string{"sh", "-c", outer, program("thumbturn"), script}, Env: []string{"KEY=op://dev/api/key"}, Limit: 5 * time.Minute})
	wantCode(t, r, 0)
	var held int
	if _, err := fmt.Sscanf(strings.TrimSpace(r.Err), "Name: thumbturn\nVmHWM: %d kB", &held); err != nil {
		t.Fatalf("%v: %v", err, r)
	}
	t.Logf("%d KiB", held)
	if held > bound {
		t.Errorf("run held %d KiB", held)
	}
	const mask, line = "<concealed by Thumbturn>", len("a line with  in it\n")
	n, err := strconv.Atoi(strings.TrimSpace(r.Out))
	if want := size / (line + len(canary)) * (line + len(mask)); err != nil || n < want-line-len(mask) || n > want+line+len(mask) {
		t.Errorf("%d bytes came out, want about %d: %v", n, want, err)
	}
}

// Programs that never end are ended by signals, as without us. While they run, the
// daemon serves others, locks and ends; what they hold they hold.
func TestRunNeverEnds(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	type endless struct {
		name        string
		script      string
		signal      syscall.Signal
		both        bool // as Ctrl-C, which the terminal sends to both
		end         <-chan result
		run, itself int
	}
	all := []*endless{
		{name: "interrupted", script: "exec sleep 1000", signal: syscall.SIGINT, both: true},
		{name: "ended", script: "exec sleep 1000", signal: syscall.SIGTERM},
		{name: "printing", script: `while echo "$KEY"; do sleep 0.05; done`, signal: syscall.SIGTERM},
		{name: "killed", script: `while echo "$KEY"; do sleep 0.05; done`, signal: syscall.SIGKILL}, // the program by the closed pipe
	}
	for _, e := range all {
		pids := h.write(e.name, "")
		e.end = h.sh.start(command{Argv: []string{"sh", "-c", `exec "$0" run -- sh -c "$1" >/dev/null`, program("thumbturn"), "echo $PPID $$ >" + pids + "; " + e.script},
			Env: []string{"KEY=op://dev/api/key"}, Limit: 5 * time.Minute})
		for range 500 {
			b, _ := os.ReadFile(pids)
			if n, _ := fmt.Sscan(string(b), &e.run, &e.itself); n == 2 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if e.itself == 0 {
			t.Fatalf("%s does not start", e.name)
		}
	}
	h.set("op://dev/api/more", "beside them")
	if !h.uses("op://dev/api/more", "beside them") {
		t.Error("nobody else is served")
	}
	h.ok("lock")
	var r result
	for range 5 { // a busy disk keeps the daemon from coming back in time
		if r = h.do(command{Argv: []string{program("thumbturn"), "run", "--", "true"}, Env: []string{"KEY=op://dev/api/key"}}); r.Code == 4 {
			break
		}
	}
	wantCode(t, r, 4)
	h.halt()
	for _, e := range all {
		if gone(e.run, time.Millisecond) || gone(e.itself, time.Millisecond) {
			t.Errorf("%s: gone before its time", e.name)
			continue
		}
		if err := syscall.Kill(e.run, e.signal); err != nil {
			t.Error(err)
		}
		if e.both {
			_ = syscall.Kill(e.itself, e.signal)
		}
		select {
		case r := <-e.end:
			wantCode(t, r, 128+int(e.signal))
		case <-time.After(waitLong):
			t.Errorf("%s: run goes on", e.name)
		}
		if !gone(e.itself, waitLong) {
			t.Errorf("%s: the program goes on", e.name)
		}
	}
	h.unlock()
	if !h.uses("op://dev/api/key", canary) {
		t.Error("nobody is served afterwards")
	}
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
}

package run

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/mask"
	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

// onScreen runs a full-screen program with one secret in TOKEN. Without the
// program the test is skipped.
func onScreen(t *testing.T, args ...string) *ptytest.Terminal {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("*** SKIP: %s is not installed", args[0])
	}
	s, env := oneSecret(t)
	return ptytest.Start(t, command(t, s, append(env, "TERM=xterm", "LESSSECURE=1", "LESSHISTFILE=-", "HOME="+t.TempDir()), append([]string{"--"}, args...)...))
}

// over fails unless the program ended well, left the terminal as it was, and
// showed no value.
func over(t *testing.T, p *ptytest.Terminal) {
	t.Helper()
	if err := p.Wait(wait); err != nil {
		t.Errorf("%v; on the terminal: %q", err, p.Output())
	}
	restored(t, p)
	if strings.Contains(p.Output(), "hunter2") {
		t.Error("a value was shown")
	}
}

// TestPager scrolls through values while the window changes.
func TestPager(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a line\nthe key is hunter2-hunter2 and\n", 200) + "the end"
	p := onScreen(t, "less", write(t, "text", text, 0o600))
	p.Expect("a line\r\nthe key is "+mask.Replacement+" and", wait)
	for i, rows := range []uint16{10, 40, 24} {
		p.Resize(60+uint16(i)*20, rows)
		p.Send("g")
		p.Expect("the key is "+mask.Replacement+" and", wait)
		p.Send(" ")
		p.Expect("the key is "+mask.Replacement+" and", wait)
	}
	p.Send("G")
	p.Expect("the end", wait)
	p.Send("q")
	over(t, p)
}

// TestEditor sees the editor's idea of the window, and what it writes.
func TestEditor(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	p := onScreen(t, "vi", "-u", "NONE", file)
	p.Expect("~", wait)
	p.Send(":set lines?\r")
	p.Expect("lines=24", wait)
	p.Resize(100, 37)
	p.Expect("~", wait)
	p.Send(":set lines?\r")
	p.Expect("lines=37", wait)
	p.Send(":r !printenv TOKEN\r")
	p.Expect(mask.Replacement, wait)
	p.Send(":wq\r")
	over(t, p)
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "hunter2-hunter2") {
		t.Errorf("the editor wrote %q, %v", b, err)
	}
}

// TestMonitor repaints on its own.
func TestMonitor(t *testing.T) {
	t.Parallel()
	p := onScreen(t, "top", "-d", "0.2")
	p.Expect("PID", wait)
	p.Expect("Tasks:", wait)
	p.Resize(120, 20)
	p.Expect("PID", wait) // the heading is painted anew only where the window is
	p.Expect("Tasks:", wait)
	p.Send("q")
	over(t, p)
}

// TestColours: programs that look for a terminal find one.
func TestColours(t *testing.T) {
	t.Parallel()
	p := onScreen(t, "ls", "--color=auto", "-d", "/")
	p.Expect("\x1b[", wait)
	over(t, p)
}

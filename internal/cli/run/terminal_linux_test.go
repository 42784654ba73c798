package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/mask"
	"github.com/thumbturn/thumbturn/internal/term/ptytest"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

const wait = 60 * time.Second

// onTerminal is `thumbturn run -- sh -c script` on a terminal, with one secret
// in TOKEN.
func onTerminal(t *testing.T, script string) *ptytest.Terminal {
	t.Helper()
	s, env := oneSecret(t)
	return ptytest.Start(t, command(t, s, env, "--", "sh", "-c", script))
}

// restored fails unless the terminal edits and echoes, as it did before.
func restored(t *testing.T, p *ptytest.Terminal) {
	t.Helper()
	if !p.Echo() || !p.Canonical() || p.Modes().IsRaw() {
		t.Error("the terminal was not restored")
	}
}

// ignored is what this process ignores, as its children do then: some programs
// start others with the C library's own signals ignored.
func ignored(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "SigIgn:")
	return strings.Fields(rest)[0]
}

func TestTerminalOfItsOwn(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, `test -t 0 && test -t 1 && test -t 2 && test -t 9 9</dev/tty && echo all four; stty size; echo "[$TOKEN]"
		trap 'stty size' WINCH
		grep -E 'Sig(Ign|Blk)' /proc/self/status | tr '\t\n' '  '; ps -o pid=,pgid=,tpgid= -p $$ | tr -s ' '; echo "$$ ready"
		read x; echo "got $x"; read x; exit 7`)
	p.Expect("all four\r\n24 80\r\n["+mask.Replacement+"]\r\n", wait)
	p.Expect("SigBlk: 0000000000000000 SigIgn: "+ignored(t)+" ", wait)
	line := strings.Fields(p.Expect(" ready\r\n", wait))
	if pid := line[len(line)-2]; len(line) == 5 && (line[0] != pid || line[1] != pid || line[2] != pid) {
		t.Errorf("pid, group, foreground group: %q", line)
	}
	if !p.Modes().IsRaw() {
		t.Error("the terminal edits what is typed a second time")
	}
	p.Send("hello\r")
	p.Expect("hello\r\ngot hello\r\n", wait)
	p.Resize(132, 50)
	p.Expect("50 132\r\n", wait)
	p.Send("\r")
	exitError := new(exec.ExitError)
	if err := p.Wait(wait); !errors.As(err, &exitError) || exitError.ExitCode() != 7 {
		t.Error(err)
	}
	restored(t, p)
	if strings.Contains(p.Output(), "hunter2") {
		t.Error("a value was shown")
	}
}

// TestStatusOnTerminal: as without one.
func TestStatusOnTerminal(t *testing.T) {
	s, env := oneSecret(t)
	dir := t.TempDir()
	noInterpreter := write(t, filepath.Join(dir, "lost"), "#!/nonexistent/sh\n", 0o755)
	junk := write(t, filepath.Join(dir, "junk"), "\x01\x02\x03", 0o755)
	for _, c := range []struct {
		args   []string
		code   int
		signal syscall.Signal
	}{
		{[]string{"true"}, 0, 0},
		{[]string{"sh", "-c", "exit 3"}, 3, 0},
		{[]string{"sh", "-c", "kill -9 $$"}, -1, syscall.SIGKILL},
		{[]string{"sh", "-c", "stty raw -echo; kill -TERM $$"}, -1, syscall.SIGTERM},
		{[]string{"sh", "-c", "kill -INT $$"}, -1, syscall.SIGINT},
		{[]string{"sh", "-c", "kill -USR1 $$"}, 128 + int(syscall.SIGUSR1), 0},
		{[]string{noInterpreter}, 126, 0},
		{[]string{junk}, 126, 0},
		{[]string{"sh", "-c", "exec >&- 2>&- <&-; sleep 0.2; exit 4"}, 4, 0},
	} {
		cmd := command(t, s, env, append([]string{"--"}, c.args...)...)
		p := ptytest.Start(t, cmd)
		_ = p.Wait(wait)
		if r := (result{state: cmd.ProcessState}); r.code() != c.code || r.signal() != c.signal {
			t.Errorf("%v: %v, want %d %v; %s", c.args, r.state, c.code, c.signal, p.Output())
		}
		restored(t, p)
	}
}

// TestTypedSignals: they reach what has the foreground, not us.
func TestTypedSignals(t *testing.T) {
	for key, c := range map[string]struct {
		name string
		n    syscall.Signal
	}{"\x03": {"INT", syscall.SIGINT}, "\x1c": {"QUIT", syscall.SIGQUIT}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := onTerminal(t, "trap 'echo got it' "+c.name+"; echo ready; while :; do sleep 0.05; done")
			p.Expect("ready", wait)
			p.Send(key)
			p.Expect("got it\r\n", wait)
			p.Send(key)
			p.Expect("got it\r\n", wait)
			_ = syscall.Kill(p.PID(), syscall.SIGTERM)
			_ = p.Wait(wait)
			restored(t, p)
		})
	}
	t.Run("ends", func(t *testing.T) {
		t.Parallel()
		s, env := oneSecret(t)
		cmd := command(t, s, env, "--", "sh", "-c", "echo ready; sleep 60; echo no")
		p := ptytest.Start(t, cmd)
		p.Expect("ready", wait)
		// dash loses an interrupt that comes while it starts a program, on any terminal.
		time.Sleep(500 * time.Millisecond)
		p.Send("\x03")
		_ = p.Wait(wait)
		if r := (result{state: cmd.ProcessState}); r.signal() != syscall.SIGINT {
			t.Error(r.state)
		}
		restored(t, p)
	})
}

// TestSignalsOnTerminal: those sent to us are passed on.
func TestSignalsOnTerminal(t *testing.T) {
	for name, n := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "INT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := onTerminal(t, "trap 'echo got; exit 0' "+name+"; echo ready; while :; do sleep 0.05; done")
			p.Expect("ready\r\n", wait)
			_ = syscall.Kill(p.PID(), n)
			p.Expect("got\r\n", wait)
			if err := p.Wait(wait); err != nil {
				t.Error(err)
			}
			restored(t, p)
		})
	}
}

// aShell is an interactive shell on a terminal; the line runs a script under us.
func aShell(t *testing.T, script string) (p *ptytest.Terminal, line string) {
	t.Helper()
	s, env := oneSecret(t)
	cmd := command(t, s, append(env, "PS1=$ "), "--", "sh", "-c", script)
	line = cmd.Path
	for _, a := range cmd.Args[1:] {
		line += " '" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	sh := exec.Command("sh", "-i")
	sh.Env = cmd.Env
	p = ptytest.Start(t, sh)
	p.Expect("$ ", wait)
	return p, line
}

func TestStop(t *testing.T) {
	t.Parallel()
	p, line := aShell(t, `stty -echo; echo ready; while read x; do echo "got $x $TOKEN"; done; echo over`)
	p.Send(line + "\r")
	p.Expect("ready\r\n", wait)
	for range 3 {
		p.Send("\x1a")
		p.Expect("Stopped", wait)
		p.Expect("$ ", wait)
		restored(t, p)
		p.Send("echo in the $((1+1))nd shell\r")
		p.Expect("in the 2nd shell\r\n", wait)
		p.Resize(90, 30)
		p.Send("fg\r")
		eventually(t, "not raw again", func() bool { return p.Modes().IsRaw() })
		p.Send("a line\r")
		p.Expect("got a line "+mask.Replacement, wait)
	}
	p.Send("\x1a")
	p.Expect("$ ", wait)
	p.Send("bg; echo still $((3+4))\r")
	p.Expect("still 7", wait) // ours is in the background and does not take what is typed
	p.Send("fg\r")
	eventually(t, "not raw again", func() bool { return p.Modes().IsRaw() })
	p.Send("again\r")
	p.Expect("got again", wait)
	p.Send("\x04")
	p.Expect("over\r\n", wait)
	p.Expect("$ ", wait)
	restored(t, p)
	p.Send("exit\r")
	_ = p.Wait(wait)
	if strings.Contains(p.Output(), "hunter2") {
		t.Error("a value was shown")
	}
}

// TestStopAfterAStart: what looks like the start of a value gets out before the
// stop, and not at the next start.
func TestStopAfterAStart(t *testing.T) {
	t.Parallel()
	p, line := aShell(t, `printf 'a huge %s' hun; kill -TSTP $$; echo over`)
	p.Send(line + "\r")
	if said := p.Expect("Stopped", wait); !strings.Contains(said, "a huge hun") {
		t.Errorf("before the stop: %q", said)
	}
	p.Expect("$ ", wait)
	p.Send("fg\r")
	p.Expect("over\r\n", wait)
	p.Expect("$ ", wait)
	p.Send("exit\r")
	_ = p.Wait(wait)
}

// TestStopWithoutShell: nobody could continue us, so the program goes on.
func TestStopWithoutShell(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, `trap 'echo "go on"' CONT; echo ready; until read x && test "$x" = end; do :; done`)
	p.Expect("ready\r\n", wait)
	for range 3 {
		p.Send("\x1a")
		p.Expect("go on\r\n", wait)
	}
	p.Send("end\r")
	if err := p.Wait(wait); err != nil {
		t.Error(err)
	}
}

// TestInBackground: the shell owns the terminal, and its modes.
func TestInBackground(t *testing.T) {
	t.Parallel()
	p, line := aShell(t, `test -t 1 || echo "a pipe, $TOKEN"`)
	p.Send(line + " & wait\r")
	p.Expect("a pipe, "+mask.Replacement, wait)
	p.Expect("$ ", wait)
	restored(t, p)
}

// TestBesideAnother: a second run on the same terminal leaves it to the first,
// and neither leaves it raw.
func TestBesideAnother(t *testing.T) {
	t.Parallel()
	p, line := aShell(t, `if test -t 1; then echo first; read x; echo "got $x"; else echo "second: $TOKEN"; fi`)
	both := write(t, "both", "(until stty -a | grep -q -- -icanon; do sleep 0.02; done; "+line+") </dev/tty &\n"+line+"\nwait\n", 0o600)
	p.Send("sh " + both + "\r")
	// The second starts once the terminal is raw, which is before the first prints: on a busy machine it can be ahead.
	if said := p.Expect("second: "+mask.Replacement, wait); !strings.Contains(said, "first\r\n") {
		p.Expect("first\r\n", wait)
	}
	p.Send("x\r")
	p.Expect("got x", wait)
	p.Expect("$ ", wait)
	restored(t, p)
}

// TestKilled: whatever becomes of us, the terminal is restored, and the program
// is hung up.
func TestKilled(t *testing.T) {
	for name, n := range map[string]syscall.Signal{"KILL": syscall.SIGKILL, "panic": syscall.SIGABRT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "mark")
			p, line := aShell(t, "trap 'echo hup >"+mark+"; exit' HUP; stty raw -echo; echo \"I am $PPID\"; while :; do sleep 0.05; done")
			p.Send(line + "\r")
			p.Expect("\nI am ", wait)
			leader, err := strconv.Atoi(strings.TrimSpace(p.Expect("\n", wait)))
			if err != nil {
				t.Fatal(err)
			}
			if !p.Modes().IsRaw() {
				t.Error("not raw")
			}
			_ = syscall.Kill(parentOf(t, leader), n)
			p.Expect("$ ", wait)
			eventually(t, "the terminal is not restored", func() bool { return p.Echo() && p.Canonical() && !p.Modes().IsRaw() })
			eventually(t, "the program was not hung up", func() bool { b, _ := os.ReadFile(mark); return len(b) > 0 })
			eventually(t, "the leader stays", func() bool { return syscall.Kill(leader, 0) != nil })
		})
	}
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestLeaderKilled: what is left says so and restores the terminal.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, `echo "I am $PPID"; while :; do sleep 0.05; done`)
	p.Expect("I am ", wait)
	leader, _ := strconv.Atoi(strings.TrimSpace(p.Expect("\r\n", wait)))
	_ = syscall.Kill(leader, syscall.SIGKILL)
	p.Expect("how the program ended is not known", wait)
	if p.Wait(wait) == nil {
		t.Error("status 0")
	}
	restored(t, p)
}

// TestTerminalGone: closing the window hangs the program up.
func TestTerminalGone(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	p := onTerminal(t, "trap 'echo hup >"+mark+"; exit' HUP; echo ready; while :; do sleep 0.05; done")
	p.Expect("ready", wait)
	p.Hangup()
	eventually(t, "the program was not hung up", func() bool { b, _ := os.ReadFile(mark); return len(b) > 0 })
}

// TestNoValueInShim looks at what others may see of our processes.
func TestNoValueInShim(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, `echo "I am $PPID"; read x`)
	p.Expect("I am ", wait)
	leader, _ := strconv.Atoi(strings.TrimSpace(p.Expect("\r\n", wait)))
	for _, pid := range []int{leader, parentOf(t, leader)} {
		for _, name := range []string{"environ", "cmdline"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			if err != nil || bytes.Contains(b, []byte("hunter2")) || pid == leader && name == "environ" && len(b) > 0 {
				t.Errorf("%s of %d: %q, %v", name, pid, b, err)
			}
		}
	}
	p.Send("\r")
	_ = p.Wait(wait)
}

func TestBinaryOnTerminal(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for i := range 64 << 10 {
		all.WriteByte(byte(i ^ i>>8))
	}
	file := write(t, "binary", all.String(), 0o600)
	p := onTerminal(t, "stty raw -echo; echo ready; cat '"+file+"'; echo end")
	p.Expect("ready\n", wait)
	if got := p.Expect("end\n", wait); got != all.String()+"end\n" {
		t.Errorf("%d bytes, want %d", len(got), all.Len()+4)
	}
	// And what is typed.
	p = onTerminal(t, "stty raw -echo; echo ready; head -c 256 | od -An -v -tu1 | tr -s ' \\n' '  '; echo end")
	p.Expect("ready\n", wait)
	var keys, want strings.Builder
	for i := range 256 {
		keys.WriteByte(byte(i))
		fmt.Fprintf(&want, " %d", i)
	}
	p.Send(keys.String())
	if got := p.Expect("end", wait); strings.TrimSpace(got) != strings.TrimSpace(want.String())+" end" {
		t.Errorf("typed: %q", got)
	}
}

// TestLeftBehind: a program in the background neither hangs us nor is ended.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s, env := oneSecret(t)
	cmd := command(t, s, env, "--", "sh", "-c", "sleep 30 & echo \"pid $!\"; exit 6")
	p := ptytest.Start(t, cmd)
	p.Expect("pid ", wait)
	pid, err := strconv.Atoi(strings.TrimSpace(p.Expect("\r\n", wait)))
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Wait(wait)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error("it did not go on:", err)
	}
	if took := time.Since(began); cmd.ProcessState.ExitCode() != 6 || took > 15*time.Second {
		t.Errorf("%v after %v", cmd.ProcessState, took)
	}
	restored(t, p)
}

// TestSomeStreams: what is not the terminal stays what it is.
func TestSomeStreams(t *testing.T) {
	const script = `exec 3>"$F"; for i in 0 1 2; do test -t $i && printf "$i " >&3; done; echo "out $TOKEN"; echo "err $TOKEN" >&2; cat >&2 <&0`
	start := func(t *testing.T, until string, change func(*exec.Cmd)) (tty, seen string) {
		s, env := oneSecret(t)
		f := filepath.Join(t.TempDir(), "seen")
		cmd := command(t, s, append(env, "F="+f), "--", "sh", "-c", script)
		change(cmd)
		p := ptytest.Start(t, cmd)
		p.Expect(until, wait)
		if _, ok := cmd.Stdin.(*os.File); ok { // the terminal
			p.Send("\x04")
		}
		_ = p.Wait(wait)
		b, _ := os.ReadFile(f)
		restored(t, p)
		return p.Output(), string(b)
	}
	var buf bytes.Buffer
	if tty, seen := start(t, "out ", func(c *exec.Cmd) { c.Stderr = &buf }); seen != "0 1 " || !strings.Contains(tty, "out "+mask.Replacement+"\r\n") ||
		buf.String() != "err "+mask.Replacement+"\n" {
		t.Errorf("errors elsewhere: %q %q %q", seen, tty, buf.String())
	}
	buf.Reset()
	if tty, seen := start(t, "err ", func(c *exec.Cmd) { c.Stdout = &buf }); seen != "0 " || !strings.Contains(tty, "err "+mask.Replacement+"\r\n") ||
		buf.String() != "out "+mask.Replacement+"\n" {
		t.Errorf("output elsewhere: %q %q %q", seen, tty, buf.String())
	}
	if tty, seen := start(t, "given", func(c *exec.Cmd) { c.Stdin = strings.NewReader("given") }); seen != "" || !strings.Contains(tty, "given") {
		t.Errorf("input elsewhere: %q %q", seen, tty)
	}
}

// TestDeniedOnTerminal: a refusal leaves nothing behind.
func TestDeniedOnTerminal(t *testing.T) {
	s := sdktest.Start(t, vault(nil))
	cmd := command(t, s, []string{"A=op://v/i/f"}, "--", "true")
	p := ptytest.Start(t, cmd)
	_ = p.Wait(wait) // also waits for everybody who holds the terminal
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(p.Output(), "op://v/i/f") {
		t.Errorf("%v %q", cmd.ProcessState, p.Output())
	}
	restored(t, p)
}

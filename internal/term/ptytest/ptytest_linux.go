package ptytest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/term"
)

// Terminal is a pseudo-terminal with a command on it. Its methods are for the
// test's own goroutine.
type Terminal struct {
	t      testing.TB
	master *os.File
	cmd    *exec.Cmd
	exit   chan struct{} // closed when the command has ended
	err    error         // of the command; read after exit is closed
	wg     sync.WaitGroup

	mu   sync.Mutex
	out  strings.Builder
	more chan struct{} // closed and replaced when out grows or ends
	over bool
	seen int // bytes of out that Expect has consumed
}

// Start starts cmd as a session leader whose controlling terminal is a new
// pseudo-terminal of 80 by 24. Standard streams that cmd does not set are the
// terminal. At the end of the test the command is killed if it still runs.
func Start(t testing.TB, cmd *exec.Cmd) *Terminal {
	t.Helper()
	master, slave, err := term.Pair()
	if err != nil {
		t.Fatalf("pseudo-terminal: %v", err)
	}
	defer slave.Close()
	if err := resize(master, 80, 24); err != nil {
		t.Fatal(err)
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	cmd.SysProcAttr.Ctty = connect(cmd, slave)
	if err := cmd.Start(); err != nil {
		master.Close()
		t.Fatal(err)
	}
	p := &Terminal{t: t, master: master, cmd: cmd, exit: make(chan struct{}), more: make(chan struct{})}
	p.wg.Add(2)
	go p.read()
	go p.reap()
	t.Cleanup(p.stop)
	return p
}

// connect gives cmd the terminal for each stream that it does not set, and
// returns a descriptor's number which is the terminal in the child.
func connect(cmd *exec.Cmd, slave *os.File) int {
	fd := -1
	if cmd.Stderr == nil {
		cmd.Stderr, fd = slave, 2
	}
	if cmd.Stdout == nil {
		cmd.Stdout, fd = slave, 1
	}
	if cmd.Stdin == nil {
		cmd.Stdin, fd = slave, 0
	}
	if fd < 0 {
		cmd.ExtraFiles = append(cmd.ExtraFiles, slave)
		fd = 2 + len(cmd.ExtraFiles)
	}
	return fd
}

// read collects what appears on the terminal until its last user is gone.
func (p *Terminal) read() {
	defer p.wg.Done()
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.out.Write(buf[:n])
		p.over = err != nil
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *Terminal) reap() {
	defer p.wg.Done()
	p.err = p.cmd.Wait()
	close(p.exit)
}

func (p *Terminal) stop() {
	_ = p.cmd.Process.Kill()
	<-p.exit
	p.master.Close()
	p.wg.Wait()
}

// Expect waits until substr appears after what earlier calls have consumed. It
// consumes and returns the text up to the end of substr; the test fails when the
// time is over or the terminal ends. The terminal writes a newline as "\r\n".
func (p *Terminal) Expect(substr string, timeout time.Duration) string {
	p.t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for late := false; ; {
		p.mu.Lock()
		rest, over, more := p.out.String()[p.seen:], p.over, p.more
		if i := strings.Index(rest, substr); i >= 0 {
			end := i + len(substr)
			p.seen += end
			p.mu.Unlock()
			return rest[:end]
		}
		p.mu.Unlock()
		if over || late {
			p.t.Fatalf("expected %q on the terminal, found %q (ended: %v)", substr, rest, over)
		}
		select {
		case <-more:
		case <-timer.C:
			late = true
		}
	}
}

// Send types s: "\r" is the Enter key, "\x03" is Ctrl-C.
func (p *Terminal) Send(s string) {
	p.t.Helper()
	if _, err := p.master.WriteString(s); err != nil {
		p.t.Fatalf("typing: %v", err)
	}
}

// Output returns all that has appeared so far.
func (p *Terminal) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Wait waits for the command's end and for the last of its output, and returns
// its error as (*exec.Cmd).Wait does; the test fails when the time is over.
func (p *Terminal) Wait(timeout time.Duration) error {
	p.t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.exit:
	case <-timer.C:
		p.t.Fatalf("the command still runs; on the terminal: %q", p.Output())
	}
	for {
		p.mu.Lock()
		over, more := p.over, p.more
		p.mu.Unlock()
		if over {
			return p.err
		}
		select {
		case <-more:
		case <-timer.C:
			p.t.Fatal("a child of the command still holds the terminal")
		}
	}
}

// PID returns the command's process id, for signals.
func (p *Terminal) PID() int { return p.cmd.Process.Pid }

// Echo reports whether the terminal shows what is typed.
func (p *Terminal) Echo() bool { return p.flags()&unix.ECHO != 0 }

// Canonical reports whether the terminal edits lines.
func (p *Terminal) Canonical() bool { return p.flags()&unix.ICANON != 0 }

// Hangup closes the terminal, as the closing of its window does; nothing can be
// read or typed after it.
func (p *Terminal) Hangup() { p.master.Close() }

// Resize changes the size in characters.
func (p *Terminal) Resize(columns, rows uint16) {
	p.t.Helper()
	if err := resize(p.master, columns, rows); err != nil {
		p.t.Fatal(err)
	}
}

func resize(master *os.File, columns, rows uint16) error {
	c, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = c.Control(func(fd uintptr) {
		inner = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	})
	return errors.Join(err, inner)
}

// Modes returns the modes that the terminal has now.
func (p *Terminal) Modes() term.Modes {
	p.t.Helper()
	m, err := term.ModesOf(p.master)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *Terminal) flags() uint32 {
	p.t.Helper()
	c, err := p.master.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	var m *unix.Termios
	var inner error
	err = c.Control(func(fd uintptr) { m, inner = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	if err = errors.Join(err, inner); err != nil {
		p.t.Fatal(err)
	}
	return m.Lflag
}

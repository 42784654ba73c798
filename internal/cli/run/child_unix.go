//go:build unix

package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/cli/internal/shim"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/mask"
)

const (
	// grace is how long what a program left open is read after its end: a
	// program that it put into the background holds the pipe as long as it
	// runs. What the program itself wrote is not lost to a slow reader, for a
	// pipe holds at most pipeful bytes, and so many are read in any case.
	grace   = 2 * time.Second
	pipeful = 64 << 10

	copyBuffer = 32 << 10
)

// child runs a program whose output is masked. It holds a fixed amount of
// memory however much the program prints.
type child struct {
	in      io.Reader // an *os.File is inherited as it is
	out     io.Writer
	err     io.Writer
	mask    *mask.Matcher
	own     *shim.Shim // nil: the program gets pipes
	started func()     // called once the program runs
}

// run starts the program and waits for it and for its output.
func (c child) run(p *program, env []string) (ending, error) {
	if c.own != nil {
		return c.runOn(p, env)
	}
	out, errs := &stream{}, &stream{}
	defer out.close()
	defer errs.close()
	if err := errors.Join(out.open(c.mask.Writer(c.out)), errs.open(c.mask.Writer(c.err))); err != nil {
		return ending{}, fault.New(fault.Unavailable, "run", p.file.path, "no pipes")
	}
	cmd := &exec.Cmd{Path: p.file.path, Args: p.args, Env: env, Stdin: c.in, Stdout: out.in, Stderr: errs.in, WaitDelay: grace}
	signals := make(chan os.Signal, 16)
	// From here on a signal waits in the channel instead of ending us alone.
	signal.Notify(signals, forwarded()...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return ending{}, startFailed(p.file.path, err)
	}
	c.started()
	out.in.Close()
	errs.in.Close()

	var work, copies sync.WaitGroup
	copies.Go(out.copy)
	copies.Go(errs.copy)
	done := make(chan struct{})
	work.Go(func() { forward(signals, done, cmd.Process) })
	// The error says what the state says, or that stdin was not read to its end.
	_ = cmd.Wait()
	out.endSoon()
	errs.endSoon()
	copies.Wait()
	close(done)
	work.Wait()
	c.complain(out, errs)
	if cmd.ProcessState == nil {
		return ending{status: 1}, nil
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		return endingOf(ws), nil
	}
	return ending{status: cmd.ProcessState.ExitCode()}, nil
}

func endingOf(ws syscall.WaitStatus) ending {
	if ws.Signaled() {
		return ending{signal: ws.Signal()}
	}
	return ending{status: ws.ExitStatus()}
}

// complain tells of output that was lost on its way out; that nobody reads it
// any more is no news.
func (c child) complain(streams ...*stream) {
	for _, s := range streams {
		if s.failed != nil && !errors.Is(s.failed, syscall.EPIPE) {
			fmt.Fprintln(c.err, "thumbturn: the output of the program could not be written on")
		}
	}
}

// stream copies one output of the program.
type stream struct {
	from, in *os.File // the two ends of the pipe
	to       *mask.Writer
	end      atomic.Pointer[time.Time] // until when to read; nil while the program runs
	failed   error                     // of writing
}

func (s *stream) open(to *mask.Writer) error {
	var err error
	s.from, s.in, err = os.Pipe()
	s.to = to
	return err
}

func (s *stream) close() {
	if s.from != nil {
		s.from.Close()
		s.in.Close()
	}
}

// endSoon bounds the reading, a read that waits just now included.
func (s *stream) endSoon() {
	t := time.Now().Add(grace)
	_ = s.from.SetReadDeadline(t) // pipes and terminals that we opened have deadlines
	s.end.Store(&t)
}

// copy passes the output on until everybody has closed the pipe or its time is
// over. When it cannot be written, the pipe is closed, so that the program
// learns of it in the way it would without us.
func (s *stream) copy() {
	s.failed = s.pass()
	if err := s.to.Close(); s.failed == nil && !errors.Is(err, mask.ErrClosed) {
		s.failed = err
	}
	s.from.Close()
}

func (s *stream) pass() error {
	buf, filled := make([]byte, copyBuffer), 0
	defer func() { clear(buf[:filled]) }()
	left := pipeful
	for {
		end := s.end.Load()
		over := end != nil && !time.Now().Before(*end)
		if over && left <= 0 {
			return nil
		}
		read := s.from.Read
		if over {
			read = s.readNow // waiting even a little would follow whoever prints a little
		}
		n, err := read(buf)
		filled = max(filled, n)
		if end != nil {
			left -= n
		}
		if n > 0 {
			if _, err := s.to.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil && (over || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return nil
		}
	}
}

// readNow reads what the pipe holds, and fails where that is nothing.
func (s *stream) readNow(b []byte) (int, error) {
	_ = s.from.SetReadDeadline(time.Time{}) // an old one refuses every read
	raw, err := s.from.SyscallConn()
	if err != nil {
		return 0, err
	}
	n := 0
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, failed = unix.Read(int(fd), b) // the pipe is non-blocking, as all that the runtime waits on
		return true
	})
	if err = errors.Join(err, failed); err == nil && n <= 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

// forwarded returns the signals that the program is to get, and SIGPIPE, which
// would end us when our reader goes away while the program still works. A
// hangup that whoever started us ignores stays ignored.
func forwarded() []os.Signal {
	list := []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// forward passes signals on until done. The terminal sends its own to the whole
// foreground group, the program included; to send those again would interrupt
// it twice.
func forward(signals <-chan os.Signal, done <-chan struct{}, to *os.Process) {
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			typed := s == syscall.SIGINT || s == syscall.SIGQUIT
			if s == syscall.SIGPIPE || typed && inForeground() {
				continue
			}
			_ = to.Signal(s) // it may have ended by now
		}
	}
}

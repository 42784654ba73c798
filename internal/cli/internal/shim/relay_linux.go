package shim

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/term"
)

const (
	// lookAgain is how often a job in the background looks whether it was put
	// into the foreground: a shell tells only a job that was stopped.
	lookAgain = 250 * time.Millisecond
	// stopWait is how long we take for being stopped; a group without a shell
	// that could continue it is not stopped by the terminal's signals.
	stopWait = 100 * time.Millisecond
	// settle is how long what was printed before a stop has to get out: our masks
	// hold it for 5 ms, and once we are stopped it would wait for the next start.
	settle = 20 * time.Millisecond
)

// Wait passes on what is typed, the size, signals and stops, until the program
// ends. The caller has had signals notified, SIGCONT among them and not SIGTSTP:
// the runtime does not give its default action back.
func (s *Shim) Wait(signals <-chan os.Signal) (syscall.WaitStatus, error) {
	typed, err := s.typist.start()
	if err != nil {
		return 0, err
	}
	defer s.typist.stop()
	for {
		var again <-chan time.Time
		if !s.typist.entered() {
			again = time.After(lookAgain)
		}
		select {
		case m, ok := <-s.messages:
			switch {
			case !ok:
				return 0, ErrGone
			case m.kind == ended:
				return syscall.WaitStatus(m.value), nil
			case m.kind == stopped:
				s.suspend(signals, syscall.Signal(m.value))
			}
		case sig := <-signals:
			s.forward(sig)
		case <-typed:
			typed = nil // the terminal is gone
			_ = send(s.control, hangup, 0)
		case <-again:
			s.typist.enter()
		}
	}
}

// forward does what a signal to this process means for the program.
func (s *Shim) forward(sig os.Signal) {
	switch n, _ := sig.(syscall.Signal); n {
	case syscall.SIGPIPE:
	case syscall.SIGWINCH:
		s.typist.resize()
	case syscall.SIGCONT:
		s.typist.enter()
		_ = send(s.control, resume, 0)
	default:
		_ = send(s.control, pass, uint32(n))
	}
}

// suspend stops our group as the program was stopped, and continues the program
// when we are continued.
func (s *Shim) suspend(signals <-chan os.Signal, by syscall.Signal) {
	s.typist.leave()
	time.Sleep(settle)
	_ = unix.Kill(0, syscall.SIGTSTP)
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	continued := false
	for waits := true; waits; {
		select {
		case sig := <-signals:
			s.forward(sig)
			continued = sig == syscall.SIGCONT
			waits = !continued
		case <-timer.C:
			waits = false
		}
	}
	s.typist.enter()
	if !continued && by != syscall.SIGSTOP { // nobody could stop us, so nothing stops
		_ = send(s.control, resume, 0)
	}
}

// typist passes on what is typed while the person's terminal is raw.
type typist struct {
	tty    *os.File
	out    *os.File // whose size counts
	master *os.File
	wake   [2]int // a pipe: a byte in it makes the goroutine look again
	work   sync.WaitGroup

	mu     sync.Mutex
	inside bool // the terminal is raw and ours
	saved  term.Modes
}

func (t *typist) entered() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inside
}

// enter makes the terminal raw, if we are in its foreground. Somebody may have
// changed it since the last time.
func (t *typist) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	group, err := term.Foreground(t.tty)
	if err != nil || group != unix.Getpgrp() {
		t.inside = false
		return
	}
	modes, err := term.ModesOf(t.tty)
	if err != nil {
		return
	}
	if !modes.IsRaw() { // else we, or another run, made it so
		t.saved = modes
	}
	t.inside = modes.Raw().Set(t.tty) == nil
	_ = term.CopySize(t.master, t.out)
	t.look()
}

// leave puts the terminal back, unless it is somebody else's by now.
func (t *typist) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.inside {
		return
	}
	t.inside = false
	if group, err := term.Foreground(t.tty); err == nil && group != unix.Getpgrp() {
		return
	}
	_ = t.saved.Set(t.tty)
	t.look()
}

func (t *typist) resize() { _ = term.CopySize(t.master, t.out) }

func (t *typist) look() {
	if t.wake[1] != 0 {
		_, _ = unix.Write(t.wake[1], []byte{0})
	}
}

// start starts the copying. The channel is closed when the terminal is gone.
func (t *typist) start() (<-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := unix.Pipe2(t.wake[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	t.work.Go(func() { t.copy(gone) })
	return gone, nil
}

func (t *typist) stop() {
	t.mu.Lock()
	unix.Close(t.wake[1])
	t.wake[1] = 0
	t.mu.Unlock()
	_ = t.master.SetWriteDeadline(time.Now()) // a program that does not read leaves us waiting
	t.work.Wait()
	unix.Close(t.wake[0])
}

func (t *typist) copy(gone chan struct{}) {
	buf := make([]byte, 4096)
	defer clear(buf)
	for {
		fds := []unix.PollFd{{Fd: int32(t.wake[0]), Events: unix.POLLIN}, {Fd: int32(t.tty.Fd()), Events: unix.POLLIN}}
		if !t.entered() {
			fds = fds[:1]
		}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return
		}
		if fds[0].Revents&unix.POLLIN != 0 {
			_, _ = unix.Read(t.wake[0], buf)
			continue
		}
		if fds[0].Revents != 0 { // stopped
			return
		}
		n, over := t.read(buf)
		if over {
			close(gone)
			return
		}
		if _, err := t.master.Write(buf[:n]); err != nil {
			return
		}
	}
}

// read reads what is there, under the lock: when leave has returned, what is
// typed is the shell's.
func (t *typist) read(buf []byte) (n int, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.inside {
		return 0, false
	}
	n, err := unix.Read(int(t.tty.Fd()), buf)
	if err == unix.EINTR || err == unix.EAGAIN {
		return 0, false
	}
	return max(n, 0), err != nil || n == 0
}

package shim

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/term"
)

// Fits reports whether a terminal of its own can stand in for all these files:
// each is our controlling terminal, we are in its foreground, and nobody has
// made it raw. A job in the background would take over modes that the shell has
// set for itself, and a second run beside a first one those of the first.
func Fits(files ...*os.File) bool {
	for _, f := range files {
		group, err := term.Foreground(f)
		if err != nil || group != unix.Getpgrp() {
			return false
		}
		if m, err := term.ModesOf(f); err != nil || m.IsRaw() {
			return false
		}
	}
	return true
}

// Shim is a terminal with a process that waits to become a program on it. Its
// methods are for one goroutine.
type Shim struct {
	tty      *os.File // the person's terminal
	master   *os.File
	errs     *os.File // nil: errors appear at master
	control  *os.File // to the leader
	start    *os.File // to what becomes the program
	cmd      *exec.Cmd
	messages chan message
	reader   sync.WaitGroup
	typist   *typist
}

// Start makes a terminal with the modes and the size of tty. What the program
// writes to standard error appears there too, or else comes from Errors.
func Start(tty, out *os.File, errsToo bool) (*Shim, error) {
	master, slave, err := term.Pair()
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	s := &Shim{tty: tty, master: master, messages: make(chan message, 16)}
	errs := slave
	if !errsToo {
		if s.errs, errs, err = os.Pipe(); err != nil {
			s.closeFiles()
			return nil, err
		}
		defer errs.Close()
	}
	modes, err := term.ModesOf(tty)
	if err == nil {
		err = errors.Join(modes.Set(slave), term.CopySize(master, tty))
	}
	if err == nil {
		err = s.begin(slave, errs)
	}
	if err != nil {
		s.closeFiles()
		return nil, err
	}
	s.reader.Go(func() { receive(s.control, s.messages) })
	s.typist = &typist{tty: tty, out: out, master: master, saved: modes}
	return s, nil
}

func (s *Shim) begin(slave, errs *os.File) error {
	control, theirs, err := socketPair()
	if err != nil {
		return err
	}
	s.control = control
	defer theirs.Close()
	start, request, err := socketPair()
	if err != nil {
		return err
	}
	s.start = start
	defer request.Close()
	s.cmd = &exec.Cmd{Path: self, Args: []string{os.Args[0], Command}, Env: []string{}, Stdin: theirs, Stdout: slave, Stderr: errs,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	return onSocket(s.control, func(fd int) error { return sendFiles(fd, s.tty, request) })
}

// socketPair returns two ends; a read of the first ends when it is closed.
func socketPair() (mine, theirs *os.File, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.SetNonblock(p[0], true)
	return os.NewFile(uintptr(p[0]), "shim"), os.NewFile(uintptr(p[1]), "shim"), nil
}

func onSocket(f *os.File, use func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(c.Control(func(fd uintptr) { inner = use(int(fd)) }), inner)
}

// Output is where what the program prints on its terminal is read. Whoever
// closes it hangs the program's terminal up.
func (s *Shim) Output() *os.File { return s.master }

// Errors is where what the program writes to standard error is read; nil, if
// that is its terminal.
func (s *Shim) Errors() *os.File { return s.errs }

// Exec starts the program, and makes the person's terminal raw. An error of the
// system's is a syscall.Errno, and the program was not started.
func (s *Shim) Exec(path string, args, env []string) error {
	if m, ok := <-s.messages; !ok || m.kind != ready {
		return ErrGone
	}
	s.typist.enter()
	err := request{path, args, env}.write(s.start)
	if err == nil {
		var b [4]byte
		if _, e := io.ReadFull(s.start, b[:]); e == nil {
			err = syscall.Errno(binary.LittleEndian.Uint32(b[:]))
		}
	}
	if err != nil {
		s.typist.leave()
	}
	return err
}

// Close ends the leader, and the program if it still runs, and puts the
// person's terminal back. It may be called twice; a nil Shim has nothing to end.
func (s *Shim) Close() {
	if s == nil {
		return
	}
	s.typist.leave()
	s.start.Close()
	_ = onSocket(s.control, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
	for range s.messages { // ends with the leader
	}
	s.reader.Wait()
	s.closeFiles()
}

func (s *Shim) closeFiles() {
	for _, f := range []*os.File{s.master, s.errs, s.control, s.start} {
		if f != nil {
			f.Close()
		}
	}
	if s.cmd != nil {
		_ = s.cmd.Wait()
	}
}

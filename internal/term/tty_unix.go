//go:build linux || darwin

package term

import (
	"io"

	"golang.org/x/sys/unix"
)

// tty is the controlling terminal while a question is open.
type tty struct {
	fd   int
	wake [2]int        // a pipe: a byte in it interrupts the reader
	old  *unix.Termios // what to restore; nil while unchanged
	echo bool
}

// open opens the controlling terminal anew, as plain blocking descriptors:
// select works on it on every system, a poller does not.
func open() (*tty, error) {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	t := &tty{fd: fd}
	if err := unix.Pipe(t.wake[:]); err != nil {
		unix.Close(fd)
		return nil, err
	}
	unix.CloseOnExec(t.wake[0])
	unix.CloseOnExec(t.wake[1])
	return t, nil
}

func (t *tty) close() {
	unix.Close(t.fd)
	unix.Close(t.wake[0])
	unix.Close(t.wake[1])
}

// hide turns echo and the terminal's line editing off. Ctrl-C still signals;
// Ctrl-Z does not stop us, which would leave a shell without echo.
func (t *tty) hide() error {
	return t.change(func(m *unix.Termios) {
		m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.IEXTEN
		m.Lflag |= unix.ISIG
		m.Iflag |= unix.ICRNL
		m.Cc[unix.VMIN], m.Cc[unix.VTIME] = 1, 0
		m.Cc[unix.VSUSP] = noChar
	})
}

// show turns echo and line editing on, however the terminal was left.
func (t *tty) show() error {
	t.echo = true
	return t.change(func(m *unix.Termios) {
		m.Lflag |= unix.ECHO | unix.ICANON | unix.ISIG
		m.Iflag |= unix.ICRNL
	})
}

func (t *tty) change(set func(*unix.Termios)) error {
	old, err := unix.IoctlGetTermios(t.fd, getTermios)
	if err != nil {
		return err
	}
	m := *old
	set(&m)
	if err := retry(func() error { return unix.IoctlSetTermios(t.fd, setTermios, &m) }); err != nil {
		return err
	}
	t.old = old
	return nil
}

// restore puts the mode back; flush throws away what was typed and not read.
func (t *tty) restore(flush bool) error {
	if t.old == nil {
		return nil
	}
	req := uint(setTermios)
	if flush {
		req = setTermiosFlush
	}
	old := t.old
	t.old = nil
	return retry(func() error { return unix.IoctlSetTermios(t.fd, req, old) })
}

func (t *tty) print(s string) error {
	for b := []byte(s); len(b) > 0; {
		n, err := unix.Write(t.fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// interrupt makes the reader return ErrInterrupted.
func (t *tty) interrupt() { _, _ = unix.Write(t.wake[1], []byte{0}) }

// ReadByte waits for one byte; what follows stays with the terminal, for the
// next question.
func (t *tty) ReadByte() (byte, error) {
	top := max(t.fd, t.wake[0])
	if top >= unix.FD_SETSIZE {
		return 0, unix.EMFILE // select cannot name it
	}
	for {
		var set unix.FdSet
		set.Set(t.fd)
		set.Set(t.wake[0])
		if _, err := unix.Select(top+1, &set, nil, nil, nil); err == unix.EINTR {
			continue
		} else if err != nil {
			return 0, err
		}
		if set.IsSet(t.wake[0]) {
			return 0, ErrInterrupted
		}
		var b [1]byte
		n, err := unix.Read(t.fd, b[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EIO || err == nil && n == 0: // hung up; Ctrl-D
			return 0, io.EOF
		case err != nil:
			return 0, err
		default:
			return b[0], nil
		}
	}
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func isTerminal(fd uintptr) error {
	_, err := unix.IoctlGetTermios(int(fd), getTermios)
	return err
}

func size(fd uintptr) (columns, rows int, err error) {
	w, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, err
	}
	return int(w.Col), int(w.Row), nil
}

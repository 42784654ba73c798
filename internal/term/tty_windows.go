package term

import (
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/windows"
)

// tty is the console while a question is open.
type tty struct {
	in, out     *os.File
	old         uint32 // mode to restore
	changed     bool
	echo        bool
	interrupted atomic.Bool
}

func open() (*tty, error) {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		in.Close()
		return nil, ErrNoTerminal
	}
	return &tty{in: in, out: out}, nil
}

func (t *tty) close() {
	t.in.Close()
	t.out.Close()
}

const lines = windows.ENABLE_PROCESSED_INPUT | windows.ENABLE_LINE_INPUT

// hide turns echo off. The console's own line editing stays: it hands over a
// whole line.
func (t *tty) hide() error { return t.change(lines, windows.ENABLE_ECHO_INPUT) }

func (t *tty) show() error {
	t.echo = true
	return t.change(lines|windows.ENABLE_ECHO_INPUT, 0)
}

func (t *tty) change(on, off uint32) error {
	h := windows.Handle(t.in.Fd())
	if err := windows.GetConsoleMode(h, &t.old); err != nil {
		return ErrNoTerminal
	}
	if err := windows.SetConsoleMode(h, (t.old|on)&^off); err != nil {
		return err
	}
	t.changed = true
	return nil
}

func (t *tty) restore(flush bool) error {
	if !t.changed {
		return nil
	}
	t.changed = false
	h := windows.Handle(t.in.Fd())
	if flush {
		_ = windows.FlushConsoleInputBuffer(h)
	}
	return windows.SetConsoleMode(h, t.old)
}

func (t *tty) print(s string) error {
	_, err := t.out.WriteString(s)
	return err
}

// interrupt marks the answer as none. Ctrl-C itself ends the pending read.
func (t *tty) interrupt() { t.interrupted.Store(true) }

// ReadByte waits for one byte.
func (t *tty) ReadByte() (byte, error) {
	var b [1]byte
	n, err := t.in.Read(b[:])
	switch {
	case t.interrupted.Load():
		return 0, ErrInterrupted
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return b[0], nil
}

func isTerminal(fd uintptr) error {
	var mode uint32
	return windows.GetConsoleMode(windows.Handle(fd), &mode)
}

func size(fd uintptr) (columns, rows int, err error) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(fd), &info); err != nil {
		return 0, 0, err
	}
	return int(info.Window.Right-info.Window.Left) + 1, int(info.Window.Bottom-info.Window.Top) + 1, nil
}

// Package term asks a person at the terminal, and makes terminals.
//
// Questions and answers go through the controlling terminal itself, so they
// never mix with what standard input and output are connected to, and a program
// without a terminal is refused instead of reading a passphrase from a pipe.
//
// Manners: a hidden answer is not echoed; every question ends with a newline;
// whatever happens (answer, interrupt, error, panic) the terminal is left as it
// was found. That somebody answers here proves nothing about who: any program of
// the same user can open a terminal of its own and type.
package term

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Limits of an answer, in bytes without the newline.
const (
	MaxHidden = 4096 // of Hidden
	MaxLine   = 1022 // of Line: darwin hands over at most 1024 bytes of an edited line
)

// Error is why a question got no answer. It never holds what was typed.
type Error struct {
	Msg  string // lower-case, no full stop
	Hint string // what to do now
}

// Error returns the message; the hint is left to whoever shows it.
func (e *Error) Error() string { return e.Msg }

// Reasons for having no answer. io.EOF is one more: the input ended or the
// terminal hung up.
var (
	ErrNoTerminal  = &Error{Msg: "there is no terminal to ask at", Hint: "run this command yourself, in a terminal"}
	ErrInterrupted = &Error{Msg: "interrupted", Hint: "nothing was changed; run the command again"}
	ErrTooLong     = &Error{Msg: "the answer is too long", Hint: "a value this long can come from a file or a pipe"}
	ErrControl     = &Error{Msg: "the answer holds a control character, perhaps an arrow key", Hint: "type it again; only backspace and Ctrl-U edit"}
)

// Hidden prints the prompt on the terminal and reads one line without echo: at
// most MaxHidden bytes, without the newline. Backspace removes a character,
// Ctrl-U everything. The caller wipes the result.
//
// Ctrl-C, SIGTERM and SIGHUP give ErrInterrupted after the terminal is restored;
// they do not end the program, the caller does. After any error, what was typed
// ahead is thrown away, so that the rest of a pasted secret does not reach the
// shell.
func Hidden(prompt string) ([]byte, error) { return ask(prompt, (*tty).hide, readHidden) }

// Line prints the prompt on the terminal and reads one line of at most MaxLine
// bytes with echo, edited as the terminal does. Errors are those of Hidden.
func Line(prompt string) (string, error) {
	b, err := ask(prompt, (*tty).show, readLine)
	return string(b), err
}

// Confirm asks a yes-or-no question; only "y" and "yes", in either case, are
// yes. Errors are those of Hidden; with an error the answer is no.
func Confirm(prompt string) (bool, error) {
	s, err := Line(strings.TrimRight(prompt, " ") + " [y/N] ")
	s = strings.ToLower(strings.TrimSpace(s))
	return err == nil && (s == "y" || s == "yes"), err
}

// ask opens the terminal, sets its mode before anything is printed, prints,
// reads, and restores the mode.
func ask(prompt string, mode func(*tty) error, read func(io.ByteReader) ([]byte, error)) (answer []byte, err error) {
	t, err := open()
	if err != nil {
		return nil, err
	}
	defer t.close()
	stop := watch(t)
	defer stop()
	if err := mode(t); err != nil {
		return nil, err
	}
	done := false
	defer func() { // also when read panics
		if e := t.restore(!done || err != nil); err == nil {
			err = e
		}
		if err != nil {
			clear(answer)
			answer = nil
		}
	}()
	if err := t.print(clean(prompt)); err != nil {
		return nil, err
	}
	answer, err = read(t)
	if err != nil || !t.echo {
		_ = t.print("\n") // the newline that was typed was not shown
	}
	done = true
	return answer, err
}

// watch owns a goroutine that turns signals into an interrupt of t's reader;
// the returned stop waits for its end.
func watch(t *tty) (stop func()) {
	signals, quit, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		defer close(ended)
		select {
		case <-signals:
			t.interrupt()
		case <-quit:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(quit)
		<-ended
	}
}

// readHidden reads up to a newline and edits by itself: a terminal's own editing
// cuts a long line without a word. The bytes of a refused answer are read to the
// end of the line all the same.
func readHidden(r io.ByteReader) ([]byte, error) {
	buf := make([]byte, 0, MaxHidden) // never grown, so that no copy is left behind
	var refused error
	for {
		b, err := r.ReadByte()
		if err != nil {
			clear(buf[:cap(buf)])
			return nil, err
		}
		switch {
		case b == '\n' || b == '\r':
			clear(buf[len(buf):cap(buf)])
			if refused != nil {
				clear(buf)
				return nil, refused
			}
			return buf, nil
		case b == 0x04 && len(buf) == 0 && refused == nil: // Ctrl-D
			return nil, io.EOF
		case b == 0x7f || b == 0x08: // backspace
			_, n := utf8.DecodeLastRune(buf)
			buf = buf[:len(buf)-n]
		case b == 0x15: // Ctrl-U
			buf = buf[:0]
		case b < 0x20 && b != '\t':
			refused = ErrControl
		case len(buf) == MaxHidden:
			if refused == nil {
				refused = ErrTooLong
			}
		default:
			buf = append(buf, b)
		}
	}
}

// readLine reads a line that the terminal has edited.
func readLine(r io.ByteReader) ([]byte, error) {
	var buf []byte
	for {
		b, err := r.ReadByte()
		switch {
		case err == io.EOF && len(buf) > 0 && len(buf) <= MaxLine: // Ctrl-D after text
			return buf, nil
		case err != nil:
			return nil, err
		case b == '\n' && len(buf) > MaxLine:
			return nil, ErrTooLong
		case b == '\n':
			return []byte(strings.TrimSuffix(string(buf), "\r")), nil
		case len(buf) <= MaxLine:
			buf = append(buf, b)
		}
	}
}

// clean takes control characters out of a prompt, so that text from elsewhere
// cannot repaint the screen.
func clean(prompt string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError) {
			return '?'
		}
		return r
	}, prompt)
}

// IsTerminal reports whether f is a terminal; nil is none.
func IsTerminal(f *os.File) bool { return onFD(f, isTerminal) == nil }

// Size returns the width and height of the terminal f in characters.
func Size(f *os.File) (columns, rows int, err error) {
	err = onFD(f, func(fd uintptr) error {
		columns, rows, err = size(fd)
		return err
	})
	return columns, rows, err
}

// onFD lends the descriptor without taking the file out of the poller.
func onFD(f *os.File, use func(fd uintptr) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(c.Control(func(fd uintptr) { inner = use(fd) }), inner)
}

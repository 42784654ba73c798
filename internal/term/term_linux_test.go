package term_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/term"
	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

const wait = 20 * time.Second

// TestMain is also the program that the tests run on a terminal.
func TestMain(m *testing.M) {
	ask := os.Getenv("TERM_TEST_ASK")
	if ask == "" {
		os.Exit(m.Run())
	}
	for _, q := range strings.Split(ask, ",") {
		if err := question(q); err != nil {
			fmt.Printf("error <%v>\n", err)
			hint := (*term.Error)(nil)
			if errors.As(err, &hint) {
				fmt.Printf("hint <%s>\n", hint.Hint)
			}
			os.Exit(3)
		}
	}
	os.Exit(0)
}

func question(q string) error {
	var answer any
	var err error
	switch q {
	case "hidden":
		var b []byte
		b, err = term.Hidden("passphrase: ")
		answer = fmt.Sprintf("%d %s", len(b), b[:min(len(b), 20)])
	case "line":
		answer, err = term.Line("name: ")
	case "confirm":
		answer, err = term.Confirm("sure?")
	case "size":
		w, h, e := term.Size(os.Stdout)
		answer, err = fmt.Sprint(w, h, term.IsTerminal(os.Stdin), term.IsTerminal(os.Stdout)), e
	case "stdin":
		answer, err = bufio.NewReader(os.Stdin).ReadString('\n')
		answer = strings.TrimSpace(answer.(string))
	}
	if err == nil {
		fmt.Printf("got <%v>\n", answer)
	}
	return err
}

func program(ask string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "TERM_TEST_ASK="+ask)
	return cmd
}

func TestHidden(t *testing.T) {
	p := ptytest.Start(t, program("hidden"))
	p.Expect("passphrase: ", wait)
	if p.Echo() || p.Canonical() {
		t.Error("echo is on while a hidden answer is typed")
	}
	p.Send("tresx\x7fsor\r")
	if got := p.Expect("got <", wait); got != "\r\ngot <" {
		t.Errorf("after the answer: %q", got)
	}
	p.Expect("7 tressor>", wait)
}

func TestSeveralQuestions(t *testing.T) {
	p := ptytest.Start(t, program("hidden,hidden,line,confirm,confirm"))
	p.Expect("passphrase: ", wait)
	p.Send("first\rsecond\r") // typed ahead, as a paste is
	p.Expect("got <5 first>", wait)
	p.Expect("got <6 second>", wait)
	p.Expect("name: ", wait)
	if !p.Echo() || !p.Canonical() {
		t.Error("a line is not echoed")
	}
	p.Send("né\r")
	p.Expect("né\r\n", wait)
	p.Expect("got <né>", wait)
	p.Expect("sure? [y/N] ", wait)
	p.Send("Yes\r")
	p.Expect("got <true>", wait)
	p.Expect("sure? [y/N] ", wait)
	p.Send("\r")
	p.Expect("got <false>", wait)
	if err := p.Wait(wait); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.Output(), "second\r\npass") {
		t.Errorf("echoed: %q", p.Output())
	}
}

// TestRestored: whatever ends the question, the terminal is as it was.
func TestRestored(t *testing.T) {
	for name, c := range map[string]struct {
		keys string
		sig  syscall.Signal
		want string
	}{
		"Ctrl-C":  {keys: "abc\x03", want: "error <interrupted>"},
		"SIGTERM": {keys: "abc", sig: syscall.SIGTERM, want: "error <interrupted>"},
		"SIGHUP":  {sig: syscall.SIGHUP, want: "error <interrupted>"},
		"Ctrl-D":  {keys: "\x04", want: "error <EOF>"},
		"Ctrl-Z":  {keys: "a\x1a\r", want: "error <the answer holds a control character"},
		"answer":  {keys: "abc\r", want: "got <3 abc>"},
	} {
		t.Run(name, func(t *testing.T) {
			p := ptytest.Start(t, program("hidden"))
			p.Expect("passphrase: ", wait)
			if p.Echo() {
				t.Error("echo is on")
			}
			if c.keys != "" {
				p.Send(c.keys)
			}
			if c.sig != 0 {
				if err := syscall.Kill(p.PID(), c.sig); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.Expect(c.want, wait); !strings.HasPrefix(got, "\r\n") || strings.Contains(got, "ab\r") {
				t.Errorf("after the prompt: %q", got)
			}
			_ = p.Wait(wait)
			if !p.Echo() || !p.Canonical() {
				t.Error("the terminal was not restored")
			}
		})
	}
}

// TestLongPaste: a value that does not fit leaves nothing for the shell, and
// one that fits passes although it is longer than a terminal's own line.
func TestLongPaste(t *testing.T) {
	p := ptytest.Start(t, program("hidden"))
	p.Expect("passphrase: ", wait)
	for range term.MaxHidden / 64 {
		p.Send(strings.Repeat("k", 64))
	}
	p.Send("\r")
	p.Expect(fmt.Sprintf("got <%d kkkk", term.MaxHidden), wait)

	p = ptytest.Start(t, program("hidden"))
	p.Expect("passphrase: ", wait)
	for range term.MaxHidden/64 + 1 {
		p.Send(strings.Repeat("k", 64))
	}
	p.Send("\r")
	p.Expect("error <the answer is too long>", wait)
	_ = p.Wait(wait)
	if strings.Contains(p.Output(), "kk") {
		t.Error("the answer was echoed")
	}
}

// TestAsksAtTheTerminal: standard streams may be something else.
func TestAsksAtTheTerminal(t *testing.T) {
	cmd := program("hidden,stdin")
	cmd.Stdin = strings.NewReader("from the pipe\n")
	var out strings.Builder
	cmd.Stdout = &out
	p := ptytest.Start(t, cmd)
	p.Expect("passphrase: ", wait)
	p.Send("typed\r")
	if err := p.Wait(wait); err != nil {
		t.Fatal(err)
	}
	if want := "got <5 typed>\ngot <from the pipe>\n"; out.String() != want {
		t.Errorf("stdout %q, want %q", out.String(), want)
	}
}

func TestSize(t *testing.T) {
	p := ptytest.Start(t, program("size"))
	p.Expect("got <80 24 true true>", wait)
}

// TestNoTerminal runs in a session that has none.
func TestNoTerminal(t *testing.T) {
	for _, q := range []string{"hidden", "line", "confirm"} {
		cmd := program(q)
		cmd.Stdin = strings.NewReader("y\n")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.Output()
		if want := "error <there is no terminal to ask at>\nhint <run this command yourself, in a terminal>\n"; err == nil || string(out) != want {
			t.Errorf("%s: %q, %v", q, out, err)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/demo/session"
)

// order is one command that the director has the person type, answer what came
// of it. They are lines of JSON on the person's standard streams.
type order struct {
	Args  []string
	Stdin string
	Dir   string
	Said  string // where given, the file that standard error goes to, to be read meanwhile
}

type answered struct {
	Out, Err string
	Code     int // -1 if it did not run or died by a signal
}

// person is the leader of the person's session: it runs thumbturn as it is
// told, until the director hangs up.
func person(in io.Reader, out io.Writer) int {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := d.Decode(&o); err != nil {
			return 0
		}
		if err := e.Encode(obey(o)); err != nil {
			return 1
		}
	}
}

func obey(o order) answered {
	cmd := exec.Command("thumbturn", o.Args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Dir, bytes.NewReader([]byte(o.Stdin)), &stdout, &stderr
	if o.Said != "" {
		f, err := os.Create(o.Said)
		if err != nil {
			return answered{Err: err.Error(), Code: -1}
		}
		defer f.Close() // it is read where an error would show
		cmd.Stderr = f
	}
	a := answered{}
	if err := cmd.Run(); err != nil {
		a.Code = -1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			a.Code = exit.ExitCode()
		} else {
			fmt.Fprintln(&stderr, err)
		}
	}
	a.Out, a.Err = stdout.String(), stderr.String()
	return a
}

// terminal is the director's end of the person's session. It is used by one
// goroutine at a time.
type terminal struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	home    string // where the passphrase files are
	dir     string // the working directory of its commands
}

func openTerminal(ctx context.Context, self string, env []string, home, dir string) (*terminal, error) {
	cmd := exec.CommandContext(ctx, self, rolePerson)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = env, dir, session.Own()
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return session.Kill(cmd.Process.Pid) }
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &terminal{cmd: cmd, in: in, answers: json.NewDecoder(out), home: home, dir: dir}, nil
}

// close ends the session; it waits for it.
func (t *terminal) close() {
	_ = t.in.Close()
	hurry := time.AfterFunc(3*time.Second, func() { _ = session.Kill(t.cmd.Process.Pid) })
	defer hurry.Stop()
	_ = t.cmd.Wait() // how it ends does not matter any more
}

// typed runs one thumbturn command in the person's session.
func (t *terminal) typed(stdin string, args ...string) answered {
	return t.give(order{Args: args, Stdin: stdin, Dir: t.dir})
}

func (t *terminal) give(o order) answered {
	var a answered
	err := json.NewEncoder(t.in).Encode(o)
	if err == nil {
		err = t.answers.Decode(&a)
	}
	if err != nil {
		return answered{Err: "the person's session has ended", Code: -1}
	}
	return a
}

// must is typed for what the story stands on.
func (t *terminal) must(stdin string, args ...string) (string, error) {
	a := t.typed(stdin, args...)
	if a.Code != 0 {
		return "", fmt.Errorf("thumbturn %v ended with %d: %s%s", args, a.Code, a.Err, a.Out)
	}
	return a.Out, nil
}

// visited runs a command that opens a page and waits for what is done there; visit
// does it, with the page's address. Where that fails the session is ended, since the
// command would wait on.
func (t *terminal) visited(visit func(link string) error, args ...string) (answered, error) {
	said := t.file("said")
	ended := make(chan answered, 1)
	go func() { ended <- t.give(order{Args: args, Dir: t.dir, Said: said}) }()
	for {
		select {
		case a := <-ended:
			b, _ := os.ReadFile(said) // only to tell why
			return a, fmt.Errorf("thumbturn %v ended with %d before a page opened: %s%s", args, a.Code, a.Err, b)
		case <-time.After(20 * time.Millisecond):
		}
		b, _ := os.ReadFile(said) // it may not be there yet
		link := address(string(b))
		if link == "" {
			continue
		}
		err := visit(link)
		if err != nil {
			_ = session.Kill(t.cmd.Process.Pid) // it may have ended by itself
		}
		return <-ended, err
	}
}

// address is the page's address in what a command said, once all of it stands there.
func address(said string) string {
	i := strings.Index(said, "http://vault-")
	if i < 0 {
		return ""
	}
	link, _, whole := strings.Cut(said[i:], "\n")
	if !whole {
		return ""
	}
	return strings.TrimSpace(link)
}

func (t *terminal) file(name string) string { return filepath.Join(t.home, name) }

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
	"time"
)

// order is one command that the director has the person type, answer what came
// of it. They are lines of JSON on the person's standard streams.
type order struct {
	Args  []string
	Stdin string
	Dir   string
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
		cmd := exec.Command("thumbturn", o.Args...)
		var stdout, stderr bytes.Buffer
		cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Dir, bytes.NewReader([]byte(o.Stdin)), &stdout, &stderr
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
		if err := e.Encode(a); err != nil {
			return 1
		}
	}
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
	cmd.Env, cmd.Dir, cmd.SysProcAttr = env, dir, ownSession()
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return killSession(cmd.Process.Pid) }
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
	hurry := time.AfterFunc(3*time.Second, func() { _ = killSession(t.cmd.Process.Pid) })
	defer hurry.Stop()
	_ = t.cmd.Wait() // how it ends does not matter any more
}

// typed runs one thumbturn command in the person's session.
func (t *terminal) typed(stdin string, args ...string) answered {
	var a answered
	err := json.NewEncoder(t.in).Encode(order{Args: args, Stdin: stdin, Dir: t.dir})
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

func (t *terminal) file(name string) string { return filepath.Join(t.home, name) }

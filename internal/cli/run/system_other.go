//go:build !unix

package run

import (
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"syscall"

	"github.com/thumbturn/thumbturn/internal/cli/internal/shim"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/mask"
)

// become runs the program with our own streams and ends as it ends. It returns
// an error only if the program was not started.
func (o Options) become(p *program, env []string) error {
	cmd := &exec.Cmd{Path: p.file.path, Args: p.args, Env: env, Stdin: o.Console.In, Stdout: o.Console.Out, Stderr: o.Console.Err}
	if err := cmd.Start(); err != nil {
		return startFailed(p.file.path, err)
	}
	_ = cmd.Wait()
	o.Exit(cmd.ProcessState.ExitCode())
	return nil
}

// child runs a program whose output is masked.
type child struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	mask    *mask.Matcher
	own     *shim.Shim
	started func()
}

func (child) run(p *program, _ []string) (ending, error) {
	return ending{}, fault.New(fault.Unavailable, "run", p.file.path, "programs with secrets do not run on this system yet")
}

func dieBy(syscall.Signal) {}

// accessible leaves it to the system to say what can be executed.
func accessible(string) bool { return true }

func withExtension(path string) string {
	if found, err := exec.LookPath(path); err == nil || errors.Is(err, fs.ErrPermission) {
		return found
	}
	return path
}

// inode says nothing: what a file is called by here, Go does not show.
func inode(image) string { return "" }

// writable says yes: nothing is known of the access list.
func writable(image) bool { return true }

package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Host is what applying a plan does to the machine, so that a test can watch.
type Host struct {
	Find   func(program string) (string, error) // its path
	Run    func(ctx context.Context, argv []string) error
	Exists func(user string) bool
	Write  func(path, text string) error // whole or not at all, its folders too
	Chip   func() bool                   // it has a TPM, and the group that may use it; nil has none
}

// ThisHost is the machine; what its programs say goes to w.
func ThisHost(w io.Writer) Host {
	return Host{
		Find: exec.LookPath,
		Run: func(ctx context.Context, argv []string) error {
			cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
			cmd.Stdout, cmd.Stderr = w, w
			return cmd.Run()
		},
		Exists: func(name string) bool { _, err := user.Lookup(name); return err == nil },
		Write: func(path, text string) error {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			return atomicfile.Write(path, []byte(text), 0o644)
		},
		Chip: func() bool {
			_, err := os.Stat(chipDevice)
			_, none := user.LookupGroup(chipGroup)
			return err == nil && none == nil
		},
	}
}

// apply prints the steps, asks, and takes them one after the other. All of them
// may be taken again: a second time changes nothing.
func (o Options) apply(ctx context.Context, verb string, uid int, steps []step) error {
	op := "service " + verb
	if err := o.permitted(op, uid); err != nil {
		return err
	}
	if err := o.reachable(op, steps); err != nil {
		return err
	}
	if err := o.print(steps); err != nil {
		return err
	}
	if err := o.Console.Confirm("Do all this?"); err != nil {
		return err
	}
	for _, s := range steps {
		if err := o.take(ctx, op, s); err != nil {
			return err
		}
	}
	o.Console.Say("done; see: thumbturn status")
	return nil
}

// permitted refuses root for a user's own service, and all others for a system
// service.
func (o Options) permitted(op string, uid int) error {
	switch {
	case o.System && o.UID != 0:
		self, err := o.Executable()
		if err != nil {
			self = "thumbturn"
		}
		return fault.New(fault.Denied, op, "", "a system service needs root").
			WithHint(fmt.Sprintf("sudo %s %s --system --for %d", atomicfile.Quote(self), op, uid))
	case !o.System && o.UID == 0:
		return console.Usage("root needs no service of its own").WithHint("add --system, or run this as yourself")
	}
	return nil
}

// reachable refuses, before anything is done, a plan whose service manager is
// not here.
func (o Options) reachable(op string, steps []step) error {
	for _, s := range steps {
		if !s.start || o.NoStart {
			continue
		}
		if _, err := o.Host.Find(s.argv[0]); err != nil {
			return fault.New(fault.Unavailable, op, s.argv[0], "is not here, so nobody would start the service").
				WithHint("--no-start does the rest")
		}
	}
	return nil
}

// take takes one step, after saying so.
func (o Options) take(ctx context.Context, op string, s step) error {
	switch {
	case s.start && o.NoStart:
		o.Console.Say("left out: %s", s.Run)
		return nil
	case s.makes != "" && o.Host.Exists(s.makes):
		o.Console.Say("there already: user %s", s.makes)
		return nil
	case s.Run == "":
		o.Console.Say("write %s", s.Path)
		path, err := o.expand(s.Path)
		if err == nil {
			err = o.Host.Write(path, s.Text)
		}
		return failed(op, s.Path, err)
	}
	o.Console.Say("run: %s", s.Run)
	argv := make([]string, len(s.argv))
	for i, a := range s.argv {
		var err error
		if argv[i], err = o.expand(a); err != nil {
			return failed(op, s.Run, err)
		}
	}
	if err := o.Host.Run(ctx, argv); err != nil && !s.may {
		return failed(op, s.Run, err)
	}
	return nil
}

func failed(op, what string, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Unavailable, op, what, "failed: "+err.Error()).WithHint("what went before was done; it may all be done again")
}

// expand puts the home of the user in the place of "~".
func (o Options) expand(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path, nil
	}
	home := o.Console.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("HOME is not set")
	}
	return filepath.Join(home, rest), nil
}

// Package start brings up thumbturnd where it is not running yet.
//
// Only the thumbturnd beside the CLI's own executable is started, detached and
// with an environment that says nothing but where its home is: neither a path,
// a proxy nor a loader variable of the caller reaches it. Whether the caller may
// start it at all is the daemon's own decision.
package start

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Starter dials the daemon of a home, starting it when it is absent.
type Starter struct {
	Home       api.Home
	Executable func() (string, error) // os.Executable
	Environ    []string               // os.Environ()
	Wait       time.Duration          // for the socket; zero means 5 s
}

// Dial connects, after starting the daemon where that is needed. A system
// service is never started from here.
func (s Starter) Dial(ctx context.Context) (*sdk.Client, error) {
	client, err := sdk.Dial(ctx, s.Home, sdk.Options{})
	if s.Home.System && notYet(err) {
		return nil, silent(err)
	}
	if !sdk.NotRunning(err) {
		return client, err
	}
	return s.start(ctx)
}

// silent says where to look when a system service does not answer: only its
// service manager can start it.
func silent(err error) error {
	unit := "thumbturnd@" + strconv.Itoa(os.Getuid())
	return fault.New(fault.Unavailable, "connect", "", "the system service does not answer: "+err.Error()).
		WithHint("look at it with: systemctl status " + unit + ".socket " + unit + ".service")
}

func (s Starter) start(ctx context.Context) (*sdk.Client, error) {
	path, err := s.daemon()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: []string{path}, Env: Environ(s.Environ), Dir: string(filepath.Separator)}
	cmd.SysProcAttr = detached()
	began := time.Now()
	// Stdin, stdout and stderr stay nil: os/exec opens the null device for them.
	if err := cmd.Start(); err != nil {
		return nil, fault.New(fault.Unavailable, "start", path, "cannot be executed")
	}
	wait := s.Wait
	if wait == 0 {
		wait = 5 * time.Second
	}
	end := began.Add(wait)
	for time.Now().Before(end) {
		client, err := sdk.Dial(ctx, s.Home, sdk.Options{})
		if !notYet(err) {
			cmd.Process.Release()
			return client, err
		}
		// Another start may have won the home's lock: then this one ends and
		// the socket comes all the same, so give it a moment longer.
		if ended(cmd.Process.Pid) {
			if grace := time.Now().Add(time.Second); grace.Before(end) {
				end = grace
			}
		}
		select {
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "start", "", "cancelled")
		case <-time.After(20 * time.Millisecond):
		}
	}
	e := fault.New(fault.Unavailable, "start", "", "thumbturnd did not come up")
	if line := lastLine(filepath.Join(s.Home.Run, "start.log"), began); line != "" {
		return nil, e.WithHint(line)
	}
	return nil, e.WithHint("run " + path + " by hand to see why")
}

// notYet tells a daemon that is still coming up, or just went down, from one
// that is not to be trusted.
func notYet(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Kind == string(fault.Unavailable)
}

// daemon returns the thumbturnd beside our own executable.
func (s Starter) daemon() (string, error) {
	self, err := s.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "start", "", "cannot tell where this program lies")
	}
	name := "thumbturnd"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(filepath.Dir(self), name)
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
		return "", fault.New(fault.Unavailable, "start", path, "there is no thumbturnd beside this program").
			WithHint("install both programs into one folder")
	}
	return path, nil
}

// Environ keeps of an environment what tells the daemon its home and language.
func Environ(env []string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "THUMBTURN_HOME", name == "HOME", name == "LANG", strings.HasPrefix(name, "XDG_"),
			runtime.GOOS == "windows" && (strings.EqualFold(name, "LOCALAPPDATA") || strings.EqualFold(name, "SystemRoot")):
			out = append(out, kv)
		}
	}
	return out
}

// lastLine returns the end of a log that was written after since.
func lastLine(path string, since time.Time) string {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > 1<<20 || fi.ModTime().Before(since.Add(-time.Second)) {
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return canon.Escape(strings.TrimSpace(lines[len(lines)-1]))
}

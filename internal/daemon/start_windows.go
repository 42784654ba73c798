package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/local"
)

// againStatus is how a daemon ends that is to be started anew.
const againStatus = 75

// cleanStart runs the daemon in a clean process of its own, and again whenever
// that one ends to be replaced: a process cannot be given another image here.
// This one stays behind as its guard; it opens no home and holds nothing.
func cleanStart() error {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "start", "", err)
	}
	for {
		// Only the three streams are passed on; files of ours are inherited by nobody.
		p, err := os.StartProcess(exe, []string{exe, cleanMark}, &os.ProcAttr{Dir: filepath.Dir(exe), Env: cleanEnviron(os.Getenv),
			Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
		if err != nil {
			return fault.Wrap(fault.Unavailable, "start", exe, err)
		}
		how, err := p.Wait()
		switch {
		case err != nil:
			return fault.Wrap(fault.Unavailable, "start", exe, err)
		case how.ExitCode() == 0:
			return nil
		case how.ExitCode() != againStatus:
			return fault.New(fault.Unavailable, "start", "", "the daemon ended with status "+strconv.Itoa(how.ExitCode()))
		}
	}
}

// restart ends this process, lock and pipe with it; cleanStart begins the next.
// In between the pipe's name is free: a client knows the daemon by its user and
// its device key.
func (p *process) restart([]*os.File) error {
	_, _ = p.lock.Release(), p.listen.Close() // both end with the process
	os.Exit(againStatus)
	return nil
}

func listenAt(name string) (*local.Listener, error) {
	l, err := local.Listen(name)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "listen", name, err)
	}
	return l, nil
}

// adopt refuses: nothing is passed from process to process here.
func adopt(args []string) (*device.Lock, *local.Listener, []net.Listener, error) {
	if len(args) > 0 {
		return nil, nil, nil, fault.New(fault.Usage, "start", args[0], "unknown argument")
	}
	return nil, nil, nil, nil
}

func (p *process) lockable() bool { return false }

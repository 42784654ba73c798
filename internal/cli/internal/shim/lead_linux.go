package shim

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/term"
)

// self is this very binary, also where the file was replaced meanwhile.
const self = "/proc/self/exe"

// program is the argument of the process that becomes the program.
const program = "program"

// Main is what our binary does when its first argument is Command; args are
// those that follow. It returns the exit status.
func Main(args []string) int {
	if len(args) == 1 && args[0] == program {
		return become()
	}
	if len(args) != 0 {
		return 2
	}
	return lead()
}

// become waits for a request on standard input, and becomes what it says with
// the terminal, which is standard output, as its input. Standard input gets the
// number of the error, where it cannot.
func become() int {
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return 1
	}
	asked := os.NewFile(uintptr(fd), "request")
	q, err := readRequest(asked)
	if err != nil {
		return 1 // whoever would ask is gone
	}
	if err = unix.Dup2(1, 0); err == nil {
		err = syscall.Exec(q.path, q.args, q.env)
	}
	errno := unix.EINVAL
	errors.As(err, &errno)
	_, _ = asked.Write(binary.LittleEndian.AppendUint32(nil, uint32(errno)))
	return 1
}

// leader leads the session on the new terminal, which is its standard output.
type leader struct {
	slave *os.File
	outer *os.File   // the person's terminal
	saved term.Modes // those of outer before anything was typed
	pid   int        // of the program, and of its group
	by    unix.Signal
}

// lead starts the last process, and tells what becomes of it until the process
// that asked for it closes standard input or is gone.
func lead() int {
	control := os.NewFile(0, "control")
	files, err := receiveFiles(0)
	if err != nil {
		return 1
	}
	l := leader{slave: os.Stdout, outer: files[0]}
	if l.saved, err = term.ModesOf(l.outer); err == nil {
		defer l.restore()
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{os.Args[0], Command, program}, Env: []string{},
		Stdin: files[1], Stdout: os.Stdout, Stderr: os.Stderr, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	if cmd.Start() != nil {
		return 1
	}
	files[1].Close()
	l.pid = cmd.Process.Pid
	if term.SetForeground(l.slave, l.pid) != nil {
		_ = cmd.Process.Kill()
		return 1
	}
	// Only now: the program would inherit it.
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGTSTP, syscall.SIGINT, syscall.SIGQUIT)
	_ = send(control, ready, 0)
	commands := make(chan message)
	go receive(control, commands) // ends before we do
	return l.follow(control, commands, signals)
}

// follow returns once the commands end.
func (l *leader) follow(control *os.File, commands <-chan message, signals <-chan os.Signal) int {
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP { // the last master is closed
				l.hangUp()
				continue
			}
			status, over := l.look(control)
			if !over {
				continue
			}
			// What the program left behind keeps running, as after its end
			// on any terminal: the foreground is hung up when we go.
			_ = term.SetForeground(l.slave, unix.Getpgrp())
			os.Stdout.Close()
			os.Stderr.Close()
			_ = send(control, ended, uint32(status))
			for range commands {
			}
			return 0
		case m, ok := <-commands:
			if !ok {
				l.hangUp()
				return 1
			}
			l.obey(m)
		}
	}
}

// look sees what the program did, and tells of its stops.
func (l *leader) look(control *os.File) (status unix.WaitStatus, over bool) {
	for {
		pid, err := unix.Wait4(l.pid, &status, unix.WNOHANG|unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil || pid != l.pid:
			return 0, false
		case status.Stopped():
			l.by = unix.Signal(status.StopSignal())
			_ = send(control, stopped, uint32(l.by))
		default:
			return status, true
		}
	}
}

func (l *leader) obey(m message) {
	switch m.kind {
	case hangup:
		l.hangUp()
	case pass:
		_ = unix.Kill(l.pid, unix.Signal(m.value))
	case resume:
		if l.by == unix.SIGTTIN || l.by == unix.SIGTTOU { // whoever had the foreground left it
			_ = term.SetForeground(l.slave, l.pid)
		}
		l.by = 0
		l.signal(unix.SIGCONT)
	}
}

func (l *leader) hangUp() {
	l.signal(unix.SIGHUP)
	l.signal(unix.SIGCONT)
}

// signal signals the program's group and the one in the foreground.
func (l *leader) signal(s unix.Signal) {
	_ = unix.Kill(-l.pid, s)
	if group, err := term.Foreground(l.slave); err == nil && group > 1 && group != l.pid && group != unix.Getpgrp() {
		_ = unix.Kill(-group, s)
	}
}

// restore puts the person's terminal back where it was left raw: whoever made
// it so was killed.
func (l *leader) restore() {
	if m, err := term.ModesOf(l.outer); err == nil && m.IsRaw() {
		_ = l.saved.Set(l.outer) // it is not our controlling terminal, so nothing stops us
	}
}

// sendFiles passes files to the process at the other end of a socket.
func sendFiles(socket int, files ...*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	return unix.Sendmsg(socket, []byte{0}, unix.UnixRights(fds...), nil, 0)
}

// receiveFiles takes two files from a socket.
func receiveFiles(socket int) ([]*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(2*4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, errRequest
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return nil, errRequest
	}
	return []*os.File{os.NewFile(uintptr(fds[0]), "terminal"), os.NewFile(uintptr(fds[1]), "request")}, nil
}

package kernel

import (
	"context"
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// kernel knows who connected and nothing about parents, executables and
// environments: those need libproc. So on darwin everybody is an agent and
// counts as under one, and a process is held by its start time alone.
type kernel struct{ self Self }

// New is the Source of this machine.
func New() (Source, error) {
	boot, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "identify", "", err)
	}
	return kernel{Self{UID: os.Geteuid(), BootID: boot}}, nil
}

func (k kernel) Self() Self { return k.self }

func (k kernel) Peer(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Xucred
	var pid int
	var failed error
	err = raw.Control(func(fd uintptr) {
		if cred, failed = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); failed == nil {
			pid, failed = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return Peer{}, err
	}
	now, err := k.Pulse(pid)
	if err != nil {
		return Peer{}, err
	}
	return Peer{PID: pid, UID: int(cred.Uid), Handle: held{k, pid, now.Start}}, nil
}

func (k kernel) Process(pid int) (Process, error) {
	now, err := k.Pulse(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{PID: pid, Start: now.Start, UID: -1, GID: -1, Exe: Exe{State: StateUnreadable},
		Unreadable: []string{UnStatus, UnArgv, UnExe, UnCwd, UnEnviron, UnNS, UnChain}}, nil
}

// Pulse gives no parent and no image: see kernel.
func (kernel) Pulse(pid int) (Pulse, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return Pulse{}, err
	}
	if int(info.Proc.P_pid) != pid {
		return Pulse{}, unix.ESRCH
	}
	at := info.Proc.P_starttime
	return Pulse{Start: uint64(at.Sec)*1_000_000 + uint64(at.Usec)}, nil
}

func (kernel) Digest(context.Context, int, Exe) (string, error) {
	return "", errors.New("kernel: executables cannot be read on this platform")
}

// held is a process by pid and start time.
type held struct {
	k     kernel
	pid   int
	start uint64
}

func (h held) Alive() bool {
	now, err := h.k.Pulse(h.pid)
	return err == nil && now.Start == h.start
}

func (held) Close() error { return nil }

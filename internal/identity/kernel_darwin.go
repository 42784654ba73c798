package identity

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

// Kernel is the Source of this machine.
func Kernel() (Source, error) {
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
	start, _, err := k.Birth(pid)
	if err != nil {
		return Peer{}, err
	}
	return Peer{PID: pid, UID: int(cred.Uid), Handle: held{k, pid, start}}, nil
}

func (k kernel) Process(pid int) (Process, error) {
	start, _, err := k.Birth(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{PID: pid, Start: start, UID: -1, GID: -1, Exe: Exe{State: stateUnreadable},
		Unreadable: []string{unStatus, unArgv, unExe, unCwd, unEnviron, unNS, unChain}}, nil
}

// Birth gives no parent: see kernel.
func (kernel) Birth(pid int) (uint64, int, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0, 0, err
	}
	if int(info.Proc.P_pid) != pid {
		return 0, 0, unix.ESRCH
	}
	at := info.Proc.P_starttime
	return uint64(at.Sec)*1_000_000 + uint64(at.Usec), 0, nil
}

func (kernel) Digest(context.Context, int, Exe) (string, error) {
	return "", errors.New("identity: executables cannot be read on this platform")
}

// held is a process by pid and start time.
type held struct {
	k     kernel
	pid   int
	start uint64
}

func (h held) Alive() bool {
	start, _, err := h.k.Birth(h.pid)
	return err == nil && start == h.start
}

func (held) Close() error { return nil }

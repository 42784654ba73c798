package kernel

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/digest"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// kernel reads /proc. In system mode the daemon needs CAP_SYS_PTRACE for the
// links of another user's processes and CAP_DAC_READ_SEARCH for their
// environment; without them everybody is an agent.
type kernel struct {
	self   Self
	ground ground
	hashes *digest.Cache[Exe]
}

// New is the Source of this machine. It reads its own namespaces once: the
// daemon does not change them.
func New() (Source, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	pid := os.Getpid()
	g, err2 := readGround(pid)
	if err = errors.Join(err, err2); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "identify", "", err)
	}
	k := &kernel{ground: g, hashes: digest.NewCache[Exe]()}
	k.self = Self{UID: os.Geteuid(), BootID: strings.TrimSpace(string(boot)), Namespaces: procNamespaces(pid)}
	return k, nil
}

func (k *kernel) Self() Self { return k.self }

func (k *kernel) Process(pid int) (Process, error) { return readProcess(pid, k.ground) }

func (k *kernel) Pulse(pid int) (Pulse, error) {
	s, err := procStat(pid)
	if err != nil {
		return Pulse{}, err
	}
	var st unix.Stat_t
	if unix.Stat(procPath(pid, "exe"), &st) != nil {
		st = unix.Stat_t{} // unreadable now and before, or a change
	}
	return Pulse{s.start, s.ppid, s.sid, imageOf(s, uint64(st.Dev), st.Ino)}, nil
}

// Peer asks for SO_PEERPIDFD (Linux 6.5). Before that it opens the pid that
// SO_PEERCRED names, which leaves the moment between connect and here in which
// that pid may have been recycled. Whatever is read while the handle is alive
// afterwards, start time included, is of the process it holds.
func (k *kernel) Peer(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	pidfd := -1
	var failed error
	err = raw.Control(func(fd uintptr) {
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed != nil {
			return
		}
		pidfd, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	})
	if err != nil || cred == nil {
		return Peer{}, errors.Join(err, failed)
	}
	if cred.Pid <= 0 { // from a pid namespace that we do not see into
		if failed == nil {
			_ = unix.Close(pidfd) // nothing was written to it
		}
		return Peer{}, errors.New("kernel: the peer's process is not visible here")
	}
	if errors.Is(failed, unix.ENOPROTOOPT) || errors.Is(failed, unix.EINVAL) {
		pidfd, failed = unix.PidfdOpen(int(cred.Pid), 0)
	}
	if failed != nil {
		return Peer{}, failed
	}
	return Peer{PID: int(cred.Pid), UID: int(cred.Uid), Handle: pidfdHandle{os.NewFile(uintptr(pidfd), "pidfd")}}, nil
}

// pidfdHandle holds a process. The file sees to it that a closed descriptor's
// number is not asked about somebody else's file, and that a forgotten one is
// closed in the end.
type pidfdHandle struct{ *os.File }

func (h pidfdHandle) Alive() bool {
	raw, err := h.SyscallConn()
	if err != nil {
		return false
	}
	running := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0) // readable once the process has ended
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(fds, 0)
		}
		running = err == nil && n == 0
	})
	return err == nil && running
}

// digestTime bounds the hashing of one file.
const digestTime = 10 * time.Second

// Digest opens the executable through the kernel's link, which works for
// deleted files and across mount namespaces. On a network or user-space file
// system the read itself may hang; no deadline helps there.
func (k *kernel) Digest(ctx context.Context, pid int, exe Exe) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, digestTime)
	defer cancel()
	key := exe
	key.Path, key.State, key.SHA256, key.Image = "", "", "", ""
	return k.hashes.Get(ctx, key, key.Size, func() (string, error) { return digestFile(ctx, procPath(pid, "exe"), key) })
}

// digestFile hashes the file if it is the one that key describes, before and
// after.
func digestFile(ctx context.Context, name string, key Exe) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	same := func() bool {
		var st unix.Stat_t
		return unix.Fstat(int(f.Fd()), &st) == nil && exeOf("", &st) == key
	}
	if !same() {
		return "", errors.New("kernel: the executable changed")
	}
	sum, err := digest.Of(ctx, f)
	if err == nil && !same() {
		err = errors.New("kernel: the executable changed")
	}
	return sum, err
}

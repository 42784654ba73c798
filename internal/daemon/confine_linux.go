package daemon

import (
	"encoding/binary"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// refusedCalls are what CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH would open and
// the daemon never needs: it has them to read /proc about who asks.
var refusedCalls = [...]uint32{unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PIDFD_GETFD, unix.SYS_OPEN_BY_HANDLE_AT}

// confine makes the calls above fail with EPERM, for all threads and for good
// (seccomp(2)). A filter that refuses them already is enough: filters outlive an
// exec, and each lock would add one.
func confine() error {
	if refuses() {
		return nil
	}
	prog, err := program(runtime.GOARCH)
	if err != nil {
		return err
	}
	if err := install(prog); err != nil {
		return fault.Wrap(fault.Unavailable, "confine", "", err).WithHint("system mode needs a kernel with seccomp filters")
	}
	if !refuses() {
		return fault.New(fault.Internal, "confine", "", "the filter of system calls does not hold")
	}
	return nil
}

// refuses tries the calls, with arguments by which they do nothing. The last of
// the list fails with EPERM by itself without its capability and is left out.
func refuses() bool {
	for _, nr := range refusedCalls[:len(refusedCalls)-1] {
		none := ^uintptr(0)
		if nr == unix.SYS_PROCESS_VM_READV || nr == unix.SYS_PROCESS_VM_WRITEV {
			none = uintptr(unix.Getpid()) // and no memory of it
		}
		if _, _, errno := unix.Syscall6(uintptr(nr), none, 0, 0, 0, 0, 0); errno != unix.EPERM {
			return false
		}
	}
	return true
}

// Offsets in struct seccomp_data, and the bit that marks x32 calls on amd64.
const (
	offsetNr   = 0
	offsetArch = 4
	x32Bit     = 0x40000000
)

// program is the filter: another architecture's calls kill the process, since
// their numbers mean something else.
func program(arch string) ([]unix.SockFilter, error) {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	var audit uint32
	switch arch {
	case "amd64":
		audit = unix.AUDIT_ARCH_X86_64
	case "arm64":
		audit = unix.AUDIT_ARCH_AARCH64
	default:
		return nil, fault.New(fault.Unavailable, "confine", arch, "system mode does not know this processor's system calls")
	}
	prog := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: equal, Jt: 1, K: audit},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: offsetNr},
		{Code: least, Jt: uint8(len(refusedCalls) + 1), K: x32Bit}, // arm64 has no such numbers
	}
	for i, nr := range refusedCalls {
		prog = append(prog, unix.SockFilter{Code: equal, Jt: uint8(len(refusedCalls) - i), K: nr})
	}
	return append(prog,
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}), nil
}

// headSize is the size of struct sock_fprog: a length and a pointer.
const headSize = 16

// install hands a filter to the kernel. The program lies in a mapped file, whose
// address is known without a pointer into Go's memory.
func install(prog []unix.SockFilter) error {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	size := headSize + 8*len(prog)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return err
	}
	at, err := unix.MmapPtr(fd, 0, nil, uintptr(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.MunmapPtr(at, uintptr(size))
	if n, err := unix.Pwrite(fd, encode(prog, uint64(uintptr(at))), 0); err != nil || n != size {
		return unix.EIO
	}
	runtime.LockOSThread() // the thread that gives up new privileges is the one that filters
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(at))
	if errno != 0 {
		return errno
	}
	if thread != 0 {
		return unix.EBUSY // a thread that has another filter
	}
	return nil
}

// encode lays out struct sock_fprog and, behind it, the program it points to.
func encode(prog []unix.SockFilter, at uint64) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(len(prog))) // both processors are little-endian
	b = binary.NativeEndian.AppendUint64(b, at+headSize)
	for _, f := range prog {
		b = binary.NativeEndian.AppendUint16(b, f.Code)
		b = append(b, f.Jt, f.Jf)
		b = binary.NativeEndian.AppendUint32(b, f.K)
	}
	return b
}

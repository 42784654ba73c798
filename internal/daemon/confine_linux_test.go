package daemon

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// interpret runs a filter as the kernel does, over the few instructions it has.
func interpret(t *testing.T, prog []unix.SockFilter, nr, arch uint32) uint32 {
	t.Helper()
	data := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, nr), arch)
	var a uint32
	for pc := 0; pc < len(prog); pc++ {
		f := prog[pc]
		jump := func(yes bool) {
			if yes {
				pc += int(f.Jt)
			} else {
				pc += int(f.Jf)
			}
		}
		switch f.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.NativeEndian.Uint32(data[f.K:])
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(a == f.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(a >= f.K)
		case unix.BPF_RET | unix.BPF_K:
			return f.K
		default:
			t.Fatalf("instruction %d is unknown: %+v", pc, f)
		}
	}
	t.Fatal("the filter runs off its end")
	return 0
}

func TestProgram(t *testing.T) {
	const eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	for arch, audit := range map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64} {
		prog, err := program(arch)
		if err != nil {
			t.Fatal(err)
		}
		refused := map[uint32]bool{}
		for _, nr := range refusedCalls {
			refused[nr] = true
		}
		if len(refused) != 5 {
			t.Fatalf("%d calls are refused", len(refused))
		}
		for nr := range uint32(600) {
			want := uint32(unix.SECCOMP_RET_ALLOW)
			if refused[nr] {
				want = eperm
			}
			if got := interpret(t, prog, nr, audit); got != want {
				t.Errorf("%s, call %d: %#x, want %#x", arch, nr, got, want)
			}
		}
		for _, nr := range []uint32{x32Bit, x32Bit | 101, x32Bit | 521, ^uint32(0)} {
			if got := interpret(t, prog, nr, audit); got != eperm {
				t.Errorf("%s, call %#x of x32: %#x", arch, nr, got)
			}
		}
		for _, foreign := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0, audit ^ 1} {
			if got := interpret(t, prog, 0, foreign); got != unix.SECCOMP_RET_KILL_PROCESS {
				t.Errorf("%s, calls of %#x: %#x", arch, foreign, got)
			}
		}
	}
	if _, err := program("riscv64"); err == nil {
		t.Error("a program for a processor that we do not know")
	}
}

const (
	confineMark  = "THUMBTURN_TEST_CONFINE"
	confineUID   = 64001
	confinedUser = 64000
)

// TestConfine tries the calls and reads another user's process in a child that
// has confined itself, and in one that has not.
func TestConfine(t *testing.T) {
	if os.Getenv(confineMark) != "" {
		confined(os.Getenv(confineMark) == "yes")
		return
	}
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("*** SKIP: there is no filter for this processor")
	}
	run := func(mark string, pid int, attr *syscall.SysProcAttr) string {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(self) // another user may not reach its folder
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := exec.Command("/proc/self/fd/3", "-test.run=^TestConfine$")
		cmd.Env, cmd.ExtraFiles, cmd.SysProcAttr, cmd.Dir = []string{confineMark + "=" + mark, fmt.Sprintf("PID=%d", pid)}, []*os.File{f}, attr, "/"
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := run("no", 0, nil); strings.Contains(out, "refused") {
		t.Errorf("without a filter:\n%s", out)
	}
	if out := run("yes", 0, nil); strings.Count(out, "refused") != 4*2 || !strings.Contains(out, "added 1\n") {
		t.Errorf("with one, on two threads:\n%s", out)
	}
	if os.Geteuid() != 0 {
		t.Skip("*** SKIP: only root can make processes of other users")
	}
	other := exec.Command("sleep", "20")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: confinedUser, Gid: confinedUser}}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	as := func(caps ...uintptr) *syscall.SysProcAttr {
		return &syscall.SysProcAttr{AmbientCaps: caps, Credential: &syscall.Credential{Uid: confineUID, Gid: confineUID}}
	}
	tests := []struct {
		caps []uintptr
		want []string
	}{
		{nil, []string{"exe no", "ns no", "environ no"}},
		{[]uintptr{unix.CAP_SYS_PTRACE}, []string{"exe yes", "ns yes", "environ no"}},
		{[]uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}, []string{"exe yes", "ns yes", "environ yes"}},
	}
	for _, tt := range tests {
		out := run("yes", other.Process.Pid, as(tt.caps...))
		for _, w := range append(tt.want, "attach: operation not permitted") {
			if !strings.Contains(out, w+"\n") {
				t.Errorf("capabilities %v: no %q in\n%s", tt.caps, w, out)
			}
		}
	}
	// Without the filter the capability does let it in, so the test shows something.
	if out := run("no", other.Process.Pid, as(unix.CAP_SYS_PTRACE)); !strings.Contains(out, "attach: <nil>\n") {
		t.Errorf("unconfined:\n%s", out)
	}
}

// confined is the child: it prints what it can do.
func confined(really bool) {
	if really {
		before := filters()
		for range 3 { // as after three locks
			if err := confine(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		fmt.Println("added", filters()-before)
	}
	try := func() {
		for _, nr := range refusedCalls[:4] {
			if _, _, errno := unix.Syscall6(uintptr(nr), ^uintptr(0), 0, 0, 0, 0, 0); errno == unix.EPERM {
				fmt.Println("refused")
			}
		}
	}
	var wg sync.WaitGroup
	runtime.LockOSThread() // so that the other one runs on another thread
	try()
	wg.Go(try)
	wg.Wait()
	pid := os.Getenv("PID")
	for _, link := range []string{"exe", "ns/mnt"} {
		_, err := os.Readlink("/proc/" + pid + "/" + link)
		fmt.Println(strings.TrimSuffix(link, "/mnt"), map[bool]string{true: "yes", false: "no"}[err == nil])
	}
	b, err := os.ReadFile("/proc/" + pid + "/environ")
	fmt.Println("environ", map[bool]string{true: "yes", false: "no"}[err == nil && len(b) > 0])
	var n int
	if _, err := fmt.Sscan(pid, &n); err == nil && n > 0 {
		fmt.Println("attach:", unix.PtraceAttach(n))
		os.Exit(0) // a tracer that ends detaches
	}
	os.Exit(0)
}

// filters counts this process's filters (Linux 5.9).
func filters() (n int) {
	b, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(b), "\nSeccomp_filters:")
	_, _ = fmt.Sscan(rest, &n)
	return n
}

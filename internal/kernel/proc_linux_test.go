package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const statTail = "S 7 8 9 34817 8 4194304 1 0 0 0 1 2 0 0 20 0 1 0 337058 3133440 362"

func TestParseStat(t *testing.T) {
	want := stat{state: 'S', ppid: 7, pgid: 8, sid: 9, tty: 34817, foreground: 8, start: 337058}
	for _, name := range []string{"cat", "a) R 1 1 1 (b", ")", "x\n) S 1", ""} {
		got, err := parseStat("12 (" + name + ") " + statTail)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		}
		want.image = "12 (" + name + ")"
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(stat{})); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
	for _, text := range []string{"", "12 (cat", "12 (cat) S 1", "12 (cat) S x 8 9 0 8 1 1 1 1 1 1 1 1 1 1 1 1 1 5 1"} {
		if _, err := parseStat(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("cat", 1)
	f.Add(") S 1 (", 2)
	f.Add("\n)\x00", 99999)
	f.Fuzz(func(t *testing.T, name string, ppid int) {
		_, _ = parseStat(name) // must not panic
		if ppid < 0 || ppid > 1<<22 {
			return
		}
		got, err := parseStat(fmt.Sprintf("5 (%s) S %d 8 9 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 1 0 33 44", name, ppid))
		if err != nil || got.ppid != ppid || got.start != 33 || got.foreground != -1 {
			t.Errorf("the name %q changed the facts: %+v, %v", name, got, err)
		}
	})
}

func TestParseStatus(t *testing.T) {
	const text = "Name:\tx\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\nNSpid:\t12\t1\nNoNewPrivs:\t1\n"
	want := status{uid: 1001, gid: 6, noNewPrivs: true, pidDepth: 2}
	got, err := parseStatus(text)
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", text + "Uid:\t0\t0\t0\t0\n", "Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nNSpid:\t1\n"} {
		if _, err := parseStatus(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nNSpid:\t1\nNoNewPrivs:\t0\n")
	f.Add("NoNewPrivs:\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStatus(text); err == nil && s.pidDepth == 0 {
			t.Error("a process in no pid namespace")
		}
	})
}

func TestTTYName(t *testing.T) {
	for nr, want := range map[int]string{
		0: "", 136 << 8: "/dev/pts/0", 136<<8 | 3: "/dev/pts/3", 137<<8 | 1: "/dev/pts/257",
		4<<8 | 1: "/dev/tty1", 4<<8 | 64: "/dev/ttyS0", 204<<8 | 64: "tty 204:64", 136<<8 | 1<<20: "/dev/pts/256",
	} {
		if got := ttyName(nr); got != want {
			t.Errorf("%#x: %q, want %q", nr, got, want)
		}
	}
}

// TestPulse: the same program executed again in one process is another image,
// and a process at rest keeps its pulse.
func TestPulse(t *testing.T) {
	sh := exec.Command("/bin/sh", "-c", "read go; exec /bin/sh -c 'read go'")
	in, err := sh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = sh.Wait() }()
	k := &kernel{}
	argv := func() string { a, _ := procArgv(sh.Process.Pid); return strings.Join(a, " ") }
	for began := argv(); !strings.Contains(began, "exec"); began = argv() { // still the test, before its own exec
		time.Sleep(time.Millisecond)
	}
	first, err := k.Pulse(sh.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.Pulse(sh.Process.Pid); err != nil || again != first {
		t.Errorf("the pulse of a process at rest: %+v, then %+v, %v", first, again, err)
	}
	if p, err := readProcess(sh.Process.Pid, ground{}); err != nil || p.Pulse() != first {
		t.Errorf("the process as read: %+v, its pulse %+v, %v", p.Pulse(), first, err)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	for strings.Contains(argv(), "exec") {
		time.Sleep(time.Millisecond)
	}
	then, err := k.Pulse(sh.Process.Pid)
	if err != nil || then.Start != first.Start || then.Image == first.Image {
		t.Errorf("after an exec: %+v, before %+v, %v", then, first, err)
	}
}

func TestReadSelf(t *testing.T) {
	g, err := readGround(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p, err := readProcess(os.Getpid(), g)
	if err != nil {
		t.Fatal(err)
	}
	if p.PPID != os.Getppid() || p.UID != os.Geteuid() || p.GID != os.Getegid() || p.Start == 0 || len(p.Unreadable) != 0 || p.NS.Alike {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff(os.Args, p.Argv); diff != "" {
		t.Error(diff)
	}
	if !g.alike(os.Getpid()) {
		t.Error("not like itself")
	}
	for _, other := range []ground{{"0", g.uidMap, g.pidDepth}, {g.mount, "0 1000 1", g.pidDepth}, {g.mount, g.uidMap, 2}, {}} {
		if other.alike(os.Getpid()) {
			t.Errorf("%+v is like %+v", other, g)
		}
	}
	for _, pid := range []int{0, -1, 1 << 30} {
		if _, err := readProcess(pid, g); err == nil {
			t.Errorf("process %d exists", pid)
		}
	}
}

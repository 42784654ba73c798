package kernel

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHandle: a handle tells the end of its process, and nothing once closed.
func TestHandle(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "20")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := pidfdHandle{os.NewFile(uintptr(fd), "pidfd")}
	defer h.Close()
	if !h.Alive() {
		t.Error("not alive")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if h.Alive() {
		t.Error("alive after its end")
	}
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	own := pidfdHandle{os.NewFile(uintptr(self), "pidfd")}
	if !own.Alive() {
		t.Error("the test is not alive")
	}
	own.Close()
	if own.Alive() {
		t.Error("alive after Close")
	}
}

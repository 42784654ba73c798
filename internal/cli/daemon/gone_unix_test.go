//go:build unix

package daemon

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestGone(t *testing.T) {
	if gone(0) || gone(os.Getpid()) {
		t.Error("a process that runs is gone")
	}
	c := exec.Command("true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil { // not waited for: a zombie
		for range 500 {
			if gone(c.Process.Pid) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !gone(c.Process.Pid) {
			t.Error("a zombie is there")
		}
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if !gone(c.Process.Pid) {
		t.Error("a process that ended is there")
	}
}

//go:build !windows

// Package tpmtest is a TPM of a test's own: a real one, in software.
package tpmtest

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// Chip is a TPM that listens at a socket.
type Chip struct {
	Path string
	Stop func() // as if somebody took it out

	t testing.TB
}

// New starts a TPM, and skips the test, loudly, where there is none.
func New(t testing.TB) *Chip {
	t.Helper()
	swtpm, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("*** SKIP: there is no swtpm")
	}
	dir, err := os.MkdirTemp("", "tttpm") // the path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &Chip{t: t, Path: filepath.Join(dir, "s")}
	cmd := exec.Command(swtpm, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+c.Path,
		"--flags", "not-need-init,startup-clear", "--log", "file="+filepath.Join(dir, "log"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.Stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(c.Stop)
	for range 500 {
		if conn, err := net.Dial("unix", c.Path); err == nil {
			_ = conn.Close()
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the TPM does not come up")
	return nil
}

// Dial is the way to it.
func (c *Chip) Dial() (transport.TPMCloser, error) { return linuxudstpm.Open(c.Path) }

// Limit sets after how many wrong PINs the TPM refuses all, and forgets the past.
func (c *Chip) Limit(tries, seconds uint32) {
	c.t.Helper()
	c.asOwner(0x13a, tries, seconds, 10) // TPM2_DictionaryAttackParameters
	c.asOwner(0x139)                     // TPM2_DictionaryAttackLockReset
}

// Clear makes it forget all that it was told, as its owner may.
func (c *Chip) Clear() {
	c.t.Helper()
	c.asOwner(0x126) // TPM2_Clear
}

// asOwner sends a command that the lock-out authorization permits, which has no
// password here.
func (c *Chip) asOwner(code uint32, values ...uint32) {
	c.t.Helper()
	const header = 10
	body := []byte{0x40, 0, 0, 0x0a, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0} // its handle, an empty password
	for _, v := range values {
		body = binary.BigEndian.AppendUint32(body, v)
	}
	command := binary.BigEndian.AppendUint32([]byte{0x80, 2}, uint32(header+len(body)))
	command = append(binary.BigEndian.AppendUint32(command, code), body...)
	way, err := c.Dial()
	if err != nil {
		c.t.Fatal(err)
	}
	defer way.Close()
	if out, err := way.Send(command); err != nil || len(out) < header || binary.BigEndian.Uint32(out[6:]) != 0 {
		c.t.Fatalf("%x: %x, %v", code, out, err)
	}
}

//go:build linux

// Package fprinttest is the real fprintd on a bus of a test's own, with libfprint's
// virtual reader, and a polkit that allows everything but what the test forbids.
package fprinttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	service = "net.reactivated.Fprint"
	device  = service + ".Device"
	program = "/usr/libexec/fprintd"
)

// polkit lets everybody do everything but what it is told to refuse.
type polkit struct {
	mu sync.Mutex
	no string // this action
}

type subject struct {
	Kind    string
	Details map[string]dbus.Variant
}

type allowed struct {
	Authorized, Challenge bool
	Details               map[string]string
}

// CheckAuthorization is polkit's.
func (p *polkit) CheckAuthorization(_ subject, action string, _ map[string]string, _ uint32, _ string) (allowed, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return allowed{Authorized: action != p.no, Details: map[string]string{}}, nil
}

// Machine is a fprintd that runs.
type Machine struct {
	t       *testing.T
	address string
	virtual string // where the virtual reader takes fingers
	polkit  *polkit
	path    dbus.ObjectPath // the reader
	stop    func()
}

// Installed skips the test, loudly, where there is no fprintd.
func Installed(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Skip("*** SKIP: there is no fprintd (package fprintd)")
	}
}

// New starts a fprintd on a bus that the test has.
func New(t *testing.T, address string) *Machine {
	t.Helper()
	Installed(t)
	dir, err := os.MkdirTemp("", "ttfp") // a short path, for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &Machine{t: t, address: address, virtual: filepath.Join(dir, "reader"), polkit: &polkit{}}
	authority := m.connect()
	const name = "org.freedesktop.PolicyKit1"
	if err := authority.Export(m.polkit, "/org/freedesktop/PolicyKit1/Authority", name+".Authority"); err != nil {
		t.Fatal(err)
	}
	if r, err := authority.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
	cmd := exec.Command(program, "--no-timeout")
	cmd.Env = []string{"DBUS_SYSTEM_BUS_ADDRESS=" + m.address, "FP_VIRTUAL_DEVICE=" + m.virtual, "STATE_DIRECTORY=" + dir, "PATH=/usr/bin:/bin"}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(func() {
		m.stop()
		if t.Failed() {
			t.Logf("fprintd said: %s", said.String())
		}
	})
	c := m.connect()
	for range 500 {
		if c.Object(service, "/net/reactivated/Fprint/Manager").Call(service+".Manager.GetDefaultDevice", 0).Store(&m.path) == nil {
			return m
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Skip("*** SKIP: this fprintd has no virtual reader")
	return nil
}

// Stop ends it.
func (m *Machine) Stop() { m.stop() }

func (m *Machine) connect() *dbus.Conn {
	m.t.Helper()
	c, err := dbus.Connect(m.address)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Refuse has polkit refuse one action, or none.
func (m *Machine) Refuse(action string) {
	m.polkit.mu.Lock()
	defer m.polkit.mu.Unlock()
	m.polkit.no = action
}

// Scan puts a finger on the virtual reader, or says another of its words.
func (m *Machine) Scan(words ...string) {
	m.t.Helper()
	for _, w := range words {
		c, err := net.Dial("unix", m.virtual)
		for i := 0; err != nil && i < 200; i++ {
			time.Sleep(10 * time.Millisecond)
			c, err = net.Dial("unix", m.virtual)
		}
		if err != nil {
			m.t.Error(err)
			return
		}
		_, _ = fmt.Fprint(c, w)
		_ = c.Close()
	}
}

// Enrol makes one finger that of the user of this process.
func (m *Machine) Enrol(finger string) {
	m.t.Helper()
	c := m.connect()
	heard := make(chan *dbus.Signal, 16)
	c.Signal(heard)
	if err := c.AddMatchSignal(dbus.WithMatchInterface(device)); err != nil {
		m.t.Fatal(err)
	}
	call := func(method string, args ...any) {
		m.t.Helper()
		if err := c.Object(service, m.path).Call(device+"."+method, 0, args...).Err; err != nil {
			m.t.Fatal(method, err)
		}
	}
	call("Claim", "")
	call("EnrollStart", "right-index-finger")
	m.Scan("SCAN " + finger)
	for result := ""; result != "enroll-completed"; {
		select {
		case s := <-heard:
			if s.Name != device+".EnrollStatus" {
				continue
			}
			switch result, _ = s.Body[0].(string); result {
			case "enroll-completed":
			case "enroll-stage-passed":
				m.Scan("SCAN " + finger)
			default:
				m.t.Fatal(result)
			}
		case <-time.After(5 * time.Second):
			m.t.Fatal("the reader does not enrol")
		}
	}
	call("EnrollStop")
	call("Release")
}

//go:build linux

package fprint

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// folder is a short one, for sockets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ttfp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// connect is one program on the bus.
func connect(t *testing.T, address string) *dbus.Conn {
	t.Helper()
	c, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func own(t *testing.T, c *dbus.Conn, name string) {
	t.Helper()
	if r, err := c.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
}

// ---- the real fprintd, with libfprint's virtual reader ----

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

func (p *polkit) CheckAuthorization(_ subject, action string, _ map[string]string, _ uint32, _ string) (allowed, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return allowed{Authorized: action != p.no, Details: map[string]string{}}, nil
}

func (p *polkit) refuse(action string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.no = action
}

// machine is a bus with a real fprintd on it.
type machine struct {
	t       *testing.T
	address string
	virtual string // where the virtual reader takes fingers
	polkit  *polkit
	stop    func() // ends fprintd
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	path := "/usr/libexec/fprintd"
	if _, err := os.Stat(path); err != nil {
		t.Skip("*** SKIP: there is no fprintd (package fprintd)")
	}
	dir := folder(t)
	m := &machine{t: t, address: "unix:path=" + filepath.Join(dir, "bus"), virtual: filepath.Join(dir, "reader"), polkit: &polkit{}}
	logindtest.Bus(t, m.address)
	authority := connect(t, m.address)
	const name = "org.freedesktop.PolicyKit1"
	if err := authority.Export(m.polkit, "/org/freedesktop/PolicyKit1/Authority", name+".Authority"); err != nil {
		t.Fatal(err)
	}
	own(t, authority, name)
	cmd := exec.Command(path, "--no-timeout")
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
	c := connect(t, m.address)
	for range 500 {
		if c.Object(service, root).Call(manager+".GetDefaultDevice", 0).Err == nil {
			return m
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Skip("*** SKIP: this fprintd has no virtual reader")
	return nil
}

// scan puts a finger on the virtual reader, or says another of its words.
func (m *machine) scan(words ...string) {
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

// enrol makes one finger the user's.
func (m *machine) enrol(finger string) {
	m.t.Helper()
	c := connect(m.t, m.address)
	heard := make(chan *dbus.Signal, 16)
	c.Signal(heard)
	if err := c.AddMatchSignal(dbus.WithMatchInterface(device)); err != nil {
		m.t.Fatal(err)
	}
	var path dbus.ObjectPath
	if err := c.Object(service, root).Call(manager+".GetDefaultDevice", 0).Store(&path); err != nil {
		m.t.Fatal(err)
	}
	call := func(method string, args ...any) {
		m.t.Helper()
		if err := c.Object(service, path).Call(device+"."+method, 0, args...).Err; err != nil {
			m.t.Fatal(method, err)
		}
	}
	call("Claim", "")
	call("EnrollStart", "right-index-finger")
	m.scan("SCAN " + finger)
	for result := ""; result != "enroll-completed"; {
		select {
		case s := <-heard:
			if s.Name != device+".EnrollStatus" {
				continue
			}
			switch result, _ = s.Body[0].(string); result {
			case "enroll-completed":
			case "enroll-stage-passed":
				m.scan("SCAN " + finger)
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

func TestRealFprintd(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r := &Reader{Address: m.address}
	if d, err := r.Present(t.Context()); err != nil || d.Fingers != 0 || d.Name == "" {
		t.Errorf("nothing enrolled: %+v, %v", d, err)
	}
	if err := r.Verify(t.Context(), nil); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "no finger is enrolled") {
		t.Errorf("nothing enrolled: %v", err)
	}
	m.enrol("mine")
	if d, err := r.Present(t.Context()); err != nil || d.Fingers != 1 {
		t.Errorf("enrolled: %+v, %v", d, err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		user  string
		scans []string // one for each word
		told  []string
		want  string // of the error
	}{
		"a match":        {"", []string{"SCAN mine"}, []string{now}, ""},
		"by name":        {me.Username, []string{"SCAN mine"}, []string{now}, ""},
		"the second":     {"", []string{"SCAN other", "SCAN mine"}, []string{now, wrong}, ""},
		"unread, then":   {"", []string{"RETRY 1", "SCAN mine"}, []string{now, unread}, ""},
		"none":           {"", []string{"SCAN a", "SCAN b", "SCAN c"}, []string{now, wrong, wrong}, "did not match"},
		"a broken one":   {"", []string{"ERROR 0"}, []string{now}, "the fingerprint reader failed"},
		"another's name": {"nobody", nil, nil, "no finger is enrolled"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reader{Address: m.address, User: tt.user}
			var told []string
			err := r.Verify(t.Context(), func(s string) {
				told = append(told, s)
				if len(told) <= len(tt.scans) {
					m.scan(tt.scans[len(told)-1])
				}
			})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(tt.told, told); diff != "" {
				t.Error(diff)
			}
		})
	}
	m.polkit.refuse("net.reactivated.fprint.device.verify")
	if err := r.Verify(t.Context(), nil); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "may not use") {
		t.Errorf("polkit refuses: %v", err)
	}
	m.polkit.refuse("")
	ctx, cancel := context.WithCancel(t.Context())
	if err := r.Verify(ctx, func(string) { cancel() }); !fault.Is(err, fault.Denied) {
		t.Errorf("given up: %v", err)
	}
	if err := r.Verify(t.Context(), func(string) { m.scan("SCAN mine") }); err != nil { // the reader is free again
		t.Error(err)
	}
	if err := r.Verify(t.Context(), func(string) { m.stop() }); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("it ends meanwhile: %v", err)
	}
}

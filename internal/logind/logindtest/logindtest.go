//go:build linux

// Package logindtest is a system bus of a test's own, a real one, with a logind on
// it that does what the test says.
package logindtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	service = "org.freedesktop.login1"
	manager = service + ".Manager"
	session = service + ".Session"
	props   = "org.freedesktop.DBus.Properties"
	root    = dbus.ObjectPath("/org/freedesktop/login1")
)

const config = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>%s</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*" eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>`

// Bus starts a dbus-daemon that listens at an address, and skips the test, loudly,
// where there is none.
func Bus(t *testing.T, address string) (stop func()) {
	t.Helper()
	path, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("*** SKIP: there is no dbus-daemon")
	}
	file := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, address), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config-file="+file, "--nofork", "--nopidfile")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	for range 200 {
		if c, err := dbus.Dial(address); err == nil {
			_ = c.Close()
			return stop
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the bus does not come up")
	return nil
}

// Fake is a logind with sessions that the test makes.
type Fake struct {
	t    *testing.T
	Conn *dbus.Conn

	mu       sync.Mutex
	sessions map[dbus.ObjectPath]*Session
	refuse   bool     // no inhibitor
	held     *os.File // our end of the inhibitor
}

// Session is one of its sessions.
type Session struct {
	UID    uint32
	Class  string
	Seat   string
	Locked bool
}

// New makes a logind on a bus.
func New(t *testing.T, address string) *Fake {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{t: t, Conn: conn, sessions: map[dbus.ObjectPath]*Session{}}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Export(f, root, manager); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.RequestName(service, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
	return f
}

type listed struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// ListSessions is logind's.
func (f *Fake) ListSessions() ([]listed, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []listed{}
	for p, s := range f.sessions {
		out = append(out, listed{filepath.Base(string(p)), s.UID, "somebody", s.Seat, p})
	}
	return out, nil
}

// Inhibit is logind's.
func (f *Fake) Inhibit(what, _, _, mode string) (dbus.UnixFD, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse || what != "sleep" || mode != "delay" {
		return 0, dbus.MakeFailedError(os.ErrPermission)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	f.held = r
	fd, err := syscall.Dup(int(w.Fd())) // the library sends it, and closes nothing
	_ = w.Close()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	f.t.Cleanup(func() { _ = r.Close() })
	time.AfterFunc(200*time.Millisecond, func() { _ = syscall.Close(fd) })
	return dbus.UnixFD(fd), nil
}

// GetAll is that of a session's properties.
func (s *Session) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	type user struct {
		UID  uint32
		Path dbus.ObjectPath
	}
	type seat struct {
		ID   string
		Path dbus.ObjectPath
	}
	return map[string]dbus.Variant{"User": dbus.MakeVariant(user{s.UID, "/u"}), "Class": dbus.MakeVariant(s.Class),
		"Seat": dbus.MakeVariant(seat{s.Seat, "/s"}), "LockedHint": dbus.MakeVariant(s.Locked)}, nil
}

// Path of a session.
func (f *Fake) Path(id string) dbus.ObjectPath { return root + "/session/" + dbus.ObjectPath(id) }

// Put makes a session, quietly.
func (f *Fake) Put(id string, s Session) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions[f.Path(id)] = &s
	if err := f.Conn.Export(&s, f.Path(id), props); err != nil {
		f.t.Fatal(err)
	}
}

// Drop ends a session, quietly.
func (f *Fake) Drop(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, f.Path(id))
	_ = f.Conn.Export(nil, f.Path(id), props)
}

// Emit sends a signal.
func (f *Fake) Emit(path dbus.ObjectPath, name string, values ...any) {
	f.t.Helper()
	if err := f.Conn.Emit(path, name, values...); err != nil {
		f.t.Fatal(err)
	}
}

// Begin makes a session and says so.
func (f *Fake) Begin(id string, s Session) {
	f.Put(id, s)
	f.Emit(root, manager+".SessionNew", id, f.Path(id))
}

// End ends a session and says so.
func (f *Fake) End(id string) {
	f.Drop(id)
	f.Emit(root, manager+".SessionRemoved", id, f.Path(id))
}

// Refuse says whether inhibitors are refused from now on.
func (f *Fake) Refuse(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = on
}

// Sleeps waits until nobody holds up a sleep any more, and reports whether that
// came about.
func (f *Fake) Sleeps(limit time.Duration) bool {
	f.mu.Lock()
	held := f.held
	f.mu.Unlock()
	if held == nil {
		return false
	}
	_ = held.SetReadDeadline(time.Now().Add(limit))
	_, err := held.Read(make([]byte, 1))
	return err != nil && !os.IsTimeout(err)
}

// Prepare says that the machine is about to sleep, or awake again.
func (f *Fake) Prepare(sleep bool) { f.Emit(root, manager+".PrepareForSleep", sleep) }

// Hint says that the screen of a session is locked, or not.
func (f *Fake) Hint(id string, locked bool) {
	f.Emit(f.Path(id), props+".PropertiesChanged", session, map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(locked)}, []string{})
}

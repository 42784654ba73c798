//go:build linux

package logind

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// address is where a bus of the test's own may listen; the path must be short.
func address(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ttbus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return "unix:path=" + filepath.Join(dir, "bus")
}

// ear is what a Watch tells.
type ear struct {
	t      *testing.T
	locks  chan string
	states chan State
}

const me = 4711

func listen(t *testing.T, address string, lock func(string)) *ear {
	t.Helper()
	e := &ear{t, make(chan string, 100), make(chan State, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w := Watch{Address: address, UID: me, Say: func(s State) { e.states <- s }, Retry: 20 * time.Millisecond,
		Lock: func(why string) {
			if lock != nil {
				lock(why)
			}
			e.locks <- why
		}}
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return e
}

func (e *ear) want(what string, why ...string) {
	e.t.Helper()
	for _, w := range why {
		select {
		case got := <-e.locks:
			if got != w {
				e.t.Errorf("%s: locked for %s, want %s", what, got, w)
			}
		case <-time.After(5 * time.Second):
			e.t.Errorf("%s: not locked, want %s", what, w)
		}
	}
	select {
	case got := <-e.locks:
		e.t.Errorf("%s: locked for %s once more", what, got)
	case <-time.After(50 * time.Millisecond):
	}
}

// wantState waits for a state, among others.
func (e *ear) wantState(want State) {
	e.t.Helper()
	var seen []State
	for end := time.After(5 * time.Second); ; {
		select {
		case s := <-e.states:
			if s == want {
				return
			}
			seen = append(seen, s)
		case <-end:
			e.t.Fatalf("the state is not %+v; seen: %+v", want, seen)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	f := logindtest.New(t, address)
	f.Put("1", logindtest.Session{UID: me, Class: "user", Seat: "seat0"})
	f.Put("2", logindtest.Session{UID: me, Class: "user"})
	f.Put("3", logindtest.Session{UID: 12, Class: "user", Seat: "seat0"})
	f.Put("4", logindtest.Session{UID: me, Class: "manager"})
	e := listen(t, address, nil)
	e.wantState(State{Up: true})
	f.Hint("3", true)
	f.Emit(f.Path("3"), session+".Lock")
	f.Hint("1", false)
	f.Emit(f.Path("1"), session+".Unlock")
	e.want("another's session, and what unlocks")
	f.Begin("5", logindtest.Session{UID: me, Class: "background"})
	e.want("a job")
	f.End("5")
	f.End("4")
	f.End("3")
	f.Begin("6", logindtest.Session{UID: me, Class: "user"})
	e.want("one more from afar")
	f.End("6") // the screen is still there
	e.want("what is nobody's leaving")
	f.Emit(f.Path("1"), session+".Lock")
	e.want("the session's lock", ScreenLock)
	f.Hint("1", true)
	e.want("the hint", ScreenLock)
	f.Emit(f.Path("99"), session+".Lock")
	e.want("a session that nobody knows", ScreenLock)
	f.Begin("7", logindtest.Session{UID: me, Class: "user-light", Seat: "seat0"})
	f.Hint("7", true)
	e.want("a new session", ScreenLock)
	f.End("1")
	e.want("the end of a session at the machine", Logout)
	f.End("7")
	e.want("of another", Logout)
	f.End("2")
	e.want("of the last", Logout)
}

// The machine sleeps only when the lock is done.
func TestSleep(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	f := logindtest.New(t, address)
	e := listen(t, address, func(string) {
		if f.Sleeps(300 * time.Millisecond) {
			t.Error("sleep did not wait for the lock")
		}
	})
	e.wantState(State{Up: true})
	f.Prepare(true)
	e.want("sleep", Suspend)
	if !f.Sleeps(5 * time.Second) {
		t.Error("sleep is held up for ever")
	}
	f.Refuse(true)
	f.Prepare(false)
	e.wantState(State{Up: true, Note: "sleep does not wait for the lock: logind refused to"})
	f.Refuse(false)
	f.Prepare(false)
	e.wantState(State{Up: true})
	e.want("to wake up")
	f.Prepare(true)
	e.want("sleep again", Suspend)
}

// Whoever is not logind says nothing.
func TestForged(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	logindtest.New(t, address)
	e := listen(t, address, nil)
	e.wantState(State{Up: true})
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var names []string
	if err := conn.BusObject().Call(bus+".ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, to := range names { // past all rules: to each alone
		for _, s := range []struct {
			iface, member string
			body          []any
		}{{manager, "PrepareForSleep", []any{true}}, {session, "Lock", nil}, {bus, "NameOwnerChanged", []any{service, ":1.1", ""}}} {
			msg := &dbus.Message{Type: dbus.TypeSignal, Body: s.body, Headers: map[dbus.HeaderField]dbus.Variant{
				dbus.FieldPath: dbus.MakeVariant(root), dbus.FieldInterface: dbus.MakeVariant(s.iface),
				dbus.FieldMember: dbus.MakeVariant(s.member), dbus.FieldDestination: dbus.MakeVariant(to)}}
			if len(s.body) > 0 {
				msg.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(s.body...))
			}
			conn.Send(msg, nil)
			sent++
		}
	}
	if sent < 9 {
		t.Fatalf("matched nothing: %d sent to %q", sent, names)
	}
	e.want("forged signals")
	select {
	case s := <-e.states:
		t.Errorf("a forged signal made it %+v", s)
	default:
	}
}

// A bus that is not there, or goes away, is said; what happened meanwhile is made
// good when it is back.
func TestNoBus(t *testing.T) {
	t.Parallel()
	address := address(t)
	e := listen(t, address, nil)
	e.wantState(State{Note: "there is no system bus"})
	stop := logindtest.Bus(t, address)
	e.wantState(State{Note: "there is no logind on the system bus"})
	f := logindtest.New(t, address)
	f.Put("1", logindtest.Session{UID: me, Class: "user", Seat: "seat0"})
	for len(e.states) > 0 {
		<-e.states
	}
	e.wantState(State{Up: true})
	f.End("1")
	f.Begin("1", logindtest.Session{UID: me, Class: "user", Seat: "seat0"}) // it may have come before the bus was heard
	f.End("1")
	for len(e.locks) == 0 {
		time.Sleep(time.Millisecond)
	}
	for len(e.locks) > 0 {
		<-e.locks
	}
	f.Begin("2", logindtest.Session{UID: me, Class: "user", Seat: "seat0"})
	time.Sleep(50 * time.Millisecond)
	_ = f.Conn.Close()
	e.wantState(State{Note: "logind went away"})
	for len(e.locks) > 0 {
		<-e.locks
	}
	f = logindtest.New(t, address)
	e.want("a logout that nobody heard", Logout)
	f.Begin("3", logindtest.Session{UID: me, Class: "user", Seat: "seat0", Locked: true})
	time.Sleep(50 * time.Millisecond)
	stop()
	e.wantState(State{Note: "the system bus went away"})
	logindtest.Bus(t, address)
	f = logindtest.New(t, address)
	f.Put("3", logindtest.Session{UID: me, Class: "user", Seat: "seat0", Locked: true})
	e.wantState(State{Up: true})
}

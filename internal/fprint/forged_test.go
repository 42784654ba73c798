//go:build linux

package fprint

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// ---- a service that says what the test wants, on a real bus ----

const reader = dbus.ObjectPath("/net/reactivated/Fprint/Device/0")

type fake struct {
	t       *testing.T
	address string
	conn    *dbus.Conn

	mu     sync.Mutex
	client string   // the unique name of who claimed
	calls  []string // what was asked of the reader
	fail   map[string]string
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, address: "unix:path=" + filepath.Join(folder(t), "bus"), fail: map[string]string{}}
	logindtest.Bus(t, f.address)
	f.conn = connect(t, f.address)
	for _, p := range []struct {
		path dbus.ObjectPath
		name string
	}{{root, manager}, {reader, device}} {
		if err := f.conn.Export(f, p.path, p.name); err != nil {
			t.Fatal(err)
		}
	}
	own(t, f.conn, service)
	return f
}

func (f *fake) did(call string, from dbus.Sender) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	f.client = string(from)
	if name := f.fail[call]; name != "" {
		return dbus.NewError(name, []any{"a text that nobody is shown"})
	}
	return nil
}

func (f *fake) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.calls
	f.calls = nil
	return out
}

func (f *fake) GetDefaultDevice(from dbus.Sender) (dbus.ObjectPath, *dbus.Error) {
	return reader, f.did("GetDefaultDevice", from)
}
func (f *fake) Claim(user string, from dbus.Sender) *dbus.Error { return f.did("Claim "+user, from) }
func (f *fake) Release(from dbus.Sender) *dbus.Error            { return f.did("Release", from) }
func (f *fake) VerifyStart(finger string, from dbus.Sender) *dbus.Error {
	return f.did("VerifyStart "+finger, from)
}
func (f *fake) VerifyStop(from dbus.Sender) *dbus.Error { return f.did("VerifyStop", from) }

// say sends a signal by a connection: to all, or to who claimed.
func (f *fake) say(by *dbus.Conn, straight bool, path dbus.ObjectPath, name string, body ...any) {
	f.t.Helper()
	i := strings.LastIndex(name, ".")
	m := &dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(path), dbus.FieldInterface: dbus.MakeVariant(name[:i]), dbus.FieldMember: dbus.MakeVariant(name[i+1:])}}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	if straight {
		f.mu.Lock()
		m.Headers[dbus.FieldDestination] = dbus.MakeVariant(f.client)
		f.mu.Unlock()
	}
	if c := by.Send(m, nil); c != nil && c.Err != nil {
		f.t.Error(c.Err)
	}
	if err := by.BusObject().Call(bus+".GetId", 0).Err; err != nil { // it is through when the bus answers
		f.t.Error(err)
	}
}

func TestForgedSignals(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := &Reader{Address: f.address, User: "somebody"}
	forger := connect(t, f.address)
	own(t, forger, "net.reactivated.Fprint.Other")
	err := r.Verify(t.Context(), func(string) {
		for _, straight := range []bool{false, true} {
			f.say(forger, straight, reader, status, "verify-match", true)
			f.say(forger, straight, reader, ownership, f.conn.Names()[0], f.conn.Names()[0], "")
			f.say(f.conn, straight, "/net/reactivated/Fprint/Device/1", status, "verify-match", true)
			f.say(f.conn, straight, reader, device+".EnrollStatus", "verify-match", true)
			f.say(f.conn, straight, reader, device+"X.VerifyStatus", "verify-match", true)
		}
		f.say(f.conn, false, reader, status, "verify-no-match", true)
	})
	if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "did not match") {
		t.Errorf("%v", err)
	}
	want := []string{"GetDefaultDevice", "Claim somebody"}
	for range tries {
		want = append(want, "VerifyStart any", "VerifyStop")
	}
	if diff := cmp.Diff(append(want, "Release"), f.took()); diff != "" {
		t.Error(diff)
	}
}

// What was said before the reader was ours is of another's finger.
func TestEarlierMatch(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			f.mu.Lock() // the reader is not claimed while this is said
			claimed := slices.Contains(f.calls, "Claim ")
			if !claimed {
				f.say(f.conn, false, reader, status, "verify-match", true)
			}
			f.mu.Unlock()
			if claimed {
				return
			}
		}
	})
	err := (&Reader{Address: f.address, Patience: 50 * time.Millisecond}).Verify(t.Context(), nil)
	close(stop)
	wg.Wait()
	if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("%v", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fail map[string]string
		said []any
		kind fault.Kind
		want string
	}{
		"not done":     {nil, []any{"verify-match", false}, fault.Unavailable, "reader failed"},
		"no bool":      {nil, []any{"verify-match"}, fault.Unavailable, "reader failed"},
		"other types":  {nil, []any{true, "verify-match"}, fault.Unavailable, "reader failed"},
		"a new word":   {nil, []any{"verify-matched", true}, fault.Unavailable, "reader failed"},
		"unknown":      {nil, []any{"verify-unknown-error", true}, fault.Unavailable, "reader failed"},
		"empty":        {nil, []any{"", true}, fault.Unavailable, "reader failed"},
		"over, unread": {nil, []any{"verify-retry-scan", true}, fault.Unavailable, "reader failed"},
		"unplugged":    {nil, []any{"verify-disconnected", true}, fault.Unavailable, "unplugged"},
		"nothing":      {nil, nil, fault.Denied, "in time"},
		"no reader":    {map[string]string{"GetDefaultDevice": service + ".Error.NoSuchDevice"}, nil, fault.Unavailable, "no fingerprint reader"},
		"in use":       {map[string]string{"Claim ": service + ".Error.AlreadyInUse"}, nil, fault.Unavailable, "another finger"},
		"no leave":     {map[string]string{"Claim ": service + ".Error.PermissionDenied"}, nil, fault.Denied, "may not use"},
		"none":         {map[string]string{"VerifyStart any": service + ".Error.NoEnrolledPrints"}, nil, fault.Denied, "no finger is enrolled"},
		"else":         {map[string]string{"VerifyStart any": service + ".Error.Internal"}, nil, fault.Unavailable, "did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.mu.Lock()
			f.fail = tt.fail
			f.mu.Unlock()
			r := &Reader{Address: f.address}
			if tt.said == nil {
				r.Patience = 50 * time.Millisecond
			}
			err := r.Verify(t.Context(), func(string) {
				if tt.said != nil {
					f.say(f.conn, false, reader, status, tt.said...)
				}
			})
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "a text that") {
				t.Errorf("%v", err)
			}
			calls := f.took()
			for before, after := range map[string]string{"Claim ": "Release", "VerifyStart any": "VerifyStop"} {
				if slices.Contains(calls, before) && tt.fail[before] == "" && !slices.Contains(calls, after) {
					t.Errorf("%v: no %s", calls, after)
				}
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	if err := (&Reader{Address: "unix:path=" + filepath.Join(folder(t), "none")}).Verify(t.Context(), nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no bus: %v", err)
	}
	f := newFake(t)
	if _, err := f.conn.ReleaseName(service); err != nil {
		t.Fatal(err)
	}
	r := &Reader{Address: f.address}
	if _, err := r.Present(t.Context()); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no fprintd") {
		t.Errorf("no service: %v", err)
	}
	if !r.busy.TryLock() {
		t.Fatal("still busy")
	}
	if err := r.Verify(t.Context(), nil); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "another finger") {
		t.Errorf("two at once: %v", err)
	}
}

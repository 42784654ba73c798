//go:build linux

package desktop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/logind/logindtest"
)

// screen is a desktop: it shows notifications, and opens pages.
type screen struct {
	t    *testing.T
	conn *dbus.Conn

	mu     sync.Mutex
	last   uint32
	calls  int               // of Notify
	shown  map[uint32]string // what is there
	opened []string
	tokens []string
	from   string // who asked, by its unique name
	broken bool   // no portal
	answer uint32 // the portal's, when it has tried
	silent bool   // it gives none
}

// newScreen starts one on a bus.
func newScreen(t *testing.T, address string) *screen {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &screen{t: t, conn: conn, shown: map[uint32]string{}}
	for iface, path := range map[string]dbus.ObjectPath{notes: notesPath, "org.freedesktop.portal.OpenURI": portPath} {
		if err := conn.Export(s, path, iface); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{portal, notes} {
		if r, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
			t.Fatal(r, err)
		}
	}
	return s
}

// Notify is the notification service's.
func (s *screen) Notify(from dbus.Sender, app string, replaces uint32, icon, summary, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(actions, []string{"open", "Open"}) || app != "Thumbturn" || icon == "" || expires != 0 || hints["urgency"].Value() != byte(1) {
		s.t.Errorf("a notification of %q with %q, %v, %d", app, actions, hints, expires)
	}
	if replaces == 0 { // one that is gone comes back under its number, as some do it
		s.last++
		replaces = s.last
	}
	s.shown[replaces] = summary + " | " + body
	s.calls++
	s.from = string(from)
	return replaces, nil
}

// CloseNotification is the notification service's.
func (s *screen) CloseNotification(id uint32) *dbus.Error {
	if !s.away(id, 3) {
		return dbus.MakeFailedError(errors.New("no such notification"))
	}
	return nil
}

// OpenURI is the portal's.
func (s *screen) OpenURI(parent, uri string, options map[string]dbus.Variant) (dbus.ObjectPath, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return "/", dbus.MakeFailedError(errors.New("no application"))
	}
	token, _ := options["activation_token"].Value().(string)
	s.opened, s.tokens = append(s.opened, uri), append(s.tokens, token)
	if s.silent {
		return portPath + "/request/silent", nil
	}
	handle := portPath + dbus.ObjectPath("/request/"+strconv.Itoa(len(s.opened)))
	for _, a := range []struct {
		path dbus.ObjectPath
		code uint32
	}{{portPath + "/request/0", 2}, {handle, s.answer}} { // that of another first
		if err := s.conn.Emit(a.path, answer, a.code, map[string]dbus.Variant{}); err != nil {
			s.t.Error(err)
		}
	}
	return handle, nil
}

// away takes a notification away, as the person or we do.
func (s *screen) away(id, reason uint32) bool {
	s.mu.Lock()
	there := s.shown[id] != ""
	delete(s.shown, id)
	s.mu.Unlock()
	if there {
		s.emit(".NotificationClosed", id, reason)
	}
	return there
}

// press is the button, after which many desktops put the notification away.
func (s *screen) press(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shown, id)
	s.emit(".ActionInvoked", id, "open")
	s.emit(".NotificationClosed", id, uint32(2))
}

func (s *screen) emit(member string, values ...any) {
	if err := s.conn.Emit(notesPath, notes+member, values...); err != nil {
		s.t.Error(err)
	}
}

// sees waits until just these notifications are there.
func (s *screen) sees(what string, want map[uint32]string) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%s: %v", what, want), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return cmp.Equal(want, s.shown)
	})
}

func (s *screen) opens(what string, want ...string) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%s: %q opened", what, want), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Equal(want, s.opened)
	})
}

// set runs f while nothing is asked of the screen.
func (s *screen) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

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

// start runs a Desktop whose pages are numbered.
func start(t *testing.T, address string) (d *Desktop, stop func()) {
	t.Helper()
	n := 0
	d = &Desktop{Address: address, Page: func() (string, error) {
		n++
		return "http://x.localhost:1/#" + strconv.Itoa(n), nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return d, stop
}

const (
	one = "A request waits for you | Code a1a1-a1a1. Compare it with the page."
	two = "2 requests wait for you | The newest has the code a2a2-a2a2. Compare it with the page."
)

func TestNotification(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	s := newScreen(t, address)
	d, stop := start(t, address)
	d.Notify(Waiting{1, "a1a1-a1a1"})
	s.sees("one waits", map[uint32]string{1: one})
	until(t, "shown", func() bool { return d.State() == State{Up: true, Shown: true} })
	d.Notify(Waiting{2, "a2a2-a2a2"})
	s.sees("two wait", map[uint32]string{1: two})
	s.emit(".ActivationToken", uint32(1), "focus")
	s.emit(".ActionInvoked", uint32(1), "open")
	s.opens("the button", "http://x.localhost:1/#1")
	s.emit(".ActionInvoked", uint32(1), "open")
	s.opens("again", "http://x.localhost:1/#1", "http://x.localhost:1/#2")
	s.set(func() {
		if diff := cmp.Diff([]string{"focus", ""}, s.tokens); diff != "" {
			t.Error(diff)
		}
	})
	d.Notify(Waiting{1, "a1a1-a1a1"})
	s.sees("one is answered", map[uint32]string{1: one})
	d.Notify(Waiting{})
	s.sees("all are answered", map[uint32]string{})
	until(t, "not shown", func() bool { return d.State() == State{Up: true} })
	d.Notify(Waiting{1, "a1a1-a1a1"})
	s.sees("a new one", map[uint32]string{2: one})
	until(t, "shown", func() bool { return d.State().Shown })
	s.away(2, 2) // the person puts it away
	until(t, "put away", func() bool { return !d.State().Shown })
	d.Notify(Waiting{1, "a3a3-a3a3"})
	d.Notify(Waiting{2, "a2a2-a2a2"})
	s.sees("one more", map[uint32]string{3: two})
	until(t, "shown", func() bool { return d.State().Shown })
	s.away(3, 2)
	until(t, "put away", func() bool { return !d.State().Shown })
	var calls int
	s.set(func() { calls = s.calls })
	for range 2 { // when the second is heard, the first was acted on
		d.Notify(Waiting{1, "a1a1-a1a1"})
		until(t, "heard", func() bool { return len(d.ring()) == 0 })
	}
	stop()
	s.set(func() {
		if s.calls != calls || len(s.shown) > 0 {
			t.Errorf("what was put away came back without anything new: %v", s.shown)
		}
	})
}

// The notification goes when the daemon does.
func TestStop(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	s := newScreen(t, address)
	d, stop := start(t, address)
	d.Notify(Waiting{1, "a1a1-a1a1"})
	s.sees("one waits", map[uint32]string{1: one})
	until(t, "shown", func() bool { return d.State().Shown })
	stop()
	s.sees("stopped", map[uint32]string{})
	if d.State() != (State{}) {
		t.Errorf("%+v", d.State())
	}
}

// However many come, there is one notification, with the last number.
func TestMany(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	s := newScreen(t, address)
	d, _ := start(t, address)
	for n := range 100 {
		d.Notify(Waiting{n + 1, "a2a2-a2a2"})
	}
	s.sees("a hundred", map[uint32]string{1: "100 requests wait for you | The newest has the code a2a2-a2a2. Compare it with the page."})
	s.set(func() {
		if s.last != 1 || s.calls > 100 {
			t.Errorf("%d notifications, %d calls", s.last, s.calls)
		}
	})
}

// Only the one who shows notifications presses the button, and only that of ours.
func TestForged(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	s := newScreen(t, address)
	d, _ := start(t, address)
	d.Notify(Waiting{1, "a1a1-a1a1"})
	s.sees("one waits", map[uint32]string{1: one})
	until(t, "shown", func() bool { return d.State().Shown })
	other, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	send := func(from *dbus.Conn, path dbus.ObjectPath, member string, body ...any) { // past all rules: to ours alone
		msg := &dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(path), dbus.FieldInterface: dbus.MakeVariant(member[:len(member)-len(filepath.Ext(member))]),
			dbus.FieldMember: dbus.MakeVariant(filepath.Ext(member)[1:]), dbus.FieldDestination: dbus.MakeVariant(s.from),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...))}}
		if c := from.Send(msg, nil); c != nil && c.Err != nil {
			t.Fatal(c.Err)
		}
	}
	for id := range uint32(3) {
		send(other, notesPath, notes+".ActionInvoked", id, "open")
		send(other, notesPath, notes+".NotificationClosed", id, uint32(2))
	}
	send(other, busPath, bus+".NameOwnerChanged", notes, s.conn.Names()[0], "")
	// A call after the signals of the same sender comes after them: ours answers
	// that it has no such object, and has queued the signals by then.
	if err := other.Object(s.from, "/nothing").Call("org.example.Nothing", 0).Err; err == nil {
		t.Error("it exports something")
	}
	for _, id := range []uint32{0, 2, 7, 1 << 31} {
		send(s.conn, notesPath, notes+".ActionInvoked", id, "open")
	}
	for _, key := range []string{"", "default", "approve", "Open"} {
		send(s.conn, notesPath, notes+".ActionInvoked", uint32(1), key)
	}
	send(s.conn, "/org/elsewhere", notes+".ActionInvoked", uint32(1), "open")
	send(s.conn, notesPath, notes+".ActionInvoked", "1", "open")
	send(s.conn, notesPath, notes+".ActionInvoked", uint32(1))
	send(s.conn, notesPath, notes+".ActionInvoked", uint32(1), "open", "more")
	pressed := func(token string, tokens ...string) { // a true press, which comes after all the others
		t.Helper()
		send(s.conn, notesPath, notes+".ActivationToken", uint32(1), token)
		send(s.conn, notesPath, notes+".ActionInvoked", uint32(1), "open")
		until(t, fmt.Sprintf("presses %q", tokens), func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Contains(s.tokens, token)
		})
		s.set(func() {
			if diff := cmp.Diff(tokens, s.tokens); diff != "" {
				t.Errorf("more was opened: %s", diff)
			}
		})
	}
	s.set(func() { s.silent = true })
	pressed("first", "first")
	// Nor does another speak for the portal.
	send(other, portPath+"/request/silent", answer, uint32(2), map[string]dbus.Variant{})
	if err := other.Object(s.from, "/nothing").Call("org.example.Nothing", 0).Err; err == nil {
		t.Error("it exports something")
	}
	pressed("second", "first", "second")
	d.Notify(Waiting{2, "a2a2-a2a2"})
	s.sees("it is still there", map[uint32]string{1: two})
}

// What may not be opened is not, and it is said; so is a desktop without a portal.
func TestNotOpened(t *testing.T) {
	t.Parallel()
	address := address(t)
	logindtest.Bus(t, address)
	s := newScreen(t, address)
	failed := "A request waits for you | Code a1a1-a1a1. Compare it with the page. The page could not be opened from here: run thumbturn requests."
	good := func() (string, error) { return "http://localhost/", nil }
	for i, p := range []struct {
		page   func() (string, error)
		broken bool
		answer uint32
		opened []string
	}{
		{page: nil},
		{page: func() (string, error) { return "file:///etc/passwd", nil }},
		{page: func() (string, error) { return "", errors.New("no") }},
		{page: good, broken: true},
		{page: good, answer: 2, opened: []string{"http://localhost/"}},
	} {
		s.set(func() { s.broken, s.answer, s.opened = p.broken, p.answer, nil })
		d, stop := start(t, address)
		give := p.page
		if d.Page = nil; give != nil { // before anything is told
			d.Page = func() (string, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				return give()
			}
		}
		d.Notify(Waiting{1, "a1a1-a1a1"})
		id := uint32(2*i + 1)
		s.sees("one waits", map[uint32]string{id: one})
		s.press(id)
		s.sees("said", map[uint32]string{id + 1: failed})
		until(t, "a note", func() bool { s := d.State(); return s.Up && s.Shown && s.Note != "" })
		if give != nil {
			s.set(func() { s.broken, s.answer, give = false, 1, good })
			s.emit(".ActionInvoked", id+1, "open")
			s.opens("now it works", append(p.opened, "http://localhost/")...)
			until(t, "no note", func() bool { return d.State() == State{Up: true, Shown: true} })
		}
		stop()
		s.sees("stopped", map[uint32]string{})
	}
}

// A desktop that comes late, goes, and comes again is told again.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	address := address(t)
	d, _ := start(t, address)
	d.Notify(Waiting{1, "a1a1-a1a1"})
	until(t, "no bus", func() bool { return d.State().Note == "there is no session bus" })
	stop := logindtest.Bus(t, address)
	d.Notify(Waiting{1, "a1a1-a1a1"})
	until(t, "nobody", func() bool { return d.State().Note == "nobody on the session bus shows notifications" })
	s := newScreen(t, address)
	s.sees("a screen comes", map[uint32]string{1: one})
	until(t, "shown", func() bool { return d.State() == State{Up: true, Shown: true} })
	_ = s.conn.Close()
	until(t, "the screen goes", func() bool { return d.State().Note == "nobody on the session bus shows notifications" })
	s = newScreen(t, address)
	s.sees("another screen comes", map[uint32]string{1: one})
	until(t, "shown", func() bool { return d.State().Shown })
	stop()
	until(t, "the bus goes", func() bool { return d.State() == State{Note: "the session bus went away"} })
	d.Notify(Waiting{1, "a1a1-a1a1"})
	until(t, "no bus again", func() bool { return d.State().Note == "there is no session bus" })
	logindtest.Bus(t, address)
	s = newScreen(t, address)
	d.Notify(Waiting{2, "a2a2-a2a2"})
	s.sees("all come again", map[uint32]string{1: two})
}

// A bus that takes the connection and says nothing holds nobody up.
func TestSilentBus(t *testing.T) {
	t.Parallel()
	address := address(t)
	l, err := net.Listen("unix", strings.TrimPrefix(address, "unix:path="))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, stop := start(t, address)
	d.Notify(Waiting{1, "a1a1-a1a1"})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil { // it is being greeted
		t.Fatal(err)
	}
	stop()
	if d.State().Up {
		t.Errorf("%+v", d.State())
	}
}

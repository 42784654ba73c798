// Package logind hears from systemd-logind, over the system bus, when the machine
// is about to sleep, and when one user's session is locked or ends.
//
// Sleep is held up until the vaults are locked, for as long as logind grants: five
// seconds, if its InhibitDelayMaxSec says nothing else. Signals count only from
// logind itself, whoever else may put some on the bus. Nothing here can open
// anything; the worst that a forged message could do is to lock.
package logind

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// SystemBus is where the system bus listens. The environment has no say in it.
const SystemBus = "unix:path=/run/dbus/system_bus_socket"

// The reasons to lock.
const (
	Suspend    = "suspend"
	ScreenLock = "screen lock"
	Logout     = "logout"
)

// Reasons are all of them.
func Reasons() []string { return []string{Suspend, ScreenLock, Logout} }

// State is how the watch goes. The zero State says that nothing is heard yet.
type State struct {
	Up   bool   // logind is heard
	Note string // why it is not, or what is missing all the same
}

// Watch is what to follow, and whom to tell. It locks and says one after the other.
type Watch struct {
	Address string
	UID     int              // whose sessions
	Lock    func(why string) // the machine sleeps when it has returned
	Say     func(State)      // at each change
	Retry   time.Duration    // between two tries to reach the bus
}

const (
	bus       = "org.freedesktop.DBus"
	service   = "org.freedesktop.login1"
	manager   = service + ".Manager"
	session   = service + ".Session"
	props     = bus + ".Properties"
	root      = dbus.ObjectPath("/org/freedesktop/login1")
	patience  = 5 * time.Second // for one answer of logind
	changed   = props + ".PropertiesChanged"
	ownership = bus + ".NameOwnerChanged"
)

// Run follows logind until ctx ends, and comes back to a bus that went away.
func (w Watch) Run(ctx context.Context) {
	f := &follower{Watch: w}
	for {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		w.Say(State{Note: err.Error()})
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.Retry):
		}
	}
}

// follower is one Watch, with what it knows of the user's sessions.
type follower struct {
	Watch
	conn     *dbus.Conn
	owner    string                   // the unique name of logind
	sessions map[dbus.ObjectPath]bool // the user's; true: at a seat of this machine
	hold     *os.File                 // held, logind waits before a sleep
	before   bool                     // there was a connection before this one
}

// follow connects, and hears until something ends it.
func (f *follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(patience, cancel) // a bus that does not answer is none
	conn, err := dbus.Connect(f.Address, dbus.WithAuth(dbus.AuthExternal(strconv.Itoa(os.Geteuid()))),
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()), dbus.WithContext(ctx))
	late.Stop()
	if err != nil {
		return errors.New("there is no system bus")
	}
	f.conn = conn
	defer func() { f.release(); _ = conn.Close() }()
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	if err := f.meet(ctx); err != nil {
		return errors.New("there is no logind on the system bus")
	}
	f.inhibit(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return errors.New("the system bus went away")
			}
			if err := f.hear(ctx, s); err != nil {
				return err
			}
		}
	}
}

// call asks one object and stores the answer.
func (f *follower) call(ctx context.Context, to string, path dbus.ObjectPath, method string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return f.conn.Object(to, path).CallWithContext(ctx, method, 0, args...).Store(into...)
}

// meet asks for the signals, finds out who logind is, and looks at the sessions
// that there are. What was missed while nothing was heard is made good.
func (f *follower) meet(ctx context.Context) error {
	for _, rule := range []string{
		"interface='" + manager + "'", "interface='" + session + "',member='Lock'",
		"interface='" + props + "',member='PropertiesChanged',arg0='" + session + "'",
	} {
		if err := f.call(ctx, bus, "/org/freedesktop/DBus", bus+".AddMatch", []any{"type='signal',sender='" + service + "'," + rule}); err != nil {
			return err
		}
	}
	rule := "type='signal',sender='" + bus + "',interface='" + bus + "',member='NameOwnerChanged',arg0='" + service + "'"
	if err := f.call(ctx, bus, "/org/freedesktop/DBus", bus+".AddMatch", []any{rule}); err != nil {
		return err
	}
	var list []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if err := f.call(ctx, service, root, manager+".ListSessions", nil, &list); err != nil { // starts it where it can be
		return err
	}
	if err := f.call(ctx, bus, "/org/freedesktop/DBus", bus+".GetNameOwner", []any{service}, &f.owner); err != nil {
		return err
	}
	had, locked := len(f.sessions), false
	f.sessions = map[dbus.ObjectPath]bool{}
	for _, s := range list {
		if int(s.UID) == f.UID {
			hint, _ := f.add(ctx, s.Path)
			locked = locked || hint
		}
	}
	switch {
	case f.before && had > 0 && len(f.sessions) == 0:
		f.Lock(Logout)
	case f.before && locked:
		f.Lock(ScreenLock)
	}
	f.before = true
	return nil
}

// add looks at a session, and remembers it where a person of the user is in it:
// sessions of jobs come and go without anybody. It reports whether it is locked.
func (f *follower) add(ctx context.Context, path dbus.ObjectPath) (locked bool, err error) {
	var p map[string]dbus.Variant
	if err := f.call(ctx, service, path, props+".GetAll", []any{session}, &p); err != nil {
		return false, err
	}
	var user struct {
		UID  uint32
		Path dbus.ObjectPath
	}
	if err := dbus.Store([]any{p["User"].Value()}, &user); err != nil || int(user.UID) != f.UID {
		return false, err
	}
	if class, _ := p["Class"].Value().(string); !strings.HasPrefix(class, "user") {
		return false, nil
	}
	var seat struct {
		ID   string
		Path dbus.ObjectPath
	}
	_ = dbus.Store([]any{p["Seat"].Value()}, &seat)
	f.sessions[path] = seat.ID != ""
	locked, _ = p["LockedHint"].Value().(bool)
	return locked, nil
}

// hear acts on one signal. An error ends the connection.
func (f *follower) hear(ctx context.Context, s *dbus.Signal) error {
	if s.Name == ownership && s.Sender == bus {
		return errors.New("logind went away")
	}
	if s.Sender != f.owner {
		return nil
	}
	switch s.Name {
	case manager + ".PrepareForSleep":
		var begins bool
		if dbus.Store(s.Body, &begins) != nil || begins {
			f.Lock(Suspend)
			f.release()
		} else {
			f.inhibit(ctx)
		}
	case manager + ".SessionNew", manager + ".SessionRemoved":
		var id string
		var path dbus.ObjectPath
		if dbus.Store(s.Body, &id, &path) != nil {
			return nil
		}
		if s.Name == manager+".SessionNew" {
			_, _ = f.add(ctx, path) // one that is gone again already is none
			return nil
		}
		seated, ours := f.sessions[path]
		delete(f.sessions, path)
		if ours && (seated || len(f.sessions) == 0) { // another one at the machine, or from afar, does not count
			f.Lock(Logout)
		}
	case session + ".Lock":
		f.screen(ctx, s.Path)
	case changed:
		var of string
		var now map[string]dbus.Variant
		var stale []string
		if dbus.Store(s.Body, &of, &now, &stale) == nil && now["LockedHint"].Value() == true {
			f.screen(ctx, s.Path)
		}
	}
	return nil
}

// screen locks where the session is the user's, or nobody can say whose it is.
func (f *follower) screen(ctx context.Context, path dbus.ObjectPath) {
	_, known := f.sessions[path]
	if !known {
		_, err := f.add(ctx, path)
		_, known = f.sessions[path]
		known = known || err != nil
	}
	if known {
		f.Lock(ScreenLock)
	}
}

// inhibit takes the lock that makes a sleep wait, and says how the watch goes.
func (f *follower) inhibit(ctx context.Context) {
	var fd dbus.UnixFD
	if f.hold == nil {
		if err := f.call(ctx, service, root, manager+".Inhibit", []any{"sleep", "Thumbturn", "The vaults are locked first", "delay"}, &fd); err != nil {
			f.Say(State{Up: true, Note: "sleep does not wait for the lock: logind refused to"})
			return
		}
		f.hold = os.NewFile(uintptr(fd), "inhibit")
	}
	f.Say(State{Up: true})
}

func (f *follower) release() {
	if f.hold != nil {
		_ = f.hold.Close()
		f.hold = nil
	}
}

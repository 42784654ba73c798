//go:build !darwin && !windows

package desktop

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	bus       = "org.freedesktop.DBus"
	busPath   = dbus.ObjectPath("/org/freedesktop/DBus")
	notes     = "org.freedesktop.Notifications"
	notesPath = dbus.ObjectPath("/org/freedesktop/Notifications")
	portal    = "org.freedesktop.portal.Desktop"
	portPath  = dbus.ObjectPath("/org/freedesktop/portal/desktop")
	openURI   = "org.freedesktop.portal.OpenURI.OpenURI"
	answer    = "org.freedesktop.portal.Request.Response"
	button    = "open"
	patience  = 5 * time.Second // for one answer
)

// Run tells the desktop until ctx ends, and takes the notification away then. It
// looks for the bus when there is something to tell, and not before.
func (d *Desktop) Run(ctx context.Context) {
	t := &teller{Desktop: d}
	defer t.leave()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.ring():
			t.tell(ctx)
		case s, ok := <-t.signals:
			if !ok {
				t.leave()
				d.say(State{Note: "the session bus went away"})
				continue
			}
			t.hear(ctx, s)
		}
	}
}

// teller is one Desktop at work.
type teller struct {
	*Desktop
	conn    *dbus.Conn
	cut     context.CancelFunc // ends conn
	signals chan *dbus.Signal  // nil while there is no conn
	owner   string             // unique name of who shows notifications
	id      uint32             // of our notification; 0: none
	last    Waiting            // what it says
	away    bool               // the person put it away
	failed  bool               // the page could not be opened
	token   string             // by which the desktop lets the browser come to the front
	keeper  string             // unique name of the portal
	asked   dbus.ObjectPath    // what the portal was asked last, while it has not answered
}

// tell brings the notification in line with what waits.
func (t *teller) tell(ctx context.Context) {
	w, more := t.take()
	if w.Count <= 0 {
		t.away, t.failed = false, false
		t.close(ctx)
		return
	}
	if more || !t.away && !(t.id != 0 && w == t.last) {
		t.show(ctx, w)
	}
}

// show puts the notification up, or another in its place.
func (t *teller) show(ctx context.Context, w Waiting) {
	if t.conn == nil {
		if err := t.meet(ctx); err != nil {
			t.leave()
			t.say(State{Note: err.Error()})
			return
		}
	}
	summary, body := text(w, t.failed)
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(1))}
	var id uint32
	err := t.call(ctx, notes, notesPath, notes+".Notify",
		[]any{"Thumbturn", t.id, "dialog-password", summary, body, []string{button, "Open"}, hints, int32(0)}, &id)
	if err == nil { // it may have been started by this
		err = t.call(ctx, bus, busPath, bus+".GetNameOwner", []any{notes}, &t.owner)
	}
	if err != nil || id == 0 {
		t.nobody()
		return
	}
	t.id, t.last, t.away = id, w, false
	t.up()
}

// up says that it goes well, but for what does not.
func (t *teller) up() {
	s := State{Up: true, Shown: t.id != 0}
	if t.failed {
		s.Note = "the page could not be opened: no desktop portal does it"
	}
	t.say(s)
}

// close takes the notification away.
func (t *teller) close(ctx context.Context) {
	if t.id == 0 || t.conn == nil {
		return
	}
	_ = t.call(ctx, notes, notesPath, notes+".CloseNotification", []any{t.id}) // it may be gone
	t.id, t.token = 0, ""
	t.up()
}

// hear acts on one signal. Only the one who shows notifications counts, and only
// with our notification, whoever else may put some on the bus.
func (t *teller) hear(ctx context.Context, s *dbus.Signal) {
	if s.Sender == bus && s.Name == bus+".NameOwnerChanged" {
		t.changed(ctx, s)
		return
	}
	if t.asked != "" && s.Path == t.asked && s.Sender == t.keeper && s.Name == answer {
		t.asked = ""
		if len(s.Body) == 0 || s.Body[0] != uint32(0) && s.Body[0] != uint32(1) { // 0: done; 1: the person chose not to
			t.missed(ctx)
		}
		return
	}
	var id uint32
	if t.owner == "" || s.Sender != t.owner || s.Path != notesPath || len(s.Body) != 2 {
		return
	}
	if dbus.Store(s.Body[:1], &id) != nil || id != t.id || id == 0 {
		return
	}
	word, _ := s.Body[1].(string)
	switch s.Name {
	case notes + ".ActivationToken":
		if len(word) <= 256 {
			t.token = word
		}
	case notes + ".ActionInvoked":
		if word == button {
			t.open(ctx)
		}
	case notes + ".NotificationClosed":
		t.id, t.away, t.token = 0, true, ""
		t.up()
	}
}

// changed follows who shows notifications. What one showed goes with it, and who
// comes anew is told.
func (t *teller) changed(ctx context.Context, s *dbus.Signal) {
	var name, before, after string
	if dbus.Store(s.Body, &name, &before, &after) != nil || name != notes {
		return
	}
	if before != "" && before == t.owner {
		t.nobody()
	}
	if after != "" && t.owner == "" {
		t.tell(ctx)
	}
}

// nobody notes that nobody shows notifications.
func (t *teller) nobody() {
	t.id, t.away, t.owner, t.token = 0, false, "", ""
	t.say(State{Note: "nobody on the session bus shows notifications"})
}

// open has the desktop show the page.
func (t *teller) open(ctx context.Context) {
	ok := t.ask(ctx)
	t.token = ""
	if !ok {
		t.missed(ctx)
		return
	}
	t.failed = false
	t.up()
}

// missed says that the page was not opened, in a new notification: many desktops put
// one away when its button is pressed.
func (t *teller) missed(ctx context.Context) {
	before := t.failed
	t.failed = true
	if before {
		t.up()
		return
	}
	t.close(ctx)
	if w, _ := t.take(); w.Count > 0 {
		t.show(ctx, w)
	}
}

// ask asks the portal, and reports whether it took the address. What comes of it the
// portal says later.
func (t *teller) ask(ctx context.Context) bool {
	t.asked, t.keeper = "", ""
	if t.Page == nil {
		return false
	}
	address, err := t.Page()
	if err != nil || !page(address) {
		return false
	}
	options := map[string]dbus.Variant{}
	if t.token != "" {
		options["activation_token"] = dbus.MakeVariant(t.token)
	}
	if t.call(ctx, portal, portPath, openURI, []any{"", address, options}, &t.asked) != nil {
		return false
	}
	return t.call(ctx, bus, busPath, bus+".GetNameOwner", []any{portal}, &t.keeper) == nil
}

// meet connects, and asks for the signals.
func (t *teller) meet(ctx context.Context) error {
	if !sockets(t.Address) {
		return errors.New("there is no session bus")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	live, cut := context.WithCancel(context.Background()) // the notification is taken away after ctx
	stop := context.AfterFunc(ctx, cut)                   // a bus that does not answer is none
	conn, err := dbus.Connect(t.Address, dbus.WithAuth(dbus.AuthExternal(strconv.Itoa(os.Geteuid()))),
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()), dbus.WithContext(live))
	if !stop() || err != nil {
		cut()
		return errors.New("there is no session bus")
	}
	t.conn, t.cut, t.signals = conn, cut, make(chan *dbus.Signal, 64)
	conn.Signal(t.signals)
	for _, rule := range []string{
		"sender='" + notes + "',path='" + string(notesPath) + "',interface='" + notes + "'",
		"sender='" + portal + "',interface='org.freedesktop.portal.Request',member='Response'",
		"sender='" + bus + "',interface='" + bus + "',member='NameOwnerChanged',arg0='" + notes + "'",
	} {
		if err := t.call(ctx, bus, busPath, bus+".AddMatch", []any{"type='signal'," + rule}); err != nil {
			return errors.New("the session bus refuses signals")
		}
	}
	return nil
}

// sockets reports whether an address names Unix sockets only.
func sockets(address string) bool {
	for one := range strings.SplitSeq(address, ";") {
		if !strings.HasPrefix(one, "unix:") {
			return false
		}
	}
	return true
}

// call asks one object and stores the answer.
func (t *teller) call(ctx context.Context, to string, path dbus.ObjectPath, method string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return t.conn.Object(to, path).CallWithContext(ctx, method, 0, args...).Store(into...)
}

// leave takes the notification away and ends the connection.
func (t *teller) leave() {
	if t.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		t.close(ctx)
		cancel()
		_ = t.conn.Close()
		t.cut()
	}
	*t = teller{Desktop: t.Desktop}
	t.say(State{Note: t.State().Note})
}

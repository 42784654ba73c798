//go:build linux

package fprint

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/thumbturn/thumbturn/internal/fault"
)

const (
	bus       = "org.freedesktop.DBus"
	service   = "net.reactivated.Fprint"
	manager   = service + ".Manager"
	device    = service + ".Device"
	status    = device + ".VerifyStatus"
	ownership = bus + ".NameOwnerChanged"
	root      = dbus.ObjectPath("/net/reactivated/Fprint/Manager")
	answers   = 10 * time.Second // for one answer of the service
)

// What is told while a finger is awaited. The service has no say in the words.
const (
	now    = "now the finger: touch the fingerprint reader"
	wrong  = "that finger did not match: once more"
	unread = "the reader could not read it: once more"
)

// Verify returns nil when the user's finger was put on the reader, and an error for
// anything else. tell hears what the person is to do; nil is nobody. Whoever comes
// while another is verified is refused: a touch is for one thing.
func (r *Reader) Verify(ctx context.Context, tell func(string)) (err error) {
	if !r.busy.TryLock() {
		return inUse()
	}
	defer r.busy.Unlock()
	if tell == nil {
		tell = func(string) {}
	}
	t, err := r.meet(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.call(ctx, t.path, device+".Claim", []any{r.User}); err != nil {
		return refused(err)
	}
	defer t.end(ctx, device+".Release")
	// Only now: what was said of another's finger was said before the reader was ours.
	if err := t.listen(ctx); err != nil {
		return refused(err)
	}
	say := now
	for range tries {
		match, err := t.finger(ctx, r.patience(), say, tell)
		if match || err != nil {
			return err
		}
		say = wrong
	}
	return mismatch()
}

// Present tells which reader there is, and how many fingers are enrolled. It asks for
// no finger.
func (r *Reader) Present(ctx context.Context) (Device, error) {
	t, err := r.meet(ctx)
	if err != nil {
		return Device{}, err
	}
	defer t.close()
	var d Device
	var name dbus.Variant
	if err := t.call(ctx, t.path, bus+".Properties.Get", []any{device, "name"}, &name); err != nil {
		return d, refused(err)
	}
	d.Name, _ = name.Value().(string)
	var fingers []string
	err = t.call(ctx, t.path, device+".ListEnrolledFingers", []any{r.User}, &fingers)
	if named(err) == service+".Error.NoEnrolledPrints" {
		return d, nil
	}
	if err != nil {
		return d, refused(err)
	}
	d.Fingers = len(fingers)
	return d, nil
}

// talk is one conversation with the service.
type talk struct {
	conn    *dbus.Conn
	cancel  func()
	owner   string          // the unique name of the service: all is asked of it alone
	path    dbus.ObjectPath // the reader
	signals chan *dbus.Signal
}

// meet connects, has the bus start the service, and finds out who it is and what its
// default reader is.
func (r *Reader) meet(ctx context.Context) (*talk, error) {
	if err := ctx.Err(); err != nil {
		return nil, gaveUp()
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // Release is sent also when ctx has ended
	late := time.AfterFunc(answers, cancel)
	conn, err := dbus.Connect(r.Address, dbus.WithAuth(dbus.AuthExternal(strconv.Itoa(os.Geteuid()))),
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()), dbus.WithContext(life))
	late.Stop()
	if err != nil {
		cancel()
		return nil, fault.New(fault.Unavailable, op, "", "there is no system bus, and so no fprintd")
	}
	t := &talk{conn: conn, cancel: cancel, owner: service, signals: make(chan *dbus.Signal, 16)}
	var owner string
	err = t.call(ctx, root, manager+".GetDefaultDevice", nil, &t.path)
	if err == nil {
		err = t.ask(ctx, "GetNameOwner", service, &owner)
	}
	if err != nil {
		t.close()
		return nil, refused(err)
	}
	t.owner = owner
	return t, nil
}

func (t *talk) close() {
	_ = t.conn.Close()
	t.cancel()
}

// call asks the service, and stores the answer.
func (t *talk) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	return t.conn.Object(t.owner, path).CallWithContext(ctx, method, 0, args...).Store(into...)
}

// ask asks the bus itself.
func (t *talk) ask(ctx context.Context, method, arg string, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	return t.conn.BusObject().CallWithContext(ctx, bus+"."+method, 0, arg).Store(into...)
}

// end takes something back, whatever became of ctx. The service also does, when the
// connection ends.
func (t *talk) end(ctx context.Context, method string) {
	_ = t.call(context.WithoutCancel(ctx), t.path, method, nil)
}

func (t *talk) listen(ctx context.Context) error {
	t.conn.Signal(t.signals)
	for _, rule := range []string{
		"type='signal',sender='" + t.owner + "',path='" + string(t.path) + "',interface='" + device + "',member='VerifyStatus'",
		"type='signal',sender='" + bus + "',interface='" + bus + "',member='NameOwnerChanged',arg0='" + t.owner + "'",
	} {
		if err := t.ask(ctx, "AddMatch", rule); err != nil {
			return err
		}
	}
	return nil
}

// finger waits for one finger.
func (t *talk) finger(ctx context.Context, patience time.Duration, say string, tell func(string)) (match bool, err error) {
	if err := t.call(ctx, t.path, device+".VerifyStart", []any{"any"}); err != nil {
		return false, refused(err)
	}
	defer t.end(ctx, device+".VerifyStop")
	tell(say)
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, gaveUp()
		case <-over.C:
			return false, late()
		case s, ok := <-t.signals:
			if !ok {
				return false, gone()
			}
			if s.Sender == bus && s.Name == ownership {
				return false, gone()
			}
			if s.Sender != t.owner || s.Path != t.path || s.Name != status {
				continue // anybody on the bus may send us one
			}
			match, over, err := judge(s.Body)
			if over {
				return match, err
			}
			tell(unread)
		}
	}
}

// judge reads one VerifyStatus. What it does not know is an error.
func judge(body []any) (match, over bool, err error) {
	var result string
	var done bool
	if dbus.Store(body, &result, &done) != nil {
		return false, true, odd()
	}
	switch result {
	case "verify-match":
		if done {
			return true, true, nil
		}
	case "verify-no-match":
		if done {
			return false, true, nil
		}
	case "verify-retry-scan", "verify-swipe-too-short", "verify-too-fast", "verify-finger-not-centered", "verify-remove-and-retry":
		if !done {
			return false, false, nil
		}
	case "verify-disconnected":
		return false, true, unplugged()
	}
	return false, true, odd()
}

func odd() error { return failed("`fprintd-verify` tries it by itself") }

func gone() error {
	return fault.New(fault.Unavailable, op, "", "fprintd went away meanwhile").WithHint("do it again")
}

// named is the name of an error of the bus.
func named(err error) string {
	if e, ok := errors.AsType[dbus.Error](err); ok {
		return e.Name
	}
	return ""
}

// refused says what an answer of the service means. Its own text is not passed on.
func refused(err error) error {
	switch named(err) {
	case service + ".Error.NoSuchDevice":
		return noReader()
	case service + ".Error.NoEnrolledPrints":
		return noFinger("`fprintd-enroll` enrols one")
	case service + ".Error.PermissionDenied":
		return fault.New(fault.Denied, op, "", "this daemon may not use the fingerprint reader").
			WithHint("polkit lets programs of the session at the screen use it; over SSH, and for a system service, it takes a rule: docs/passkeys.md")
	case service + ".Error.AlreadyInUse":
		return inUse()
	case bus + ".Error.ServiceUnknown", bus + ".Error.NameHasNoOwner":
		return fault.New(fault.Unavailable, op, "", "there is no fprintd on the system bus").WithHint("install the package fprintd")
	}
	return fault.Wrap(fault.Unavailable, op, "", errors.New("fprintd did not answer")).WithHint("`fprintd-verify` tries it by itself")
}

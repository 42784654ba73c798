// Package desktop tells the person at the machine that a request waits, by one
// notification with a button that opens the page where it is decided.
//
// A notification can only open that page: it never approves, for any program of the
// login session may be able to press its buttons. All its text is fixed here; of a
// request it shows nothing but the short code, which callers do not choose. No
// process is started: the page is opened by the desktop's portal, which hands the
// address to the browser, where other programs of the same user may read it. So the
// address must be worth nothing to them for longer than it takes to open.
package desktop

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Waiting is what there is to tell.
type Waiting struct {
	Count int    // how many requests wait; none closes the notification
	Code  string // of the newest one
}

// State is how the telling goes, for whoever asks. The zero State says that there
// was nothing to tell yet.
type State struct {
	Up    bool   // the desktop takes notifications
	Shown bool   // one of ours is there now
	Note  string // why it is not told, or what is missing all the same
}

// Desktop tells one desktop. Run does it; Notify says what. There is never more than
// one notification: it is replaced as the number changes. One that the person put
// away comes back only when one more request waits.
type Desktop struct {
	// Address of the session bus, as DBUS_SESSION_BUS_ADDRESS has it. Only Unix
	// sockets count, since other kinds of address can mean another machine.
	Address string
	// Page makes the address to open, at each press of the button.
	Page func() (string, error)

	once  sync.Once
	bell  chan struct{} // full: there is something new
	mu    sync.Mutex
	now   Waiting
	more  bool // it became more since it was last taken
	state State
}

// Notify says what waits now. It does not block; of several in a row, the last
// counts. Where there is no desktop, nothing comes of it but the note in State.
func (d *Desktop) Notify(w Waiting) {
	d.mu.Lock()
	d.more = d.more || w.Count > d.now.Count
	d.now = w
	d.mu.Unlock()
	select {
	case d.ring() <- struct{}{}:
	default:
	}
}

// State tells how it goes.
func (d *Desktop) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

func (d *Desktop) ring() chan struct{} {
	d.once.Do(func() { d.bell = make(chan struct{}, 1) })
	return d.bell
}

// take returns what waits, and whether it became more since it was last taken.
func (d *Desktop) take() (w Waiting, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	more, d.more = d.more, false
	return d.now, more
}

func (d *Desktop) say(s State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = s
}

// text is what a notification says. A code of another form than ours is left out:
// it could be somebody's words.
func text(w Waiting, failed bool) (summary, body string) {
	summary = "A request waits for you"
	if w.Count > 1 {
		summary = strconv.Itoa(w.Count) + " requests wait for you"
	}
	if plain(w.Code) {
		body = "Code " + w.Code + ". Compare it with the page."
		if w.Count > 1 {
			body = "The newest has the code " + w.Code + ". Compare it with the page."
		}
	}
	if failed {
		body = strings.TrimSpace(body + " The page could not be opened from here: run thumbturn requests.")
	}
	return summary, body
}

// plain reports whether a code has the form of ours, "k3f9-2xq7": eight digits and
// letters that nobody mistakes, in two groups.
func plain(code string) bool {
	if len(code) != 9 || code[4] != '-' {
		return false
	}
	return strings.Trim(code[:4]+code[5:], "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// page reports whether an address is one to open: a page of this machine, or one of
// a server by HTTPS.
func page(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || len(address) > 2048 {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return u.Scheme == "http" && (host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback())
}

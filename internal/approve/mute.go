package approve

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Limits of a mute: a person's wish that one session asks no more for a while.
const (
	maxMute = 24 * time.Hour
	mutes   = 32 // at once
	told    = 64 // refusals under one mute that are worth an event each
)

// mute is in force for one session root.
type mute struct {
	deadline
	ticket  Ticket // the request that was denied with it; its id is the mute's
	refused int
}

// Muted is a mute as it is shown.
type Muted struct {
	Ticket
	Until   time.Time
	Refused int // requests since
}

// errRepeated marks a refusal that says nothing new.
var errRepeated = errors.New("muted")

// Repeated reports whether an error is one more refusal of a session that was
// told often enough: a flood must not fill the ledger.
func Repeated(err error) bool { return errors.Is(err, errRepeated) }

// Mute refuses a pending request and whatever else its session waits for, and
// parks nothing of that session for a time. It returns the refused requests.
func (d *Desk) Mute(id string, life time.Duration) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	e, ok := d.entries[id]
	switch {
	case !ok:
		return nil, gone(id)
	case e.State != Pending:
		return nil, fault.New(fault.Conflict, "deny", id, "the request is "+string(e.State))
	case life <= 0 || life > maxMute:
		return nil, fault.New(fault.Usage, "deny", id, "a session is muted for 24 hours at most")
	case len(d.muted) >= mutes:
		return nil, fault.New(fault.Denied, "deny", id, "too many sessions are muted").WithHint("see `thumbturn requests`")
	}
	var refused []string
	for _, x := range d.entries {
		if x.Owner == e.Owner && x.State == Pending {
			d.finish(x, Denied)
			refused = append(refused, x.ID)
		}
	}
	slices.Sort(refused)
	d.muted[e.Owner] = &mute{deadline: d.after(life), ticket: e.Ticket}
	return refused, nil
}

// Unmute takes a mute back, by its id.
func (d *Desk) Unmute(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	for owner, m := range d.muted {
		if m.ticket.ID == id {
			delete(d.muted, owner)
			d.change()
			return nil
		}
	}
	return fault.New(fault.NotFound, "requests", id, "no session is muted by that id").WithHint("`thumbturn requests` lists them")
}

// Muted lists the mutes in force.
func (d *Desk) Muted() []Muted {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	out := make([]Muted, 0, len(d.muted))
	for _, m := range d.muted {
		out = append(out, Muted{Ticket: m.ticket, Until: m.wall, Refused: m.refused})
	}
	slices.SortFunc(out, func(a, b Muted) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// silenced refuses what a muted session asks. Caller holds mu and has swept.
func (d *Desk) silenced(t Ticket) error {
	m := d.muted[t.Owner]
	if m == nil {
		return nil
	}
	m.refused++
	var cause error
	if m.refused > told {
		cause = errRepeated
	} else { // a flood wakes nobody
		d.change()
	}
	e := fault.Wrap(fault.Denied, "ask", t.ID, cause)
	e.Msg = "a person wants no more requests of this session until " + m.wall.UTC().Format(time.RFC3339)
	return e.WithHint("go on without it; a person takes that back with: thumbturn requests --unmute " + m.ticket.ID)
}

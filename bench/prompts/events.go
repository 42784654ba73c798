package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
)

// reading is what the ledger says of a replay so far.
type reading struct {
	*play
	out      []done
	answered []bool           // lines that have a decision
	yes      map[gesture]bool // approvals
	no       int              // denials by the person
}

// gesture is what the approvals have in common that one passphrase gave: the time at
// which it was given, by the moved clock, the session that had asked, and whether a
// lease came with it.
type gesture struct {
	at      int64
	session string
	lease   bool
}

// read tells from the ledger what became of each line. What it says of a request
// that no line made, and what it does not say though it was seen, is a defect.
func (p *play) read(events []canon.Event) ([]done, error) {
	r := &reading{play: p, out: make([]done, len(p.t.lines)), answered: make([]bool, len(p.t.lines)), yes: map[gesture]bool{}}
	delivered, denials := 0, 0
	for _, ev := range events {
		switch {
		case ev.Type == canon.EventOutcome && ev.Outcome == "delivered":
			delivered++
		case ev.Type == canon.EventDenial:
			denials++
		}
		if err := r.event(ev); err != nil {
			return nil, err
		}
	}
	if len(r.yes)+r.no != p.gestures {
		return nil, fmt.Errorf("the ledger has %d approvals at once and %d denials, and the person made %d gestures", len(r.yes), r.no, p.gestures)
	}
	for n, saw := range p.saw {
		d := &r.out[n]
		d.Refused, saw.Leased, saw.Hour = saw.Refused, d.Leased, d.Hour
		if saw != *d {
			return nil, fmt.Errorf("line %d: seen was %+v, and the ledger says %+v", n+2, saw, *d)
		}
		if saw.Refused || saw.Denied { // who comes back after a no is refused
			denials--
		}
		if d.Released {
			delivered--
		}
	}
	if delivered != 0 || denials != 0 {
		return nil, fmt.Errorf("the ledger has %d deliveries and %d denials more than were seen", delivered, denials)
	}
	return r.out, nil
}

// event takes one event.
func (r *reading) event(ev canon.Event) error {
	decided, released := ev.Type == canon.EventDecision, ev.Type == canon.EventIntent && ev.Outcome == "allowed"
	if !decided && !released {
		return nil
	}
	n, ok := r.requests[ev.Request]
	if !ok {
		return fmt.Errorf("the ledger has a %s of request %s, which no line made", ev.Type, ev.Request)
	}
	d := &r.out[n]
	if released {
		var asked canon.Request
		if err := canon.Decode(ev.Raw, &asked); err != nil || d.Released {
			return fmt.Errorf("line %d: a second intent, or none that can be read: %w", n+2, err)
		}
		d.Released, d.Leased = true, ev.Lease != ""
		d.Free = asked.Place.Free && len(r.t.job(r.t.lines[n], r.project).more) > 0
		return nil
	}
	if r.answered[n] && r.t.lines[n].Do != doAsk {
		return fmt.Errorf("line %d: a second answer", n+2)
	}
	r.answered[n] = true
	switch hour := int(r.h.Clock.Since(ev.Time) / time.Hour); ev.Outcome {
	case "denied":
		r.no++
		d.Asked, d.Denied, d.Hour = true, true, hour
		return nil
	case "approved":
		return r.approved(n, hour, ev)
	}
	return fmt.Errorf("line %d: nobody answered: %s", n+2, ev.Outcome)
}

// approved takes an approval: the first of a gesture counts.
func (r *reading) approved(n, hour int, ev canon.Event) error {
	var proof approve.Evidence
	if err := json.Unmarshal(ev.Proof, &proof); err != nil {
		return fmt.Errorf("line %d: %w", n+2, err)
	}
	g := gesture{proof.Time, r.t.top(r.t.lines[n].Who).Name, proof.Lease != nil}
	d := &r.out[n]
	if d.Hour = hour; !r.yes[g] {
		r.yes[g], d.Asked, d.Beside = true, true, false
	} else if !d.Asked {
		d.Beside = true
	}
	if r.t.lines[n].Do == doAsk && g.lease {
		d.Given++
	}
	return nil
}

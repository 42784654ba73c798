package main

import (
	"context"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// waiting is one request for a person, and what its actor comes back with.
type waiting struct {
	n       int // of the line
	job     line
	reserve bool // for a lease alone
	id      string
}

// question is what one session asked for within a moment. It is answered at the end
// of that moment, all of it that a person lets pass as one gesture.
type question struct {
	session string
	due     time.Duration
	of      []waiting
}

// park adds what waits to the open question of its session.
func (p *play) park(w waiting) {
	session := p.t.top(w.job.Who).Name
	for _, q := range p.open {
		if q.session == session {
			q.of = append(q.of, w)
			return
		}
	}
	p.open = append(p.open, &question{session, w.job.at + p.together, []waiting{w}})
}

// answers lets the scripted person answer what is due before a time.
func (p *play) answers(ctx context.Context, at time.Duration) error {
	for len(p.open) > 0 && p.open[0].due < at {
		q := p.open[0]
		p.open = p.open[1:]
		p.h.Clock.To(q.due)
		if err := p.answer(ctx, q.of); err != nil {
			return err
		}
	}
	return nil
}

// answer is the scripted person at the real desk. Each no is an act of its own; what
// may have a lease and what may not are two gestures, as they are at a terminal.
func (p *play) answer(ctx context.Context, of []waiting) error {
	var leased, once []waiting
	for _, w := range of {
		t, err := p.h.Broker.Request(w.id)
		if err != nil {
			return err
		}
		var r canon.Request
		if err := canon.Decode(t.Raw, &r); err != nil {
			return err
		}
		switch {
		case reads(r, p.t.lines[w.n].Tell):
			p.saw[w.n].Asked, p.saw[w.n].Denied = true, true
			p.gestures++
			if err := p.h.Deny(ctx, w.id); err != nil {
				return err
			}
		case t.Lease > 0:
			leased = append(leased, w)
		default:
			once = append(once, w)
		}
	}
	given := approve.Lease{Until: p.h.Clock.Now().Add(p.life).UnixMilli(), Uses: p.uses}
	if err := p.yes(ctx, leased, given); err != nil {
		return err
	}
	if err := p.yes(ctx, once, approve.Lease{}); err != nil {
		return err
	}
	for _, w := range of {
		if err := p.ask(ctx, w); err != nil && !(p.saw[w.n].Denied && fault.Is(err, fault.Denied)) {
			return err
		}
	}
	return nil
}

// yes approves requests with one gesture.
func (p *play) yes(ctx context.Context, all []waiting, given approve.Lease) error {
	if len(all) == 0 {
		return nil
	}
	var ids []string
	for i, w := range all {
		ids = append(ids, w.id)
		if saw := &p.saw[w.n]; i == 0 {
			saw.Asked, saw.Beside = true, false
		} else if !saw.Asked {
			saw.Beside = true
		}
	}
	p.gestures++
	return p.h.Approve(ctx, ids, given)
}

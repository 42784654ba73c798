package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/local"
	"github.com/thumbturn/thumbturn/ref"
)

// done is what became of one line.
type done struct {
	Asked    bool // a person was asked, and answered
	Beside   bool // the same answer was to another line too
	Denied   bool // by that person
	Refused  bool // without asking anybody
	Released bool // values went out
	Leased   bool // under what a person gave before: a lease, or an open window
	Hour     int  // of the answer
}

// play is one replay through a real broker.
type play struct {
	t        *trace
	h        *home
	requests map[string]int // request id to the line that made it
	saw      []done         // what the actors and the person saw of each line
}

// replay passes a trace through a broker of its own and returns what its ledger
// says of each line.
func replay(ctx context.Context, t *trace) (out []done, err error) {
	dir, err := os.MkdirTemp("", "thumbturn-prompts-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h, err := newHome(ctx, dir, newCast(t.Actors))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	if err := h.govern(ctx, t.refs()); err != nil {
		return nil, err
	}
	p := &play{t: t, h: h, requests: map[string]int{}, saw: make([]done, len(t.lines))}
	from := h.settle()
	for n, l := range t.lines {
		h.clock.to(l.at)
		if err := p.line(ctx, n, l); err != nil {
			return nil, fmt.Errorf("line %d, at %s: %w", n+2, l.At, err)
		}
	}
	h.settle()
	events, err := h.events(ctx, from)
	if err != nil {
		return nil, err
	}
	return p.read(events)
}

// line lets one actor ask, and a person answer where one is asked.
func (p *play) line(ctx context.Context, n int, l line) error {
	err := p.ask(ctx, n, l, "")
	id, ok := waits(err)
	if ok {
		p.requests[id] = n
		if err := p.answer(ctx, id, n, l); err != nil {
			return err
		}
		err = p.ask(ctx, n, l, id)
	}
	switch {
	case err == nil || ok && fault.Is(err, fault.Denied): // a person's no
		return nil
	case fault.Is(err, fault.Denied):
		p.saw[n].Refused = true
		return nil
	}
	return err
}

// answer is the scripted person at the real desk.
func (p *play) answer(ctx context.Context, id string, n int, l line) error {
	t, err := p.h.broker.Request(id)
	if err != nil {
		return err
	}
	var r canon.Request
	if err := canon.Decode(t.Raw, &r); err != nil {
		return err
	}
	var given approve.Lease
	if t.Lease > 0 {
		given = approve.Lease{Until: p.h.clock.Now().Add(min(t.Lease, leaseLife)).UnixMilli(), Uses: leaseUses}
	}
	p.saw[n].Asked, p.saw[n].Denied = true, reads(r, l.Tell)
	return p.h.answer(ctx, id, !p.saw[n].Denied, given)
}

// ask is what the actor's thumbturn asks of the broker, the second time with the
// id of the request that was answered.
func (p *play) ask(ctx context.Context, n int, l line, id string) error {
	argv := []string{"thumbturn", l.Do}
	if l.Do == doRun {
		argv = append(append(argv, "--"), l.Argv...)
	}
	a := broker.Ask{NoWait: true, Request: id}
	return p.h.as(ctx, p.h.cast.asks[l.Who], argv, func(who identity.Caller, client, server *local.Conn) error {
		switch l.Do {
		case doList:
			_, err := p.h.broker.Vaults(who)
			return err
		case doPut:
			return p.h.put(ctx, who, a, l.Refs[0], nil)
		case doBind:
			return p.h.put(ctx, who, a, l.Refs[0], []string{"https://" + strings.ReplaceAll(l.At, ".", "-") + ".example"})
		}
		to := reveal.To(server, api.Program{}, nil, false)
		if l.Do == doRun {
			prog := program(l)
			to = handoff.To(server, prog, broker.ShownArgs(prog.Argv), variables(l.Refs))
		}
		w := broker.Want{Ask: a}
		for _, x := range l.Refs {
			r, err := ref.Parse(x)
			if err != nil {
				return err
			}
			w.Refs = append(w.Refs, r)
		}
		got, err := p.h.broker.Release(ctx, who, w, to)
		if err != nil {
			return err
		}
		p.requests[got.Request] = n
		p.saw[n].Released = true
		return arrived(client, len(l.Refs))
	})
}

// arrived reads what came out of the broker: as many values as were asked for.
func arrived(client *local.Conn, n int) error {
	if err := client.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	hd, err := api.ReadHeader(client)
	if err != nil || hd.Values != n {
		return fmt.Errorf("%d values came for %d references: %w", hd.Values, n, err)
	}
	for range n {
		if b, err := api.ReadValue(client); err != nil || !strings.HasPrefix(string(b), "value of op://") {
			return fmt.Errorf("not the value: %w", err)
		}
	}
	return nil
}

// program is what thumbturn reports of the program of a line: a file with a text,
// found on the PATH unless its name says where.
func program(l line) api.Program {
	at := "/usr/bin/" + l.Argv[0]
	if strings.Contains(l.Argv[0], "/") {
		at = path.Join(l.Dir, l.Argv[0])
	}
	sum := sum(fmt.Sprintf("%s %d", at, l.Text))
	p := api.Program{Path: at, Hash: sum, File: "1:" + sum[:8], Argv: l.Argv, Dir: l.Dir}
	if strings.HasSuffix(at, ".sh") {
		p.Interpreter, p.IntHash, p.IntFile = "/bin/sh", sum2sh, "1:2"
	}
	return p
}

const sum2sh = "0000000000000000000000000000000000000000000000000000000000005511"

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// variables are the names under which a program gets references.
func variables(refs []string) []string {
	names := make([]string, len(refs))
	for i, x := range refs {
		names[i] = strings.ToUpper(strings.NewReplacer("op://", "", "/", "_", "-", "_").Replace(x))
	}
	return names
}

// read tells from the ledger what became of each line. What it says of a request
// that no line made, and what it does not say though it was seen, is a defect.
func (p *play) read(events []canon.Event) ([]done, error) {
	out := make([]done, len(p.t.lines))
	delivered, denials := 0, 0
	for _, ev := range events {
		decided, released := ev.Type == canon.EventDecision, ev.Type == canon.EventIntent && ev.Outcome == "allowed"
		switch {
		case ev.Type == canon.EventOutcome && ev.Outcome == "delivered":
			delivered++
		case ev.Type == canon.EventDenial:
			denials++
		}
		if !decided && !released {
			continue
		}
		n, ok := p.requests[ev.Request]
		if !ok {
			return nil, fmt.Errorf("the ledger has a %s of request %s, which no line made", ev.Type, ev.Request)
		}
		d := &out[n]
		switch {
		case released && d.Released, decided && d.Asked:
			return nil, fmt.Errorf("line %d: a second %s", n+2, ev.Type)
		case released:
			d.Released, d.Leased = true, ev.Lease != ""
		case ev.Outcome == "approved" || ev.Outcome == "denied":
			d.Asked, d.Denied = true, ev.Outcome == "denied"
			d.Hour = int(time.UnixMilli(ev.Time).Sub(p.h.clock.from) / time.Hour)
		default:
			return nil, fmt.Errorf("line %d: nobody answered: %s", n+2, ev.Outcome)
		}
	}
	for n, saw := range p.saw {
		d := &out[n]
		if saw.Asked != d.Asked || saw.Denied != d.Denied || saw.Released != d.Released {
			return nil, fmt.Errorf("line %d: seen was %+v, and the ledger says %+v", n+2, saw, *d)
		}
		if d.Refused = saw.Refused; saw.Refused || saw.Denied { // who comes back after a no is refused
			denials--
		}
		if d.Released {
			delivered--
		}
	}
	if delivered != 0 || denials != 0 {
		return nil, fmt.Errorf("the ledger has %d deliveries and %d denials more than were seen", delivered, denials)
	}
	return out, nil
}

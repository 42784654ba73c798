package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/bench/prompts/home"
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
	Beside   bool // the same answer was to an earlier line too
	Denied   bool // by that person
	Refused  bool // without asking anybody
	Released bool // values went out
	Leased   bool // under what a person gave before: a lease, or an open window
	Free     bool // with further arguments, which no request showed
	Given    int  // leases, to one that asks for its project's tasks
	Hour     int  // of the answer
}

// play is one replay through a real broker.
type play struct {
	setup
	t        *trace
	h        *home.Home
	requests map[string]int // request id to the line that made it
	saw      []done         // what the actors and the person saw of each line
	open     []*question    // in the order of their first
	gestures int            // of the person: approvals by one passphrase each, and denials
}

// replay passes a trace through a broker of its own and returns what its ledger
// says of each line.
func replay(ctx context.Context, t *trace, s setup) (out []done, err error) {
	dir, err := os.MkdirTemp("", "thumbturn-prompts-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, events, err := played(ctx, dir, t, s)
	if err != nil {
		return nil, err
	}
	return p.read(events)
}

// played is a trace that passed through a broker in dir, and the events of its ledger.
func played(ctx context.Context, dir string, t *trace, s setup) (p *play, events []canon.Event, err error) {
	h, err := home.New(ctx, dir, t.Actors)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	if err := h.Govern(ctx, t.refs(), s.life); err != nil {
		return nil, nil, err
	}
	p = &play{setup: s, t: t, h: h, requests: map[string]int{}, saw: make([]done, len(t.lines))}
	from := h.Settle()
	for n, l := range t.lines {
		if err := p.line(ctx, n, l); err != nil {
			return nil, nil, fmt.Errorf("line %d, at %s: %w", n+2, l.At, err)
		}
	}
	if err := p.answers(ctx, math.MaxInt64); err != nil {
		return nil, nil, err
	}
	h.Settle()
	events, err = h.Events(ctx, from)
	return p, events, err
}

// line lets one actor ask. What waits for a person before its time is answered first.
func (p *play) line(ctx context.Context, n int, l line) error {
	if err := p.answers(ctx, l.at); err != nil {
		return err
	}
	p.h.Clock.To(l.at)
	jobs := []line{p.t.job(l, p.project)}
	if l.Do == doAsk {
		if jobs = nil; p.project {
			jobs = p.t.jobs(l)
		}
	}
	for _, job := range jobs {
		w := waiting{n: n, job: job, reserve: l.Do == doAsk}
		err := p.ask(ctx, w)
		id, ok := home.Waits(err)
		switch {
		case ok:
			w.id, p.requests[id] = id, n
			p.park(w)
		case fault.Is(err, fault.Denied):
			p.saw[n].Refused = true
		case err != nil:
			return err
		}
	}
	if p.together == 0 {
		return p.answers(ctx, math.MaxInt64)
	}
	return nil
}

// ask is what the actor's thumbturn asks of the broker, the second time with the
// id of the request that was answered.
func (p *play) ask(ctx context.Context, x waiting) error {
	l, a := x.job, broker.Ask{NoWait: true, Request: x.id}
	argv := arguments(l)
	if x.reserve {
		argv = arguments(line{Do: doAsk})
	}
	return p.h.Asks(ctx, l.Who, argv, func(who identity.Caller, client, server *local.Conn) error {
		switch l.Do {
		case doList:
			_, err := p.h.Broker.Vaults(who)
			return err
		case doPut:
			return p.h.Put(ctx, who, a, l.Refs[0], nil)
		case doBind:
			return p.h.Put(ctx, who, a, l.Refs[0], []string{"https://" + strings.ReplaceAll(l.At, ".", "-") + ".example"})
		}
		to := reveal.To(server, api.Program{}, nil, false)
		if l.Do == doRun {
			prog := program(l)
			to = handoff.To(server, prog, broker.ShownArgs(prog.Argv), home.Variables(l.Refs))
		}
		w := broker.Want{Ask: a}
		for _, x := range l.Refs {
			r, err := ref.Parse(x)
			if err != nil {
				return err
			}
			w.Refs = append(w.Refs, r)
		}
		if x.reserve {
			w.File = p.t.file(l)
			got, err := p.h.Broker.Reserve(ctx, who, w, to)
			if err == nil && got.Request.ID != "" {
				p.saw[x.n].Given++
			}
			return err
		}
		got, err := p.h.Broker.Release(ctx, who, w, to)
		if err != nil {
			return err
		}
		p.requests[got.Request] = x.n
		p.saw[x.n].Released, p.saw[x.n].Free = true, len(l.more) > 0
		return home.Arrived(client, len(l.Refs))
	})
}

// program is what thumbturn reports of the program of a line: a file with a text,
// found on the PATH unless its name says where.
func program(l line) api.Program {
	at := "/usr/bin/" + l.Argv[0]
	if strings.Contains(l.Argv[0], "/") {
		at = path.Join(l.Dir, l.Argv[0])
	}
	sum := sum(fmt.Sprintf("%s %d", at, l.Text))
	p := api.Program{Path: at, Hash: sum, File: "1:" + sum[:8], Argv: l.Argv, Dir: l.Dir, Free: l.free}
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

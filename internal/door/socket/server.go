// Package socket is the door for Thumbturn's own programs: length-prefixed
// frames on a local connection (spec/socket.md). It turns a connection into a Caller,
// a message into a Want, and an answer into frames. It decides nothing.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/local"
)

// maxConns bounds the connections served at once; more wait in the backlog.
const maxConns = 256

// patience is how long a peer that does not read is waited for.
const patience = 30 * time.Second

// parting is how long the last answers may take.
const parting = time.Second

// idle is how long a connection may stay without a message.
const idle = 10 * time.Minute

// Server serves one account on one listener.
type Server struct {
	Account *account.Account
	Broker  *broker.Broker
	Sign    func(msg []byte) []byte // device key; nil while there is no device
	Status  func() api.Status       // what the process knows of itself
	End     func(again bool)        // asks the process to end: to start again (lock), or for good
	Replace func(swap func() error) // asks the process to swap the database once it is closed, and to start again
	Log     func(format string, args ...any)
	Config  string // the folder of the daemon's settings
	Stop    func() // stops accepting; who comes then waits for the next process
	Pages   Pages  // the approval page; nil where there is none

	table map[api.Op]handler
	peers
}

// Serve accepts until the listener is closed or its deadline is over, and then
// waits for no one: Shut does.
func (s *Server) Serve(ctx context.Context, l *local.Listener) error {
	s.table = handlers()
	sem := make(chan struct{}, maxConns)
	for {
		sem <- struct{}{}
		c, err := local.Accept(l)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if !s.track(c, true) {
			_ = c.Close()
			return os.ErrDeadlineExceeded
		}
		go func() {
			defer func() { s.track(c, false); _ = c.Close(); <-sem }()
			s.serve(ctx, c)
		}()
	}
}

// call is one message being answered.
type call struct {
	s      *Server
	ctx    context.Context
	conn   *local.Conn
	who    identity.Caller
	head   api.Header
	values [][]byte
	sent   bool // a sink has answered already
	torn   bool // a stream broke off: what follows is no message
}

// serve answers one connection. Who is at the other end is established once, at
// accept; the broker reads the evidence again before a prompt and before
// delivery.
func (s *Server) serve(ctx context.Context, conn *local.Conn) {
	who, err := s.Account.Who().Caller(ctx, conn)
	if err != nil {
		who.Close() // a stranger comes with his evidence
		_ = api.WriteMessage(conn, failure(err))
		return
	}
	defer who.Close()
	for {
		_ = conn.SetReadDeadline(time.Now().Add(idle))
		h, err := api.ReadHeader(conn)
		if err != nil {
			if errors.Is(err, api.ErrFrame) {
				_ = api.WriteMessage(conn, failure(fault.Wrap(fault.Protocol, "socket", "", err)))
			}
			return
		}
		c := &call{s: s, ctx: ctx, conn: conn, head: h, who: who}
		err = c.answer()
		for _, v := range c.values {
			clear(v)
		}
		if err != nil && !c.sent {
			_ = conn.SetWriteDeadline(time.Now().Add(patience))
			if err := api.WriteMessage(conn, failure(err)); err != nil {
				return
			}
		}
		if c.torn || c.sent && err != nil {
			return // a reply broke off: the peer must not take the next one for its end
		}
	}
}

// answer reads the values of a message, establishes who sent it, and hands it
// to its handler.
func (c *call) answer() error {
	if c.head.V != api.Version {
		return fault.New(fault.Protocol, "socket", "", "the client speaks another version of the protocol").
			WithHint("both must be of one release: end the daemon with `thumbturn daemon stop`, which closes its vaults, and try again")
	}
	for range c.head.Values {
		v, err := api.ReadValue(c.conn)
		if err != nil {
			return fault.New(fault.Protocol, "socket", "", "a value is missing")
		}
		c.values = append(c.values, v)
	}
	h, ok := c.s.table[c.head.Op]
	if !ok {
		return fault.New(fault.Protocol, "socket", string(c.head.Op), "unknown operation").WithHint("is the daemon older than the client? `thumbturn daemon stop`, then try again")
	}
	if h.values >= 0 && len(c.values) != h.values || len(c.head.Streams) > 0 && h.values >= 0 {
		return fault.New(fault.Protocol, "socket", string(c.head.Op), "wrong number of values")
	}
	if err := c.allowed(h); err != nil {
		return err
	}
	return h.run(c)
}

// allowed serves exactly what each state serves.
func (c *call) allowed(h handler) error {
	state := c.s.Account.State()
	if slices.Contains(h.states, state) {
		// Whoever only looks how things are does not keep the vaults open; nor does an
		// agent, but by what is delivered to it.
		if (len(h.states) == 1 || c.head.Op == api.OpRelease) && state == api.StateUnlocked && c.who.Kind() == identity.Person {
			c.s.Account.Used()
		}
		return nil
	}
	switch state {
	case api.StateEmpty:
		return fault.New(fault.Empty, string(c.head.Op), "", "this home has no account yet").WithHint("run `thumbturn init`")
	case api.StateHeld:
		return c.s.Account.Held(string(c.head.Op))
	case api.StateLocked:
		c.s.Broker.RefuseLocked(c.who, string(c.head.Op))
		return fault.New(fault.Locked, string(c.head.Op), "", "the vaults are locked").WithHint("run `thumbturn unlock` in a terminal")
	}
	return fault.New(fault.Exists, string(c.head.Op), "", "this home has an account already")
}

// body decodes a message's body strictly.
func body[T any](c *call) (T, error) {
	var v T
	if len(c.head.Body) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(c.head.Body, &v); err != nil {
		return v, fault.New(fault.Protocol, string(c.head.Op), "", "malformed message")
	}
	return v, nil
}

// reply sends the last message of a reply.
func (c *call) reply(v any, values ...[]byte) error { return c.send(v, false, values...) }

// more sends an interim message.
func (c *call) more(v any) error { return c.send(v, true) }

func (c *call) send(v any, more bool, values ...[]byte) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if !more {
		c.sent = true
	}
	return api.WriteMessage(c.conn, api.Header{Body: b, More: more}, values...)
}

func failure(err error) api.Header {
	e := fault.Stranger(err)
	return api.Header{Error: &api.Error{Kind: string(e.Kind), Op: e.Op, Ref: e.Ref, Msg: e.Msg, Hint: e.Hint}}
}

// ask turns a message's wish to wait into the broker's, telling the client when
// a person is awaited and giving up when the client goes.
func (c *call) ask(a api.Ask) (broker.Ask, context.Context, func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	stop := func() {}
	out := broker.Ask{NoWait: a.NoWait, Request: a.Request, Purpose: a.Purpose, Timeout: time.Duration(a.Timeout) * time.Millisecond}
	out.Waiting = func(t approve.Ticket) (func(), error) {
		stop = c.watch(cancel)
		w := api.Waiting{Request: t.ID, Code: canon.ShortCode(t.Digest), Expires: t.Issued + 5*60*1000, Why: t.Why}
		if c.s.Pages != nil {
			w.URL = c.s.Pages.Address()
		}
		return stop, c.more(w)
	}
	out.Tell = func(text string) {
		stop() // of an earlier word
		stop = c.watch(cancel)
		_ = c.more(api.Waiting{Finger: text}) // whoever does not hear it is gone, and that is watched
	}
	return out, ctx, func() { stop(); cancel() }
}

// typed is ask for an act of a person, who typed what in says.
func (c *call) typed(in api.Auth) (broker.Ask, context.Context, func()) {
	ask, ctx, stop := c.ask(api.Ask{})
	ask.Typed = canon.SlotKind(in.Kind)
	return ask, ctx, stop
}

// watch cancels when the peer closes its end. The returned function ends the
// watch and waits for it.
func (c *call) watch(cancel func()) func() {
	done := make(chan struct{})
	_ = c.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(done)
		if local.Gone(c.conn) {
			cancel()
		}
	}()
	return func() {
		_ = c.conn.SetReadDeadline(time.Now())
		<-done
		_ = c.conn.SetReadDeadline(time.Time{})
	}
}

// prove answers a hello: the device key over the client's nonce.
func (s *Server) prove(nonce []byte) []byte {
	if s.Sign == nil || len(nonce) != 32 {
		return nil
	}
	return s.Sign(append([]byte(canon.DomainHello), nonce...))
}

package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"github.com/thumbturn/thumbturn/api"
)

// reply says what to do with the messages of an answer. Fields may be nil.
type reply struct {
	into    any                         // decoded from the last message
	values  int                         // value frames that the last message must carry
	got     *[][]byte                   // they go here
	waiting func(api.Waiting)           // an interim message of a call that may wait
	long    []Long                      // streams of the request, sent when they are asked for
	to      Opener                      // the one value goes here, whole or in parts
	each    func(json.RawMessage) error // a message of a stream: an array, also in the last one
}

// call sends one request and reads its whole answer. Values are read straight
// from the socket, with no buffer in between that would keep a copy.
func (c *Client) call(ctx context.Context, op api.Op, body any, values [][]byte, r reply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return &api.Error{Kind: kindUnavailable, Op: string(op), Msg: "the connection was given up earlier"}
	}
	if err := ctx.Err(); err != nil {
		return &api.Error{Kind: kindUnavailable, Op: string(op), Msg: "cancelled"}
	}
	defer watch(ctx, c.conn)()
	err := c.send(op, body, values, r.long)
	if err == nil {
		err = c.receive(r)
	}
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*remote](err); ok {
		return e.err
	}
	c.broken = true
	c.conn.Close()
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*local](err); ok {
		return e.err
	}
	if ctx.Err() != nil {
		return &api.Error{Kind: kindUnavailable, Op: string(op), Msg: "cancelled"}
	}
	if errors.Is(err, api.ErrFrame) {
		return &api.Error{Kind: kindProtocol, Op: string(op), Msg: "the daemon's answer is malformed"}
	}
	return &api.Error{Kind: kindUnavailable, Op: string(op), Msg: lostMsg}
}

// remote is an answered failure: the connection stays good.
type remote struct{ err *api.Error }

func (r *remote) Error() string { return r.err.Error() }

// local is a failure of what the caller gave: it ends the connection, and is
// returned as it is.
type local struct{ err error }

func (l *local) Error() string { return l.err.Error() }

// watch makes pending reads and writes fail when ctx ends. The function that it
// returns ends the watching and waits for it.
func watch(ctx context.Context, conn net.Conn) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

func (c *Client) send(op api.Op, body any, values [][]byte, long []Long) error {
	h := api.Header{Op: op}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		h.Body = b
	}
	for _, v := range values {
		if len(v) > api.MaxValue {
			return refused(op, "a value is larger than the daemon accepts")
		}
	}
	if len(values) > api.MaxValues || len(long) > api.MaxStreams {
		return refused(op, "too many values in one request")
	}
	for _, l := range long {
		if l.Size <= api.MaxValue || l.Size > api.MaxStream {
			return refused(op, "a stream is shorter or longer than the daemon accepts")
		}
		h.Streams = append(h.Streams, l.Size)
	}
	return api.WriteMessage(c.conn, h, values...)
}

// refused is a failure found before anything was sent.
func refused(op api.Op, msg string) error {
	return &remote{&api.Error{Kind: kindUsage, Op: string(op), Msg: msg}}
}

func (c *Client) receive(r reply) error {
	for {
		h, err := api.ReadHeader(c.conn)
		if err != nil {
			return err
		}
		if h.V != api.Version {
			return versionError()
		}
		if h.Error != nil {
			return &remote{h.Error}
		}
		if h.More {
			if err := c.interim(r, h); err != nil {
				return err
			}
			continue
		}
		return c.last(r, h)
	}
}

func (c *Client) interim(r reply, h api.Header) error {
	switch {
	case h.Values != 0 || len(h.Streams) != 0:
		return api.ErrFrame
	case r.each != nil:
		return r.each(h.Body)
	}
	var s api.Send
	if json.Unmarshal(h.Body, &s) == nil && s.Send > 0 && s.Send <= len(r.long) {
		return r.long[s.Send-1].send(c.conn)
	}
	var w api.Waiting
	if json.Unmarshal(h.Body, &w) != nil || w.Request == "" && w.Finger == "" {
		return api.ErrFrame
	}
	switch {
	case r.waiting != nil:
		r.waiting(w)
	case c.Waiting != nil:
		c.Waiting(w)
	}
	return nil
}

func (c *Client) last(r reply, h api.Header) error {
	if r.to != nil && len(h.Streams) == 1 && h.Values == 0 {
		return c.parts(r, h)
	}
	if h.Values != r.values || len(h.Streams) != 0 {
		return api.ErrFrame
	}
	got := make([][]byte, 0, h.Values)
	for range h.Values {
		v, err := api.ReadValue(c.conn)
		if err != nil {
			Wipe(got...)
			return err
		}
		got = append(got, v)
	}
	if r.got != nil {
		*r.got = got
	}
	body := string(h.Body)
	empty := body == "" || body == "null" || body == "{}"
	switch {
	case empty:
		return nil
	case r.each != nil:
		return r.each(h.Body)
	case r.into == nil:
		return nil
	}
	if err := json.Unmarshal(h.Body, r.into); err != nil {
		Wipe(got...)
		return api.ErrFrame
	}
	return nil
}

// Wipe overwrites values that are no longer needed.
func Wipe(values ...[]byte) {
	for _, v := range values {
		clear(v)
	}
}

// stream decodes each message of a stream, an array of T, for f. An error of f
// ends the call and the connection, and is returned as the daemon's would be.
func stream[T any](f func(T) error) func(json.RawMessage) error {
	return func(b json.RawMessage) error {
		var batch []T
		if err := json.Unmarshal(b, &batch); err != nil {
			return api.ErrFrame
		}
		for _, t := range batch {
			if err := f(t); err != nil {
				return &api.Error{Kind: kindUnavailable, Op: "output", Msg: err.Error()}
			}
		}
		return nil
	}
}

const lostMsg = "lost the connection to thumbturnd"

// lost reports whether a call failed because the other end went away.
func lost(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Msg == lostMsg
}

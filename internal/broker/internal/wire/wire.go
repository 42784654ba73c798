// Package wire writes released values as frames to a peer on this machine.
// Both sinks that answer on a socket share it; it is the last hand that touches
// the bytes.
package wire

import (
	"context"
	"encoding/json"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/internal/sink"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/local"
)

// patience is how long a peer that does not read is waited for: values must not
// stay open for a client that hangs.
const patience = 10 * time.Second

// stall is how long the next part of a stream may take: one chunk is open then,
// and what reads on the other side may be slow.
const stall = 30 * time.Second

// Send writes one reply: header, then each value.
func Send(ctx context.Context, conn *local.Conn, d sink.Delivery) error {
	return send(ctx, conn, d, api.Header{}, d.Values...)
}

// Stream is Send for a delivery of one value, which may be long. A peer that does
// not read is waited for at each part.
func Stream(ctx context.Context, conn *local.Conn, d sink.Delivery) error {
	if len(d.Long) != 1 || d.Long[0].Whole() {
		return Send(ctx, conn, d)
	}
	text := d.Long[0]
	if err := send(ctx, conn, d, api.Header{Streams: []int64{text.Size}}); err != nil {
		return err
	}
	defer func() { _ = conn.SetWriteDeadline(time.Time{}) }()
	return text.Each(func(chunk []byte) error {
		_ = conn.SetWriteDeadline(time.Now().Add(stall))
		if ctx.Err() != nil || api.WritePart(conn, chunk) != nil {
			return errGone
		}
		return nil
	})
}

var errGone = fault.New(fault.Unavailable, "deliver", "", "the caller has gone")

func send(ctx context.Context, conn *local.Conn, d sink.Delivery, h api.Header, values ...[]byte) error {
	deadline := time.Now().Add(patience)
	if t, ok := ctx.Deadline(); ok && t.Before(deadline) {
		deadline = t
	}
	_ = conn.SetWriteDeadline(deadline)
	defer func() { _ = conn.SetWriteDeadline(time.Time{}) }()
	body, err := json.Marshal(api.Released{Request: d.Request, Receipt: d.Receipt})
	if err != nil {
		return err
	}
	h.Body = body
	if err := api.WriteMessage(conn, h, values...); err != nil {
		return errGone
	}
	return nil
}

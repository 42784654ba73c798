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

// Send writes one reply: header, then each value.
func Send(ctx context.Context, conn *local.Conn, d sink.Delivery) error {
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
	if err := api.WriteMessage(conn, api.Header{Body: body}, d.Values...); err != nil {
		return fault.New(fault.Unavailable, "deliver", "", "the caller has gone")
	}
	return nil
}

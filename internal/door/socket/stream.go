package socket

import (
	"errors"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// stream is the i-th stream of a request, as a text that is lent while it arrives.
// The client is asked for it when the text is taken: by then the broker has found
// the item and asked the policy. A part is in memory at a time.
func (c *call) stream(i int) vault.Text {
	size := c.head.Streams[i]
	return vault.Text{Size: size, Each: func(use func([]byte) error) error {
		if err := c.more(api.Send{Send: i + 1}); err != nil {
			c.torn = true
			return err
		}
		buf := make([]byte, api.PartSize)
		defer func() { clear(buf); _ = c.conn.SetReadDeadline(time.Time{}) }()
		var failed error
		for left := size; left > 0; left -= api.PartSize {
			part := buf[:api.PartLen(left)]
			_ = c.conn.SetReadDeadline(time.Now().Add(patience))
			if err := api.ReadPart(c.conn, part); err != nil {
				c.torn = true
				if errors.Is(err, api.ErrFrame) {
					return fault.Wrap(fault.Protocol, "item", "", err)
				}
				return fault.New(fault.Unavailable, "item", "", "a value broke off before its end")
			}
			if failed == nil { // else the rest is read past, so that the client hears why
				failed = use(part)
			}
		}
		return failed
	}}
}

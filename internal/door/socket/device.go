package socket

import (
	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
)

// deviceShow tells what a ledger is moved to: public keys, no secret.
func (c *call) deviceShow() error {
	d := c.s.Account.Installation()
	return c.reply(api.Installation{ID: d.ID, DeviceKey: d.DeviceKey, DeviceKEM: d.DeviceKEM, Code: d.Code()})
}

// deviceMove takes the presence passphrase.
func (c *call) deviceMove(in api.DeviceMove) error {
	to := canon.Installation{V: 1, ID: in.To.ID, DeviceKey: in.To.DeviceKey, DeviceKEM: in.To.DeviceKEM}
	ask, ctx, stop := c.typed(in.Auth)
	defer stop()
	return c.s.Account.Move(ctx, c.who, ask, source(in.Source), to, c.values[0])
}

// deviceStay takes the presence passphrase.
func (c *call) deviceStay(in api.Auth) error {
	ask, ctx, stop := c.typed(in)
	defer stop()
	return c.s.Account.Stay(ctx, c.who, ask, source(in.Source), c.values[0])
}

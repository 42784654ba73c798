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
func (c *call) deviceMove() error {
	in, err := body[api.DeviceMove](c)
	if err != nil {
		return err
	}
	to := canon.Installation{V: 1, ID: in.To.ID, DeviceKey: in.To.DeviceKey, DeviceKEM: in.To.DeviceKEM}
	ask, ctx, done := c.ask(api.Ask{})
	defer done()
	if err := c.s.Account.Move(ctx, c.who, ask, source(in.Source), to, c.values[0]); err != nil {
		return err
	}
	return c.reply(struct{}{})
}

// deviceStay takes the presence passphrase.
func (c *call) deviceStay() error {
	in, err := body[api.Auth](c)
	if err != nil {
		return err
	}
	ask, ctx, done := c.ask(api.Ask{})
	defer done()
	if err := c.s.Account.Stay(ctx, c.who, ask, source(in.Source), c.values[0]); err != nil {
		return err
	}
	return c.reply(struct{}{})
}

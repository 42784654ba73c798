package socket

import (
	"errors"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// pin tells how things are with the PIN and the TPM: no secret.
func (c *call) pin() error {
	p := c.s.Account.PIN()
	out := api.PIN{Known: p.Known, Set: p.Set, Here: p.Here}
	if p.Err != nil {
		out.TPM.Why = p.Err.Error()
		if e, ok := errors.AsType[*fault.Error](p.Err); ok {
			out.TPM.Why, out.TPM.Hint = (&fault.Error{Msg: e.Msg, Err: e.Err}).Error(), e.Hint
		}
		return c.reply(out)
	}
	out.TPM = api.TPM{Maker: p.TPM.Manufacturer, Failures: int64(p.TPM.Failures), Limit: int64(p.TPM.Limit), Left: int64(p.TPM.Left()),
		Forgets: p.TPM.Forgets.Milliseconds(), Locked: p.TPM.Locked}
	if !p.TPM.Guards() {
		out.TPM.Why, out.TPM.Hint = "the TPM puts no limit on wrong PINs", "set its dictionary-attack parameters, or approve another way"
	}
	return c.reply(out)
}

func (c *call) pinSet(in api.Auth) error {
	ask, ctx, stop := c.typed(in)
	defer stop()
	return c.s.Account.SetPIN(ctx, c.who, ask, source(in.Source), c.values[0], c.values[1])
}

func (c *call) pinRemove(in api.Auth) error {
	ask, ctx, stop := c.typed(in)
	defer stop()
	return c.s.Account.RemovePIN(ctx, c.who, ask, source(in.Source), c.values[0])
}

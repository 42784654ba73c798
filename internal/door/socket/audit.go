package socket

import (
	"github.com/thumbturn/thumbturn/api"
)

func (c *call) auditList() error {
	in, err := body[api.AuditFilter](c)
	if err != nil {
		return err
	}
	if err := c.s.Broker.MayRead(c.who); err != nil {
		return err
	}
	batch := []api.Event{}
	err = c.s.Account.Events(c.ctx, in, func(e api.Event) error {
		if batch = append(batch, e); len(batch) == 64 {
			err := c.more(batch)
			batch = batch[:0]
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.reply(batch)
}

func (c *call) auditVerify() error {
	v, err := c.s.Account.Verify(c.ctx)
	if err != nil {
		return err
	}
	return c.reply(v)
}

func (c *call) auditExport() error {
	if err := c.s.Broker.MayRead(c.who); err != nil {
		return err
	}
	var batch []api.Line
	err := c.s.Account.Export(c.ctx, func(b []byte) error {
		if batch = append(batch, api.Line{Line: b}); len(batch) == 64 {
			err := c.more(batch)
			batch = batch[:0]
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.reply(append([]api.Line{}, batch...))
}

func (c *call) auditAnchor() error {
	return c.reply(api.Anchor{Head: string(c.s.Account.Anchor())})
}

func (c *call) auditProof() error {
	in, err := body[api.AuditProof](c)
	if err != nil {
		return err
	}
	if err := c.s.Broker.MayRead(c.who); err != nil {
		return err
	}
	b, err := c.s.Account.Proof(c.ctx, in.Receipt)
	if err != nil {
		return err
	}
	return c.reply(api.Line{Line: b})
}

func (c *call) restore() error {
	in, err := body[api.Auth](c)
	if err != nil {
		return err
	}
	ask, ctx, done := c.ask(api.Ask{})
	defer done()
	out, err := c.s.Account.Restore(ctx, c.who, ask, source(in.Source), c.values[0])
	if err != nil {
		return err
	}
	return c.reply(out)
}

func (c *call) policyShow() error {
	text, hash, err := c.s.Broker.Policy(c.who)
	if err != nil {
		return err
	}
	return c.reply(api.Policy{Text: text, Hash: hash.String()})
}

func (c *call) policyApply() error {
	in, err := body[api.PolicyApply](c)
	if err != nil {
		return err
	}
	a, ctx, stop := c.ask(in.Ask)
	err = c.s.Broker.ApplyPolicy(ctx, c.who, a, in.Text)
	stop()
	if err != nil {
		return err
	}
	return c.reply(struct{}{})
}

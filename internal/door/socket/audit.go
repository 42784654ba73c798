package socket

import "github.com/thumbturn/thumbturn/api"

func (c *call) auditList(in api.AuditFilter) ([]api.Event, error) {
	if err := c.s.Broker.MayRead(c.who); err != nil {
		return nil, err
	}
	batch := []api.Event{}
	err := c.s.Account.Events(c.ctx, in, func(e api.Event) error {
		if batch = append(batch, e); len(batch) == 64 {
			err := c.more(batch)
			batch = batch[:0]
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return batch, nil
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

func (c *call) auditProof(in api.AuditProof) (api.Line, error) {
	if err := c.s.Broker.MayRead(c.who); err != nil {
		return api.Line{}, err
	}
	b, err := c.s.Account.Proof(c.ctx, in.Receipt)
	if err != nil {
		return api.Line{}, err
	}
	return api.Line{Line: b}, nil
}

func (c *call) restore(in api.Auth) (api.Restored, error) {
	ask, ctx, stop := c.typed(in)
	defer stop()
	return c.s.Account.Restore(ctx, c.who, ask, source(in.Source), c.values[0])
}

func (c *call) policyShow() error {
	text, hash, err := c.s.Broker.Policy(c.who)
	if err != nil {
		return err
	}
	return c.reply(api.Policy{Text: text, Hash: hash.String()})
}

func (c *call) policyApply(in api.PolicyApply) error {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	return c.s.Broker.ApplyPolicy(ctx, c.who, a, in.Text)
}

package socket

import "github.com/thumbturn/thumbturn/api"

func (c *call) itemPurge() error {
	in, err := body[api.ItemGet](c)
	if err != nil {
		return err
	}
	a, ctx, stop := c.ask(in.Ask)
	n, err := c.s.Broker.Purge(ctx, c.who, a, in.Vault, in.Item)
	stop()
	if err != nil {
		return err
	}
	return c.reply(api.Purged{Erased: n, Beside: c.s.Account.Beside()})
}

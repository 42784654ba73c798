package socket

import (
	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
)

func (c *call) itemDelete(in api.ItemGet) error {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	return c.s.Broker.Delete(ctx, c.who, a, in.Vault, in.Item)
}

// itemArchive puts an item away, or brings it back where the message says that
// it is in the archive.
func (c *call) itemArchive(in api.ItemGet) error {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	if in.Archived {
		return c.s.Broker.Unarchive(ctx, c.who, a, in.Vault, in.Item)
	}
	return c.s.Broker.Archive(ctx, c.who, a, in.Vault, in.Item)
}

func (c *call) itemMove(in api.ItemMove) (api.Item, error) {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	it, err := c.s.Broker.Move(ctx, c.who, a, in.Vault, in.Item, in.To)
	if err != nil {
		return api.Item{}, err
	}
	return itemOf(it, true), nil
}

func (c *call) itemRevert(in api.ItemRevert) (api.ItemPutReply, error) {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	return written(c.s.Broker.Revert(ctx, c.who, a, in.Vault, in.Item, in.Revision))
}

func (c *call) itemDecide(in api.ItemDecide) (api.ItemPutReply, error) {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	return written(c.s.Broker.Decide(ctx, c.who, a, in.Vault, in.Item, in.Field, in.Accept))
}

func written(w vault.Written, err error) (api.ItemPutReply, error) {
	if err != nil {
		return api.ItemPutReply{}, err
	}
	return api.ItemPutReply{Item: itemOf(w.Item, true), Proposed: w.Proposed}, nil
}

func (c *call) itemPurge(in api.ItemGet) (api.Purged, error) {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	n, err := c.s.Broker.Purge(ctx, c.who, a, in.Vault, in.Item)
	if err != nil {
		return api.Purged{}, err
	}
	return api.Purged{Erased: n, Beside: c.s.Account.Beside()}, nil
}

func (c *call) itemHistory(in api.ItemGet) ([]api.Revision, error) {
	all, err := c.s.Broker.History(c.ctx, c.who, in.Vault, in.Item)
	if err != nil {
		return nil, err
	}
	out := []api.Revision{}
	for i := range all {
		out = append(out, api.Revision{Item: itemOf(&all[i].Item, true), Current: all[i].Current})
	}
	return out, nil
}

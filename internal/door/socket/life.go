package socket

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
)

// act answers an act that may need a person's gesture.
func act[In, Out any](c *call, ask func(In) api.Ask, do func(context.Context, broker.Ask, In) (Out, error)) error {
	in, err := body[In](c)
	if err != nil {
		return err
	}
	a, ctx, stop := c.ask(ask(in))
	out, err := do(ctx, a, in)
	stop()
	if err != nil {
		return err
	}
	return c.reply(out)
}

type nothing struct{}

func askOfItem(in api.ItemGet) api.Ask { return in.Ask }

func (c *call) itemDelete() error {
	return act(c, askOfItem, func(ctx context.Context, a broker.Ask, in api.ItemGet) (nothing, error) {
		return nothing{}, c.s.Broker.Delete(ctx, c.who, a, in.Vault, in.Item)
	})
}

// itemArchive puts an item away, or brings it back where the message says that
// it is in the archive.
func (c *call) itemArchive() error {
	return act(c, askOfItem, func(ctx context.Context, a broker.Ask, in api.ItemGet) (nothing, error) {
		if in.Archived {
			return nothing{}, c.s.Broker.Unarchive(ctx, c.who, a, in.Vault, in.Item)
		}
		return nothing{}, c.s.Broker.Archive(ctx, c.who, a, in.Vault, in.Item)
	})
}

func (c *call) itemMove() error {
	return act(c, func(in api.ItemMove) api.Ask { return in.Ask },
		func(ctx context.Context, a broker.Ask, in api.ItemMove) (api.Item, error) {
			it, err := c.s.Broker.Move(ctx, c.who, a, in.Vault, in.Item, in.To)
			if err != nil {
				return api.Item{}, err
			}
			return itemOf(it, true), nil
		})
}

func (c *call) itemRevert() error {
	return act(c, func(in api.ItemRevert) api.Ask { return in.Ask },
		func(ctx context.Context, a broker.Ask, in api.ItemRevert) (api.ItemPutReply, error) {
			return written(c.s.Broker.Revert(ctx, c.who, a, in.Vault, in.Item, in.Revision))
		})
}

func (c *call) itemDecide() error {
	return act(c, func(in api.ItemDecide) api.Ask { return in.Ask },
		func(ctx context.Context, a broker.Ask, in api.ItemDecide) (api.ItemPutReply, error) {
			return written(c.s.Broker.Decide(ctx, c.who, a, in.Vault, in.Item, in.Field, in.Accept))
		})
}

func written(w vault.Written, err error) (api.ItemPutReply, error) {
	if err != nil {
		return api.ItemPutReply{}, err
	}
	return api.ItemPutReply{Item: itemOf(w.Item, true), Proposed: w.Proposed}, nil
}

func (c *call) itemHistory() error {
	in, err := body[api.ItemGet](c)
	if err != nil {
		return err
	}
	all, err := c.s.Broker.History(c.ctx, c.who, in.Vault, in.Item)
	if err != nil {
		return err
	}
	out := []api.Revision{}
	for i := range all {
		out = append(out, api.Revision{Item: itemOf(&all[i].Item, true), Current: all[i].Current})
	}
	return c.reply(out)
}

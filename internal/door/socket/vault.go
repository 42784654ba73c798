package socket

import (
	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

func vaultOf(v *vault.Vault) api.Vault {
	return api.Vault{ID: v.ID, Name: v.Title, Tier: string(v.Tier), Items: v.Items, Epoch: v.Epoch}
}

func itemOf(it *vault.Item, fields bool) api.Item {
	out := api.Item{ID: it.ID, Title: it.Meta.Title, Version: it.Version, Vault: vaultOf(it.Vault), Category: it.Meta.Category,
		Tags: it.Meta.Tags, URLs: it.Meta.URLs, Editor: it.Writer, Created: it.Meta.Created, Updated: it.Meta.Updated,
		Expires: it.Meta.Expires, Archived: it.State == canon.StateArchived, Pending: it.Pending != nil}
	if !fields { // many of one vault
		out.Vault = api.Vault{ID: it.Vault.ID, Name: it.Vault.Title}
		return out
	}
	proposed := map[string]bool{}
	if it.Pending != nil {
		for _, p := range it.Pending.Values {
			proposed[p.Field] = true
		}
	}
	for i := range it.Meta.Fields {
		f := &it.Meta.Fields[i]
		v, has := it.Value(f.ID)
		out.Fields = append(out.Fields, api.Field{ID: f.ID, Section: f.Section, Label: f.Label, Type: f.Type, Purpose: f.Purpose,
			Concealed: f.Concealed, Text: f.Text, Value: has, Pending: proposed[f.ID], Size: f.Size, Reference: it.Reference(f), Revision: v.Revision})
	}
	return out
}

func (c *call) vaultCreate() error {
	in, err := body[api.VaultCreate](c)
	if err != nil {
		return err
	}
	a, ctx, stop := c.ask(in.Ask)
	v, err := c.s.Broker.CreateVault(ctx, c.who, a, in.Name, canon.Tier(in.Tier))
	stop()
	if err != nil {
		return err
	}
	return c.reply(vaultOf(v))
}

func (c *call) vaultList() error {
	vs, err := c.s.Broker.Vaults(c.who)
	if err != nil {
		return err
	}
	out := []api.Vault{}
	for i := range vs {
		out = append(out, vaultOf(&vs[i]))
	}
	return c.reply(out)
}

func (c *call) itemPut() error {
	in, err := body[api.ItemPut](c)
	if err != nil {
		return err
	}
	a, ctx, stop := c.ask(in.Ask)
	p := vault.Put{Ask: a, Mode: vault.Mode(in.Mode), Vault: in.Vault, Item: in.Item, Title: in.Title,
		Category: in.Category, Tags: in.Tags, URLs: in.URLs, Expires: in.Expires}
	next := 0
	for _, f := range in.Fields {
		ch := vault.Change{Delete: f.Delete, Field: vault.Field{ID: f.ID, Section: f.Section, Label: f.Label, Type: f.Type,
			Purpose: f.Purpose, Concealed: f.Concealed}}
		if f.Value {
			if next == len(c.values) {
				stop()
				return fault.New(fault.Protocol, "item", in.Item, "a value is missing")
			}
			ch.Value = c.values[next]
			next++
		}
		p.Changes = append(p.Changes, ch)
	}
	if next != len(c.values) {
		stop()
		return fault.New(fault.Protocol, "item", in.Item, "more values than fields")
	}
	w, err := c.s.Broker.Put(ctx, c.who, p)
	stop()
	if err != nil {
		return err
	}
	return c.reply(api.ItemPutReply{Item: itemOf(w.Item, true), Proposed: w.Proposed})
}

func (c *call) itemGet() error {
	in, err := body[api.ItemGet](c)
	if err != nil {
		return err
	}
	it, err := c.s.Broker.Get(c.ctx, c.who, "item get", in.Vault, in.Item)
	if in.Archived && fault.Is(err, fault.NotFound) {
		if away, e := c.s.Broker.Away(c.ctx, c.who, "item get", in.Vault, in.Item); e == nil {
			it, err = away, nil
		}
	}
	if err != nil {
		return err
	}
	return c.reply(itemOf(it, true))
}

func (c *call) itemList() error {
	in, err := body[api.ItemList](c)
	if err != nil {
		return err
	}
	batch := []api.Item{}
	full := 16 // the first come soon, the rest in fewer messages
	err = c.s.Broker.List(c.ctx, c.who, in.Vault, in.Archived, func(it *vault.Item) error {
		if batch = append(batch, itemOf(it, false)); len(batch) < full {
			return nil
		}
		err := c.more(batch)
		batch, full = batch[:0], 256
		return err
	})
	if err != nil {
		return err
	}
	return c.reply(batch)
}

// release hands the wish to the broker with the sink its grade needs. The sink
// answers on the connection itself; no value passes this package.
func (c *call) release() error {
	in, err := body[api.Want](c)
	if err != nil {
		return err
	}
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	w := broker.Want{Ask: a, Agent: in.Agent}
	for _, x := range in.Refs {
		r, err := ref.Parse(x)
		if err != nil {
			return fault.Wrap(fault.Usage, "release", x, err)
		}
		w.Refs = append(w.Refs, r)
	}
	shown := broker.ShownArgs(in.Program.Argv)
	var to broker.Sink
	switch in.Sink {
	case "handoff":
		to = handoff.To(c.conn, in.Program, shown, in.Names)
	case "reveal":
		to = reveal.To(c.conn, in.Program, shown)
	default:
		return fault.New(fault.Usage, "release", in.Sink, "unknown sink")
	}
	_, err = c.s.Broker.Release(ctx, c.who, w, to.Observed(func() { c.sent = true }))
	return err
}

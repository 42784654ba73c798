package socket

import (
	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/lease"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func vaultOf(v *vault.Vault) api.Vault {
	return api.Vault{ID: v.ID, Name: v.Title, Tier: string(v.Tier), Items: v.Items, Epoch: v.Epoch, MinApproval: string(v.MinApproval)}
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

func (c *call) vaultCreate(in api.VaultCreate) (api.Vault, error) {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	return vaultMade(c.s.Broker.CreateVault(ctx, c.who, a, in.Name, canon.Tier(in.Tier), canon.Least(in.MinApproval)))
}

func (c *call) vaultEdit(in api.VaultEdit) (api.Vault, error) {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	return vaultMade(c.s.Broker.EditVault(ctx, c.who, a, in.Vault, canon.Least(in.MinApproval)))
}

func vaultMade(v *vault.Vault, err error) (api.Vault, error) {
	if err != nil {
		return api.Vault{}, err
	}
	return vaultOf(v), nil
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

func (c *call) itemPut(in api.ItemPut) (api.ItemPutReply, error) {
	changes, err := c.changes(in)
	if err != nil {
		return api.ItemPutReply{}, err
	}
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	w, err := c.s.Broker.Put(ctx, c.who, vault.Put{Ask: a, Mode: vault.Mode(in.Mode), Vault: in.Vault, Item: in.Item, Title: in.Title,
		Category: in.Category, Tags: in.Tags, URLs: in.URLs, Expires: in.Expires, Changes: changes})
	return written(w, err)
}

// changes gives each field of a write its value, or the stream that it will come
// in: there must be as many as there are fields that want one.
func (c *call) changes(in api.ItemPut) ([]vault.Change, error) {
	var out []vault.Change
	values, streams := 0, 0
	for _, f := range in.Fields {
		ch := vault.Change{Delete: f.Delete, Field: vault.Field{ID: f.ID, Section: f.Section, Label: f.Label, Type: f.Type,
			Purpose: f.Purpose, Concealed: f.Concealed}}
		switch {
		case f.Value && f.Stream, f.Value && values == len(c.values), f.Stream && streams == len(c.head.Streams):
			return nil, fault.New(fault.Protocol, "item", in.Item, "a value is missing")
		case f.Value:
			ch.Value = c.values[values]
			values++
		case f.Stream:
			ch.Long = c.stream(streams)
			streams++
		}
		out = append(out, ch)
	}
	if values != len(c.values) || streams != len(c.head.Streams) {
		return nil, fault.New(fault.Protocol, "item", in.Item, "more values than fields")
	}
	return out, nil
}

func (c *call) itemGet(in api.ItemGet) (api.Item, error) {
	it, err := c.s.Broker.Get(c.ctx, c.who, "item get", in.Vault, in.Item)
	if in.Archived && fault.Is(err, fault.NotFound) {
		if away, e := c.s.Broker.Away(c.ctx, c.who, "item get", in.Vault, in.Item); e == nil {
			it, err = away, nil
		}
	}
	if err != nil {
		return api.Item{}, err
	}
	return itemOf(it, true), nil
}

func (c *call) itemList(in api.ItemList) ([]api.Item, error) {
	batch := []api.Item{}
	full := 16 // the first come soon, the rest in fewer messages
	err := c.s.Broker.List(c.ctx, c.who, in.Vault, in.Archived, func(it *vault.Item) error {
		if batch = append(batch, itemOf(it, false)); len(batch) < full {
			return nil
		}
		err := c.more(batch)
		batch, full = batch[:0], 256
		return err
	})
	if err != nil {
		return nil, err
	}
	return batch, nil
}

// release hands the wish to the broker with the sink its grade needs. The sink
// answers on the connection itself; no value passes this package.
func (c *call) release(in api.Want) error {
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	refs, err := references("release", in.Refs)
	if err != nil {
		return err
	}
	w := broker.Want{Ask: a, Agent: in.Agent, Refs: refs}
	shown := broker.ShownArgs(in.Program.Argv)
	var to broker.Sink
	switch in.Sink {
	case "handoff":
		to = handoff.To(c.conn, in.Program, shown, in.Names)
	case "reveal":
		to = reveal.To(c.conn, in.Program, shown, in.Stream && len(w.Refs) == 1)
	default:
		return fault.New(fault.Usage, "release", in.Sink, "unknown sink")
	}
	if p := in.Project; p != nil {
		if !in.Reserve {
			return fault.New(fault.Usage, "release", "", "a project's file goes with reserve")
		}
		w.File = &lease.File{Path: p.File, Task: p.Task, Text: p.Text}
	}
	if in.Reserve {
		l, err := c.s.Broker.Reserve(ctx, c.who, w, to)
		if err != nil {
			return err
		}
		out := api.Reserved{Request: l.Request.ID, Left: l.Left}
		if out.Request != "" {
			out.Until = l.Until.UnixMilli()
		}
		return c.reply(out)
	}
	_, err = c.s.Broker.Release(ctx, c.who, w, to.Observed(func() { c.sent = true }))
	return err
}

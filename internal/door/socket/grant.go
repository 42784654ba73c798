package socket

import (
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/grant"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

// references parses the references of a message.
func references(op string, texts []string) ([]ref.Ref, error) {
	var out []ref.Ref
	for _, x := range texts {
		r, err := ref.Parse(x)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, op, x, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func grantOf(g grant.Listed) api.Grant {
	t := g.Terms
	out := api.Grant{ID: g.ID, Name: t.Name, State: string(g.State), Created: g.Created, Until: g.Until, Uses: g.Uses, Refs: g.Refs}
	if t.Program != "" {
		out.UID = &t.UID
		out.Program = &api.Program{Path: t.Program, Hash: t.Hash, Interpreter: t.Interpreter, IntHash: t.IntHash, Argv: t.Shown, Dir: t.Dir}
	}
	return out
}

func (c *call) grantCreate(in api.GrantCreate) (api.Grant, error) {
	refs, err := references("grant create", in.Refs)
	if err != nil {
		return api.Grant{}, err
	}
	const most = 1 << 43 // milliseconds: far above any limit, below what a duration holds
	if in.Life < 0 || in.Life > most || in.Until < 0 {
		return api.Grant{}, fault.New(fault.Usage, "grant create", in.Name, "no such time")
	}
	a, ctx, stop := c.ask(in.Ask)
	defer stop()
	g, err := c.s.Broker.CreateGrant(ctx, c.who, grant.Order{Ask: a, Name: in.Name, Refs: refs, Program: in.Program, Task: in.Task, Agent: in.Agent,
		Life: time.Duration(in.Life) * time.Millisecond, Until: time.UnixMilli(in.Until), Uses: in.Uses})
	if err != nil {
		return api.Grant{}, err
	}
	return grantOf(g), nil
}

func (c *call) grantList(in api.GrantList) ([]api.Grant, error) {
	list, err := c.s.Broker.Grants(c.ctx, c.who, in.All)
	if err != nil {
		return nil, err
	}
	out := []api.Grant{}
	for _, g := range list {
		out = append(out, grantOf(g))
	}
	return out, nil
}

func (c *call) grantRevoke(in api.GrantName) error {
	return c.s.Broker.RevokeGrant(c.ctx, c.who, in.Name)
}

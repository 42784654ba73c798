package socket

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/passkey"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Pages hands out addresses of the approval page.
type Pages interface {
	// Address is where the page is; empty where it is not. It lets nobody in.
	Address() string
	// Ticket is an address that lets its first visitor in: to the requests (no kind),
	// to one enrolment ("enrol") or one unlock ("unlock").
	Ticket(kind, id string) (string, error)
}

// ticket is an address of the page, for a person.
func (c *call) ticket(op, kind, id string) (string, error) {
	if c.s.Pages == nil {
		return "", fault.New(fault.Unavailable, op, "", "this daemon has no approval page")
	}
	return c.s.Pages.Ticket(kind, id)
}

// page hands out the page's address. What is opened there can only be refused or
// signed for, and yet it is no agent's: what others ask is nobody's business, and
// whoever has the page takes mutes back and ends leases.
func (c *call) page() error {
	if err := c.s.Account.MayOpen(c.who); err != nil {
		return err
	}
	url, err := c.ticket("page", "", "")
	if err != nil {
		return err
	}
	return c.reply(api.PageURL{URL: url})
}

func (c *call) unlockPage(in api.Auth) error {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	stop := func() {}
	defer func() { stop() }()
	return c.s.Account.UnlockPasskey(ctx, c.who, source(in.Source), func(x approve.Ceremony) error {
		url, err := c.ticket("unlock", "unlock", x.ID)
		if err != nil {
			return err
		}
		stop = c.watch(cancel)
		return c.more(api.Waiting{Request: x.ID, Code: canon.ShortCode(x.Challenge), URL: url})
	})
}

func (c *call) passkeyAdd(in api.PasskeyAdd) (api.PasskeyBegun, error) {
	ask, ctx, stop := c.typed(in.Auth)
	defer stop()
	id, err := c.s.Account.AddPasskey(ctx, c.who, ask, passkey.Adding{Source: source(in.Source), Name: in.Name, Presence: c.values[0], Code: c.values[1]})
	if err != nil {
		return api.PasskeyBegun{}, err
	}
	url, err := c.ticket("passkey add", "enrol", id)
	if err != nil {
		c.s.Account.Abandon(id)
		return api.PasskeyBegun{}, err
	}
	return api.PasskeyBegun{ID: id, URL: url}, nil
}

func (c *call) passkeyWait(in api.RequestID) (api.Passkey, error) {
	e, err := c.s.Account.Enrolled(c.ctx, in.ID)
	if err != nil {
		return api.Passkey{}, err
	}
	out := shown(passkey.Passkey{Authenticator: e.Authenticator})
	out.PassphraseEnded = e.PassphraseEnded
	return out, nil
}

func (c *call) passkeys() error {
	if err := c.s.Broker.MayRead(c.who); err != nil {
		return err
	}
	out := []api.Passkey{}
	for _, p := range c.s.Account.Passkeys() {
		out = append(out, shown(p))
	}
	return c.reply(out)
}

func shown(p passkey.Passkey) api.Passkey {
	return api.Passkey{ID: p.ID, Name: p.Name, Decrypts: p.PRF, Synced: p.Synced, Created: p.Created, Opens: p.Opens}
}

func (c *call) passkeyRemove(in api.PasskeyRemove) error {
	ask, ctx, stop := c.typed(in.Auth)
	defer stop()
	return c.s.Account.RemovePasskey(ctx, c.who, ask, source(in.Source), in.Name, c.values[0])
}

package broker

import (
	"context"
	"fmt"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/sink"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/ref"
)

const actionMove = "move"

// Move puts an item into another vault, after a gesture. Its values are opened,
// sealed to the other vault's key and written, all in one pass through the
// waist: nobody receives them. The item keeps its id.
func (b *Broker) Move(ctx context.Context, who identity.Caller, a Ask, from, item, to string) (*vault.Item, error) {
	it, err := b.Get(ctx, who, "item move", from, item)
	if err != nil {
		return nil, err
	}
	dest, err := b.book.Vault("item move", to)
	switch {
	case err != nil:
		return nil, err
	case dest.ID == it.Vault.ID:
		return nil, fault.New(fault.Usage, "item move", it.Meta.Title, "it is in that vault already")
	case it.Pending != nil:
		return nil, fault.New(fault.Conflict, "item move", it.Meta.Title, "a proposed value waits in it").
			WithHint("`thumbturn item activate` or `item reject` decides about it first")
	}
	if _, err := b.book.Seek(ctx, "item move", dest.ID, it.Meta.Title); err == nil {
		return nil, fault.New(fault.Exists, "item move", dest.Title+"/"+it.Meta.Title, "there is an item of that title")
	}
	r := &release{who: who, want: Want{Ask: a}, action: actionMove, needs: []string{"account"},
		request: canon.Request{Change: canon.Digest("thumbturn/act/v1\x00", canon.Tuple(actionMove, it.ID, strconv.FormatInt(it.Version, 10), dest.ID))}}
	var fields []*vault.Field
	for i := range it.Meta.Fields {
		f := &it.Meta.Fields[i]
		if _, ok := it.Value(f.ID); ok {
			fields = append(fields, f)
			r.want.Refs = append(r.want.Refs, ref.Ref{Vault: it.Vault.ID, Item: it.ID, Field: f.ID})
		}
	}
	if len(fields) == 0 {
		return nil, fault.New(fault.Usage, "item move", it.Meta.Title, "it holds no value; create it there instead")
	}
	place := canon.Place{Sink: "vault", Grade: canon.GradeUse, Names: []string{fmt.Sprintf("move item %s/%s to vault %s, tier %s", it.Vault.Title, it.Meta.Title, dest.Title, canon.Guard(dest.Tier, dest.MinApproval))}}
	r.to = sink.New(place, func(ctx context.Context, d sink.Delivery) error {
		return b.moved(ctx, r.gesture, it, dest, fields, d)
	}).Streaming()
	if _, err := b.pass(ctx, r); err != nil {
		return nil, err
	}
	return b.book.Item(ctx, it.ID)
}

// moved seals the values for the vault and writes the manifest that says so.
func (b *Broker) moved(ctx context.Context, g *open.Gesture, it *vault.Item, dest *vault.Vault, fields []*vault.Field, values sink.Delivery) error {
	if g == nil {
		return fault.New(fault.Denied, "item move", it.Meta.Title, "nobody approved it")
	}
	there := *it
	there.Vault = dest
	e := book.Edit{Vault: dest, Item: &there, Writer: it.Writer}
	for i, f := range fields {
		e.Changes = append(e.Changes, vault.Change{Field: *f, Value: values.Values[i], Long: values.Long[i]})
	}
	d, err := b.book.Draft(ctx, e)
	if err != nil {
		return err
	}
	defer d.Discard(ctx)
	sig, err := g.Root().Sign(d.Statement.Body())
	if err != nil {
		return err
	}
	_, err = b.book.Commit(ctx, d, sig, canon.Event{Type: canon.EventWrite, Action: actionMove, Outcome: "written",
		Vaults: []string{it.Vault.ID, dest.ID}, Items: []string{it.ID}})
	return err
}

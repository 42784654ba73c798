package sdk

import (
	"context"
	"strconv"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/ref"
)

// Release asks for the values of want.Refs, once. They come in that order, and
// the caller wipes them. onWaiting hears of a request that needs a person.
//
// References that ask what is known of a field (its type, id, purpose, size, or
// an item's title) are no secrets: they are answered from the item, and only the
// others are asked for.
func (c *Client) Release(ctx context.Context, want api.Want, onWaiting func(api.Waiting)) (api.Released, [][]byte, error) {
	ask, known, err := c.secret(ctx, want)
	if err != nil {
		return api.Released{}, nil, err
	}
	var out api.Released
	var got [][]byte
	if len(ask.Refs) > 0 || len(want.Refs) == 0 {
		err := c.call(ctx, api.OpRelease, ask, nil, reply{into: &out, values: len(ask.Refs), got: &got, waiting: onWaiting})
		if err != nil {
			return api.Released{}, nil, err
		}
	}
	for i := range known {
		if known[i] == nil {
			known[i], got = got[0], got[1:]
		}
	}
	return out, known, nil
}

// secret is a want without the references that ask for no secret, and what they ask
// for, each in its place.
func (c *Client) secret(ctx context.Context, want api.Want) (ask api.Want, known [][]byte, err error) {
	known = make([][]byte, len(want.Refs))
	ask = want
	ask.Refs = nil
	for i, name := range want.Refs {
		r, err := ref.Parse(name)
		if err == nil && about(r.Query) {
			if known[i], err = c.about(ctx, r); err != nil {
				return ask, nil, err
			}
			continue
		}
		ask.Refs = append(ask.Refs, name) // what is no reference, the daemon refuses
	}
	return ask, known, nil
}

// about reports whether a parameter asks for something that is no secret.
func about(q ref.Query) bool {
	switch q {
	case ref.QueryType, ref.QueryID, ref.QueryPurpose, ref.QueryTitle, ref.QuerySize, ref.QueryName:
		return true
	}
	return false
}

// Reserve asks a person for a lease on what Release would deliver, and delivers
// nothing.
func (c *Client) Reserve(ctx context.Context, want api.Want, onWaiting OnWaiting) (api.Reserved, error) {
	var out api.Reserved
	ask, _, err := c.secret(ctx, want)
	if err != nil {
		return out, err
	}
	ask.Reserve = true
	err = c.call(ctx, api.OpRelease, ask, nil, reply{into: &out, waiting: onWaiting})
	return out, err
}

// FieldName returns what a reference can call a field by.
func FieldName(f *api.Field) ref.Name {
	return ref.Name{ID: f.ID, Section: f.Section, Label: f.Label}
}

// about answers such a reference.
func (c *Client) about(ctx context.Context, r ref.Ref) ([]byte, error) {
	it, err := c.ItemGet(ctx, api.ItemGet{Vault: r.Vault, Item: r.Item}, nil)
	if err != nil {
		return nil, err
	}
	hit := ref.Match(r, it.ID, it.Fields, FieldName)
	if len(hit) != 1 {
		if len(hit) == 0 {
			return nil, &api.Error{Kind: "not-found", Op: "read", Ref: r.String(), Msg: "the item has no such field", Hint: "`thumbturn item get` lists the fields"}
		}
		var list []string
		for _, f := range hit {
			list = append(list, ref.Ref{Vault: it.Vault.Name, Item: it.Title, Section: f.Section, Field: f.Label, Query: r.Query}.String())
		}
		return nil, &api.Error{Kind: "ambiguous", Op: "read", Ref: r.String(), Msg: "the item has several fields of that name", Hint: "use one of " + strings.Join(list, ", ")}
	}
	f := hit[0]
	switch r.Query {
	case ref.QueryType:
		return []byte(strings.ToLower(f.Type)), nil
	case ref.QueryID:
		return []byte(f.ID), nil
	case ref.QueryPurpose:
		return []byte(strings.ToLower(f.Purpose)), nil
	case ref.QueryTitle:
		return []byte(it.Title), nil
	case ref.QueryName:
		return []byte(f.Label), nil
	}
	return strconv.AppendInt(nil, f.Size, 10), nil
}

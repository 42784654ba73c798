package sdk

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
)

// GrantCreate asks a person for a grant.
func (c *Client) GrantCreate(ctx context.Context, in api.GrantCreate, wait OnWaiting) (api.Grant, error) {
	var out api.Grant
	err := c.call(ctx, api.OpGrantCreate, in, nil, reply{into: &out, waiting: wait})
	return out, err
}

// Grants lists the grants.
func (c *Client) Grants(ctx context.Context, in api.GrantList) ([]api.Grant, error) {
	var out []api.Grant
	err := c.call(ctx, api.OpGrantList, in, nil, reply{into: &out})
	return out, err
}

// GrantRevoke ends a grant, by name or id.
func (c *Client) GrantRevoke(ctx context.Context, name string) error {
	return c.call(ctx, api.OpGrantRevoke, api.GrantName{Name: name}, nil, reply{})
}

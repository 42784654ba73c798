package broker

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/broker/grant"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// CreateGrant makes a grant for an unattended job, after a person's gesture.
func (b *Broker) CreateGrant(ctx context.Context, who identity.Caller, o grant.Order) (grant.Listed, error) {
	return b.grants.CreateGrant(ctx, who, o)
}

// Grants lists the grants, the revoked ones too where all is set.
func (b *Broker) Grants(ctx context.Context, who identity.Caller, all bool) ([]grant.Listed, error) {
	return b.grants.Grants(ctx, who, all)
}

// RevokeGrant ends a grant by name or id, for anybody of this user.
func (b *Broker) RevokeGrant(ctx context.Context, who identity.Caller, name string) error {
	return b.grants.RevokeGrant(ctx, who, name)
}

package item

import (
	"context"
	"fmt"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// code prints the one-time code of an item.
func (o Options) code(ctx context.Context, s *sdk.Client, it api.Item) error {
	for _, f := range it.Fields {
		if f.Type != "OTP" || f.Reference == "" || !f.Value {
			continue
		}
		want := api.Want{Ask: o.Ask, Sink: "reveal", Refs: []string{f.Reference + "?attribute=otp"}}
		_, values, err := s.Release(ctx, want, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		defer sdk.Wipe(values...)
		_, err = fmt.Fprintf(o.Console.Out, "%s\n", values[0])
		return err
	}
	return fault.New(fault.NotFound, "item get", it.Title, "the item has no one-time password")
}

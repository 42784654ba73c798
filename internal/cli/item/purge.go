package item

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

func newPurge(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "purge ITEM",
		Short: "Erase the values of a deleted item for good",
		Long: `Erase the sealed values of a deleted item from the database, with its earlier
revisions. Its title and what was recorded about it stay. Nothing brings the
values back but a backup; and a backup made before still holds them, as does the
database that a restore left beside, which is named then.`,
		Example: "  thumbturn item delete github --vault team\n  thumbturn item purge github --vault team",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Console.Confirm("erase the values of " + canon.Escape(args[0]) + " for good?"); err != nil {
				return err
			}
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				in := api.ItemGet{Ask: o.Ask, Vault: o.Vault, Item: args[0]}
				r, err := s.ItemPurge(cmd.Context(), in, o.Console.Waiting)
				if err != nil {
					return o.Console.Parked(err)
				}
				return o.Console.Print(r, func(w io.Writer) {
					fmt.Fprintf(w, "%d sealed pieces are erased\n", r.Erased)
					if r.Beside != "" {
						fmt.Fprintf(w, "not looked into: %s, the database before the last restore; delete it if you do not need it\n", canon.Escape(r.Beside))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

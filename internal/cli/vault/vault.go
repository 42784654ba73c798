// Package vault is the commands vault create, list and get.
package vault

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the commands of this package take.
type Options struct {
	Console *console.Console
	Ask     api.Ask
	Tier    string
}

// New returns the vault command with its subcommands.
func New(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "Create and show vaults", Args: cobra.NoArgs,
		Example: "  thumbturn vault create work\n  thumbturn vault list"}
	o := Options{Console: c}
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a vault",
		Long: `Create a vault. Tier standard opens while the vaults are unlocked; tier presence
opens only with an approval each time.`,
		Example: "  thumbturn vault create work\n  thumbturn vault create bank --tier presence",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return Create(cmd.Context(), o, args[0]) },
	}
	create.Flags().StringVar(&o.Tier, "tier", "standard", "the `TIER`: standard or presence")
	create.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the vaults",
		Example: "  thumbturn vault list",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return List(cmd.Context(), o) },
	}
	get := &cobra.Command{
		Use:     "get VAULT",
		Short:   "Show a vault",
		Example: "  thumbturn vault get work",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return Get(cmd.Context(), o, args[0]) },
	}
	cmd.AddCommand(create, list, get)
	return cmd
}

// Create makes a vault.
func Create(ctx context.Context, o Options, name string) error {
	if o.Tier != "standard" && o.Tier != "presence" {
		return console.Usage("unknown tier %q; use standard or presence", o.Tier)
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		v, err := s.VaultCreate(ctx, api.VaultCreate{Ask: o.Ask, Name: name, Tier: o.Tier}, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		return o.Console.Print(v, func(w io.Writer) { show(w, v) })
	})
}

// List prints all vaults.
func List(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		vs, err := s.Vaults(ctx)
		if err != nil {
			return err
		}
		if vs == nil {
			vs = []api.Vault{}
		}
		return o.Console.Print(vs, func(w io.Writer) {
			fmt.Fprintf(w, "%-26s  %-10s  %5s  %s\n", "ID", "TIER", "ITEMS", "NAME")
			for _, v := range vs {
				fmt.Fprintf(w, "%-26s  %-10s  %5d  %s\n", v.ID, v.Tier, v.Items, canon.Escape(v.Name))
			}
		})
	})
}

// Get prints one vault, found by id or exact name.
func Get(ctx context.Context, o Options, name string) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		vs, err := s.Vaults(ctx)
		if err != nil {
			return err
		}
		var names []string
		for _, v := range vs {
			if v.ID == name || v.Name == name {
				return o.Console.Print(v, func(w io.Writer) { show(w, v) })
			}
			names = append(names, v.Name)
		}
		return fault.New(fault.NotFound, "vault get", name, "there is no such vault").
			WithHint(console.Near(name, names, "`thumbturn vault list` shows what there is"))
	})
}

func show(w io.Writer, v api.Vault) {
	fmt.Fprintf(w, "ID:    %s\nName:  %s\nTier:  %s\nItems: %d\n", v.ID, canon.Escape(v.Name), v.Tier, v.Items)
}

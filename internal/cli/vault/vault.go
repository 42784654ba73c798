// Package vault is the commands vault create, edit, list and get.
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
	Least   string // the weakest gesture that opens it
}

// New returns the vault command with its subcommands.
func New(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "Create, edit and show vaults", Args: cobra.NoArgs,
		Example: "  thumbturn vault create work\n  thumbturn vault list"}
	o := Options{Console: c}
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a vault",
		Long: `Create a vault. Tier standard opens while the vaults are unlocked; tier presence
opens only with an approval each time. --min-approval says what kind of approval that
must be: presence-passphrase, pin or passkey; what is weaker gets no key to it.`,
		Example: "  thumbturn vault create work\n  thumbturn vault create bank --tier presence --min-approval passkey",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return Create(cmd.Context(), o, args[0]) },
	}
	create.Flags().StringVar(&o.Tier, "tier", "standard", "the `TIER`: standard or presence")
	create.Flags().StringVar(&o.Least, "min-approval", "", leastHelp)
	create.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	edit := &cobra.Command{
		Use:   "edit VAULT",
		Short: "Change what a vault takes",
		Long: `Change the weakest kind of approval that opens a presence vault. It takes an approval
that opens the vault now; what is too weak afterwards is left without a key to it, and
values written from then on lie under a new one.`,
		Example: "  thumbturn vault edit bank --min-approval passkey",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return Edit(cmd.Context(), o, args[0]) },
	}
	edit.Flags().StringVar(&o.Least, "min-approval", "", leastHelp)
	edit.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
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
	cmd.AddCommand(create, edit, list, get)
	return cmd
}

const leastHelp = "the weakest `KIND` of approval that opens it: presence-passphrase, pin or passkey"

// Edit changes what a vault takes.
func Edit(ctx context.Context, o Options, name string) error {
	if o.Least == "" {
		return console.Usage("nothing to change; --min-approval says what opens the vault")
	}
	if err := o.least(canon.TierPresence); err != nil {
		return err
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		v, err := s.VaultEdit(ctx, api.VaultEdit{Ask: o.Ask, Vault: name, MinApproval: o.Least}, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		return o.Console.Print(v, func(w io.Writer) { show(w, v) })
	})
}

// least refuses words that no vault of a tier takes.
func (o Options) least(t canon.Tier) error {
	if _, err := canon.Least(o.Least).For(t); err != nil {
		return console.Usage("--min-approval %s: %v", o.Least, err)
	}
	return nil
}

// Create makes a vault.
func Create(ctx context.Context, o Options, name string) error {
	if o.Tier != "standard" && o.Tier != "presence" {
		return console.Usage("unknown tier %q; use standard or presence", o.Tier)
	}
	if err := o.least(canon.Tier(o.Tier)); err != nil {
		return err
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		v, err := s.VaultCreate(ctx, api.VaultCreate{Ask: o.Ask, Name: name, Tier: o.Tier, MinApproval: o.Least}, o.Console.Waiting)
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
			fmt.Fprintf(w, "%-26s  %-10s  %-19s  %5s  %s\n", "ID", "TIER", "OPENS BY", "ITEMS", "NAME")
			for _, v := range vs {
				fmt.Fprintf(w, "%-26s  %-10s  %-19s  %5d  %s\n", v.ID, v.Tier, canon.Escape(v.MinApproval), v.Items, canon.Escape(v.Name))
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
	fmt.Fprintf(w, "ID:       %s\nName:     %s\nTier:     %s\nOpens by: %s\nItems:    %d\n", v.ID, canon.Escape(v.Name), v.Tier, canon.Least(v.MinApproval).Said(), v.Items)
}

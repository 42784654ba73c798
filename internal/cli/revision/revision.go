// Package revision is what becomes of an item in time: the commands item history,
// revert, pending, activate, reject, archive, unarchive and move.
package revision

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the commands of this package take; each uses a part.
type Options struct {
	Console  *console.Console
	Ask      api.Ask
	Vault    string
	Field    string
	To       string // destination vault
	Revision int64
}

// Commands returns the commands, to be put under item.
func Commands(c *console.Console) []*cobra.Command {
	return []*cobra.Command{newArchive(c), newUnarchive(c), newMove(c), newHistory(c), newRevert(c), newPending(c), newActivate(c), newReject(c)}
}

func newArchive(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:     "archive ITEM",
		Short:   "Put an item away",
		Long:    "Put an item away: no reference finds it until `thumbturn item unarchive` brings it back.",
		Example: "  thumbturn item archive github --vault team",
	}, nil, func(ctx context.Context, o Options, name string) error { return Archive(ctx, o, name, false) })
}

func newUnarchive(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:     "unarchive ITEM",
		Short:   "Bring an item back from the archive",
		Example: "  thumbturn item list --archived\n  thumbturn item unarchive github --vault team",
	}, nil, func(ctx context.Context, o Options, name string) error { return Archive(ctx, o, name, true) })
}

func newMove(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:   "move ITEM --destination-vault VAULT",
		Short: "Move an item to another vault",
		Long: `Move an item to another vault. Its values are sealed anew for that vault inside
the daemon; nobody receives them. The item keeps its id.`,
		Example: "  thumbturn item move github --current-vault dev --destination-vault prod",
	}, func(cmd *cobra.Command, o *Options) {
		cmd.Flags().StringVar(&o.Vault, "current-vault", "", "the `VAULT` that the item is in; same as --vault")
		cmd.Flags().StringVar(&o.To, "destination-vault", "", "the `VAULT` that it moves to")
	}, Move)
}

func newHistory(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:   "history ITEM",
		Short: "List an item's revisions",
		Long: `List an item's revisions, oldest first. Values of the past are not shown:
"thumbturn item revert" makes them the current ones.`,
		Example: "  thumbturn item history github --vault team",
	}, nil, History)
}

func newRevert(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:   "revert ITEM --revision N",
		Short: "Go back to a revision of an item",
		Long: `Make the fields and values of an old revision the current ones. That is a new
revision; nothing of the history is lost.`,
		Example: "  thumbturn item history github\n  thumbturn item revert github --revision 3",
	}, func(cmd *cobra.Command, o *Options) {
		cmd.Flags().Int64Var(&o.Revision, "revision", 0, "the `NUMBER` of the revision, from item history")
	}, Revert)
}

func newActivate(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:     "activate ITEM",
		Short:   "Make a proposed value the current one",
		Long:    "Make what an agent proposed the current value. `thumbturn item pending` lists what waits.",
		Example: "  thumbturn item activate github --vault team --field token",
	}, fieldFlag, func(ctx context.Context, o Options, name string) error { return Decide(ctx, o, name, true) })
}

func newReject(c *console.Console) *cobra.Command {
	return command(c, &cobra.Command{
		Use:     "reject ITEM",
		Short:   "Drop a proposed value",
		Example: "  thumbturn item reject github --vault team",
	}, fieldFlag, func(ctx context.Context, o Options, name string) error { return Decide(ctx, o, name, false) })
}

func fieldFlag(cmd *cobra.Command, o *Options) {
	cmd.Flags().StringVar(&o.Field, "field", "", "only this `FIELD`, by label or id; else all that waits")
}

// command completes a command over one item: its flags, and what it runs.
func command(c *console.Console, cmd *cobra.Command, flags func(*cobra.Command, *Options), run func(context.Context, Options, string) error) *cobra.Command {
	o := &Options{Console: c}
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), *o, args[0]) }
	cmd.Flags().StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	if flags != nil {
		flags(cmd, o)
	}
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

func (o Options) names(item string) api.ItemGet {
	return api.ItemGet{Ask: o.Ask, Vault: o.Vault, Item: item}
}

// Archive puts an item away, or brings it back.
func Archive(ctx context.Context, o Options, name string, back bool) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		in := o.names(name)
		in.Archived = back
		return o.Console.Parked(s.ItemArchive(ctx, in, o.Console.Waiting))
	})
}

// Move moves an item to another vault.
func Move(ctx context.Context, o Options, name string) error {
	if o.To == "" {
		return console.Usage("say where to with --destination-vault")
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		it, err := s.ItemMove(ctx, api.ItemMove{ItemGet: o.names(name), To: o.To}, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		return o.show(it)
	})
}

// Revert goes back to a revision.
func Revert(ctx context.Context, o Options, name string) error {
	if o.Revision <= 0 {
		return console.Usage("say which revision with --revision; `thumbturn item history` lists them")
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		got, err := s.ItemRevert(ctx, api.ItemRevert{ItemGet: o.names(name), Revision: o.Revision}, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		return o.show(got.Item)
	})
}

// Decide answers a proposal.
func Decide(ctx context.Context, o Options, name string, accept bool) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		got, err := s.ItemDecide(ctx, api.ItemDecide{ItemGet: o.names(name), Field: o.Field, Accept: accept}, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		return o.show(got.Item)
	})
}

func (o Options) show(it api.Item) error {
	shaped, err := shape.Of(it, nil)
	if err != nil {
		return err
	}
	return o.Console.Print(shaped, func(w io.Writer) { shape.Print(w, it, nil) })
}

// History lists revisions.
func History(ctx context.Context, o Options, name string) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		all, err := s.ItemHistory(ctx, o.names(name))
		if err != nil {
			return err
		}
		shaped := []revisionJSON{}
		for _, r := range all {
			it, err := shape.Of(r.Item, nil)
			if err != nil {
				return err
			}
			shaped = append(shaped, revisionJSON{it, r.Current})
		}
		return o.Console.Print(shaped, func(w io.Writer) {
			fmt.Fprintf(w, "%-8s  %-20s  %-20s  %s\n", "REVISION", "WRITTEN", "BY", "TITLE")
			for _, r := range all {
				note := ""
				if r.Current {
					note = " (current)"
				}
				fmt.Fprintf(w, "%-8d  %-20s  %-20s  %s%s\n", r.Version, shape.Stamp(r.Updated), canon.Escape(r.Editor), canon.Escape(r.Title), note)
			}
		})
	})
}

type revisionJSON struct {
	shape.JSON
	Current bool `json:"current"`
}

func newPending(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:     "pending",
		Short:   "List proposed values that wait for a person",
		Example: "  thumbturn item pending\n  thumbturn item activate github",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Pending(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.Vault, "vault", "", "only items of this `VAULT`")
	return cmd
}

// Pending lists the fields in which a proposed value waits.
func Pending(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		var ids []string
		err := s.Items(ctx, api.ItemList{Vault: o.Vault}, func(it api.Item) error {
			if it.Pending {
				ids = append(ids, it.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		waiting := []shape.Field{}
		for _, id := range ids {
			it, err := s.ItemGet(ctx, api.ItemGet{Item: id}, o.Console.Waiting)
			if err != nil {
				return err
			}
			for _, f := range it.Fields {
				if f.Pending {
					shaped, err := shape.FieldOf(f, nil, "")
					if err != nil {
						return err
					}
					waiting = append(waiting, shaped)
				}
			}
		}
		return o.Console.Print(waiting, func(w io.Writer) {
			for _, f := range waiting {
				fmt.Fprintln(w, canon.Escape(f.Reference))
			}
		})
	})
}

package item

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/sdk"
)

func newList(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List items",
		Example: "  thumbturn item list --vault team\n  thumbturn item list --tags prod --stale\n  thumbturn item list --format json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return List(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Vault, "vault", "", "only items of this `VAULT`")
	f.StringSliceVar(&o.Filter.Tags, "tags", nil, "only items that have one of these tags, or one below it (`TAG`/sub)")
	f.StringSliceVar(&o.Filter.Categories, "categories", nil, "only items of these `KINDS`")
	f.BoolVar(&o.Filter.Archived, "archived", false, "the items in the archive instead")
	f.BoolVar(&o.Filter.Pending, "pending", false, "only items in which a proposed value waits")
	f.StringVar(&o.Filter.Stale, "stale", "", "only items that expired, or expire within `DURATION`, such as 14d")
	f.Lookup("stale").NoOptDefVal = "0d"
	return cmd
}

// Filter chooses items of a list; its zero value chooses all that are current.
type Filter struct {
	Tags       []string
	Categories []string
	Archived   bool
	Pending    bool
	Stale      string // a duration; empty is no choice
}

// chooser makes the test that an item must pass.
func (f Filter) chooser(now time.Time) (func(api.Item) bool, error) {
	var until time.Time
	if f.Stale != "" {
		d, err := console.Duration(f.Stale)
		if err != nil {
			return nil, err
		}
		until = now.Add(d)
	}
	return func(it api.Item) bool {
		switch {
		case len(f.Tags) > 0 && !slices.ContainsFunc(f.Tags, func(t string) bool { return tagged(it.Tags, t) }):
		case len(f.Categories) > 0 && !slices.ContainsFunc(f.Categories, func(c string) bool { return categoryID(c) == it.Category }):
		case f.Pending && !it.Pending:
		case f.Stale != "" && (it.Expires == 0 || time.UnixMilli(it.Expires).After(until)):
		default:
			return true
		}
		return false
	}, nil
}

// tagged reports whether one of an item's tags is tag, or lies below it.
func tagged(tags []string, tag string) bool {
	return slices.ContainsFunc(tags, func(t string) bool {
		return strings.EqualFold(t, tag) || len(t) > len(tag) && strings.EqualFold(t[:len(tag)+1], tag+"/")
	})
}

// List prints items as they arrive. In JSON, a list cut short by an error lacks
// its closing bracket, so that nobody takes it for whole.
func List(ctx context.Context, o Options) error {
	chosen, err := o.Filter.chooser(o.Console.Now())
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(o.Console.Out, 64<<10)
	list := console.Array{Out: out}
	n := 0
	err = o.Console.Session(ctx, func(s *sdk.Client) error {
		err := s.Items(ctx, api.ItemList{Vault: o.Vault, Archived: o.Filter.Archived}, func(it api.Item) error {
			if !chosen(it) {
				return nil
			}
			if n++; n == 2 { // the first line is shown at once
				if err := out.Flush(); err != nil {
					return err
				}
			}
			if !o.Console.JSON() {
				if n == 1 {
					fmt.Fprintf(out, "%-26s  %-32s  %-20s  %s\n", "ID", "TITLE", "VAULT", "EDITED")
				}
				_, err := fmt.Fprintf(out, "%-26s  %-32s  %-20s  %s\n", it.ID, canon.Escape(it.Title),
					canon.Escape(it.Vault.Name), shape.Stamp(it.Updated))
				return err
			}
			it.Fields = nil
			shaped, err := shape.Of(it, nil)
			if err != nil {
				return err
			}
			return list.Add(shaped)
		})
		if err != nil || !o.Console.JSON() {
			return err
		}
		return list.End()
	})
	return errors.Join(err, out.Flush())
}

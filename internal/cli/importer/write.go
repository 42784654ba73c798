package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/foreign"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// taken is an item as it was, or would be, written.
type taken struct {
	Title    string   `json:"title"`
	Category string   `json:"category"`
	Fields   []string `json:"fields"`
}

// behind is what an item had that was not taken along.
type behind struct {
	Title string `json:"title"`
	What  string `json:"what"`
}

// report is what an import did, or would do.
type report struct {
	Format  foreign.Format    `json:"format"`
	Vault   string            `json:"vault"`
	DryRun  bool              `json:"dry_run"`
	Items   []taken           `json:"items"`
	Fields  int               `json:"fields"`
	Skipped []foreign.Skipped `json:"skipped"`
	Left    []behind          `json:"left_behind"`
	Open    int               `json:"not_reached"` // items that an error left for another time
}

// write makes the items, one after the other, and reports. An error ends it;
// what was written by then is reported, and a second run skips it.
func (o Options) write(ctx context.Context, e foreign.Export) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		v, err := o.vault(ctx, s)
		if err != nil {
			return err
		}
		have, err := titles(ctx, s, v)
		if err != nil {
			return err
		}
		r := report{Format: e.Format, Vault: v.Name, DryRun: o.DryRun, Items: []taken{}, Left: []behind{},
			Skipped: append([]foreign.Skipped{}, e.Skipped...)}
		p := o.Console.Progress("importing", int64(len(e.Items)))
		for i, it := range e.Items {
			if err = ctx.Err(); err == nil {
				err = o.one(ctx, s, v, it, have, &r)
			}
			if err != nil {
				r.Open = len(e.Items) - i
				break
			}
			p.Step(1)
		}
		p.Done()
		if len(r.Left) > 0 {
			o.Console.Say("WARNING: %s left behind: see the list", count(len(r.Left), "thing"))
		}
		return errors.Join(o.Console.Print(r, r.print), err)
	})
}

// made reports whether an item of that title came out of this very export.
func (r *report) made(title string) bool {
	return slices.ContainsFunc(r.Items, func(t taken) bool { return ref.Fold(t.Title) == ref.Fold(title) })
}

// one makes one item.
func (o Options) one(ctx context.Context, s *sdk.Client, v api.Vault, it foreign.Item, have map[string]bool, r *report) error {
	skip := func(why string) { r.Skipped = append(r.Skipped, foreign.Skipped{Title: it.Title, Reason: why}) }
	if len(it.Fields) == 0 && len(it.URLs) == 0 {
		r.leave(it)
		skip("holds nothing that can be taken")
		return nil
	}
	title := it.Title
	if have[ref.Fold(title)] {
		if o.Conflict == "skip" && !r.made(title) { // two of one title in the export are two items
			skip("an item of that title exists; --on-conflict rename takes it under another")
			return nil
		}
		title = free(title, have)
	}
	done := taken{Title: title, Category: it.Category, Fields: []string{}}
	in := api.ItemPut{Ask: o.Ask, Mode: "create", Vault: v.ID, Item: title, Title: title, Category: it.Category, Tags: it.Tags, URLs: it.URLs,
		Fields: []api.Field{}}
	var values [][]byte
	for _, f := range it.Fields {
		in.Fields = append(in.Fields, api.Field{Section: f.Section, Label: f.Label, Type: f.Type, Purpose: f.Purpose, Concealed: f.Concealed, Value: true})
		values = append(values, f.Value)
		done.Fields = append(done.Fields, label(f))
	}
	if !o.DryRun {
		_, err := s.ItemPut(ctx, in, values, o.Console.Waiting)
		if e := console.Fault(err); e != nil && (e.Kind == fault.Exists || e.Kind == fault.Usage) {
			skip("was refused: " + e.Msg) // this one; the next may pass
			return nil
		}
		if err != nil {
			return o.Console.Parked(err)
		}
	}
	have[ref.Fold(title)] = true
	r.Items = append(r.Items, done)
	r.Fields += len(done.Fields)
	r.leave(it)
	return nil
}

func (r *report) leave(it foreign.Item) {
	for _, what := range it.Left {
		r.Left = append(r.Left, behind{it.Title, what})
	}
}

func label(f foreign.Field) string {
	if f.Section == "" {
		return f.Label
	}
	return f.Section + "." + f.Label
}

func (r report) print(w io.Writer) {
	if r.DryRun {
		for _, it := range r.Items {
			fmt.Fprintf(w, "%s (%s):", canon.Escape(it.Title), it.Category)
			for i, f := range it.Fields {
				if i > 0 {
					fmt.Fprint(w, ",")
				}
				fmt.Fprintf(w, " %s", canon.Escape(f))
			}
			fmt.Fprintln(w)
		}
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "skipped %s: %s\n", canon.Escape(s.Title), canon.Escape(s.Reason))
	}
	for _, l := range r.Left {
		fmt.Fprintf(w, "LEFT BEHIND of %s: %s\n", canon.Escape(l.Title), canon.Escape(l.What))
	}
	verb := "imported"
	if r.DryRun {
		verb = "would be imported"
	}
	fmt.Fprintf(w, "%s with %s %s into %s, %d skipped\n", count(len(r.Items), "item"), count(r.Fields, "field"), verb, canon.Escape(r.Vault), len(r.Skipped))
	if r.Open > 0 {
		fmt.Fprintf(w, "stopped: %s not reached; run it again to go on\n", count(r.Open, "item"))
	}
}

// Package item is the commands item create, get, list, edit, delete and purge,
// and set and export. Assignments and output have the form of 1Password's CLI, so that scripts
// carry over.
package item

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the commands of this package take; each uses a part.
type Options struct {
	Console  *console.Console
	Ask      api.Ask
	Vault    string
	Title    string
	Category string
	Tags     []string
	URLs     []string
	Fields   string
	Reveal   bool
}

// New returns the item command with its subcommands.
func New(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "item", Short: "Create, show, change and delete items", Args: cobra.NoArgs,
		Example: "  thumbturn item list\n  thumbturn item get github --vault work"}
	cmd.AddCommand(newCreate(c), newGet(c), newList(c), newEdit(c), newDelete(c), newPurge(c))
	return cmd
}

const assignments = `An assignment is [section.]field[[type]]=value, with a backslash before . = [ ] \ in
names. Types: password (the default), text, email, url, phone, date, monthYear, otp.
A secret on the command line can be seen by other programs: prefer "thumbturn set".`

func newCreate(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "create [ASSIGNMENT]...",
		Short: "Create an item",
		Long:  "Create an item.\n\n" + assignments,
		Example: "  thumbturn item create --vault work --title github --url https://github.com username=ada\n" +
			"  thumbturn set op://work/github/password",
		RunE: func(cmd *cobra.Command, args []string) error { return Create(cmd.Context(), o, args) },
	}
	o.writeFlags(cmd)
	cmd.Flags().StringVar(&o.Category, "category", "Login", "the `KIND` of item, such as Login or \"API Credential\"")
	return cmd
}

func newEdit(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "edit ITEM [ASSIGNMENT]...",
		Short: "Change an item",
		Long: "Change an item. field[delete] removes a field, field[type] changes its type.\n\n" +
			assignments,
		Example: "  thumbturn item edit github --vault work username=grace 'old token[delete]'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return Edit(cmd.Context(), o, args[0], args[1:], cmd.Flags().Changed)
		},
	}
	o.writeFlags(cmd)
	return cmd
}

func (o *Options) writeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	f.StringVar(&o.Title, "title", "", "`TEXT` of the item's title")
	f.StringSliceVar(&o.Tags, "tags", nil, "tags, separated by commas")
	f.StringArrayVar(&o.URLs, "url", nil, "a `URL` the item belongs to; may be repeated")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
}

// warn says, once, that a secret stood on the command line.
func (o Options) warn(literal bool) {
	if literal {
		o.Console.Say("warning: a secret on the command line can be read by other programs; use `thumbturn set` instead")
	}
}

// Create makes an item.
func Create(ctx context.Context, o Options, args []string) error {
	if o.Vault == "" {
		return console.Usage("name a vault with --vault")
	}
	category := categoryID(o.Category)
	title := o.Title
	if title == "" {
		title = "Untitled " + o.Category + " item"
	}
	fs, values, literal, err := fields(args, nil)
	if err != nil {
		return err
	}
	defer sdk.Wipe(values...)
	o.warn(literal)
	return o.put(ctx, api.ItemPut{Ask: o.Ask, Mode: "create", Vault: o.Vault, Item: title, Title: title,
		Category: category, Tags: o.Tags, URLs: o.URLs, Fields: fs}, values)
}

// Edit changes an item. changed tells which flags were given.
func Edit(ctx context.Context, o Options, name string, args []string, changed func(string) bool) error {
	if len(args) == 0 && !changed("title") && !changed("tags") && !changed("url") {
		return console.Usage("nothing to change")
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		old, err := s.ItemGet(ctx, api.ItemGet{Vault: o.Vault, Item: name}, o.Console.Waiting)
		if err != nil {
			return err
		}
		fs, values, literal, err := fields(args, &old)
		if err != nil {
			return err
		}
		defer sdk.Wipe(values...)
		o.warn(literal)
		in := api.ItemPut{Ask: o.Ask, Mode: "edit", Vault: old.Vault.ID, Item: old.ID, Title: old.Title,
			Category: old.Category, Tags: old.Tags, URLs: old.URLs, Fields: fs}
		if changed("title") {
			in.Title = o.Title
		}
		if changed("tags") {
			in.Tags = o.Tags
		}
		if changed("url") {
			in.URLs = o.URLs
		}
		return o.send(ctx, s, in, values)
	})
}

func (o Options) put(ctx context.Context, in api.ItemPut, values [][]byte) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error { return o.send(ctx, s, in, values) })
}

func (o Options) send(ctx context.Context, s *sdk.Client, in api.ItemPut, values [][]byte) error {
	got, err := s.ItemPut(ctx, in, values, o.Console.Waiting)
	if err != nil {
		return o.Console.Parked(err)
	}
	if got.Proposed {
		o.Console.Say("the new value is proposed; a person has to activate it")
	}
	shaped, err := shapeItem(got.Item, nil)
	if err != nil {
		return err
	}
	return o.Console.Print(shaped, func(w io.Writer) { printItem(w, got.Item, nil) })
}

func newGet(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "get ITEM",
		Short: "Show an item",
		Long:  "Show an item. Concealed values stay concealed without --reveal, which may need an approval.",
		Example: "  thumbturn item get github --vault work\n" +
			"  thumbturn item get github --fields label=username,label=password --reveal",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return Get(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	f.StringVar(&o.Fields, "fields", "", "only the fields of `LIST`: label=NAME, type=TYPE or NAME, separated by commas")
	f.BoolVar(&o.Reveal, "reveal", false, "show concealed values")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

// Get shows an item or some of its fields.
func Get(ctx context.Context, o Options, name string) error {
	var sel selector
	if o.Fields != "" {
		var err error
		if sel, err = parseSelector(o.Fields); err != nil {
			return err
		}
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		it, err := s.ItemGet(ctx, api.ItemGet{Vault: o.Vault, Item: name}, o.Console.Waiting)
		if err != nil {
			return err
		}
		chosen := make([]int, len(it.Fields))
		for i := range chosen {
			chosen[i] = i
		}
		if o.Fields != "" {
			if chosen, err = sel.pick(it); err != nil {
				return err
			}
		}
		values := revealed{}
		defer func() {
			for _, v := range values {
				clear(v)
			}
		}()
		if o.Reveal {
			if err := o.reveal(ctx, s, it, chosen, values); err != nil {
				return o.Console.Parked(err)
			}
		}
		if o.Fields != "" {
			return printFields(o.Console, it, sel, chosen, values)
		}
		shaped, err := shapeItem(it, values)
		if err != nil {
			return err
		}
		return o.Console.Print(shaped, func(w io.Writer) { printItem(w, it, values) })
	})
}

// reveal asks for the chosen concealed values in one request.
func (o Options) reveal(ctx context.Context, s *sdk.Client, it api.Item, chosen []int, into revealed) error {
	want := api.Want{Ask: o.Ask, Sink: "reveal"}
	var at []int
	for _, i := range chosen {
		if f := it.Fields[i]; f.Concealed && f.Reference != "" {
			want.Refs = append(want.Refs, f.Reference)
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil
	}
	_, values, err := s.Release(ctx, want, o.Console.Waiting)
	if err != nil {
		return err
	}
	for n, i := range at {
		into[i] = values[n]
	}
	return nil
}

func newList(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List items",
		Example: "  thumbturn item list --vault work\n  thumbturn item list --format json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return List(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.Vault, "vault", "", "only items of this `VAULT`")
	return cmd
}

// List prints items as they arrive. In JSON, a list cut short by an error lacks
// its closing bracket, so that nobody takes it for whole.
func List(ctx context.Context, o Options) error {
	out := bufio.NewWriterSize(o.Console.Out, 64<<10)
	n := 0
	err := o.Console.Session(ctx, func(s *sdk.Client) error {
		err := s.Items(ctx, api.ItemList{Vault: o.Vault}, func(it api.Item) error {
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
					canon.Escape(it.Vault.Name), stamp(it.Updated))
				return err
			}
			it.Fields = nil
			shaped, err := shapeItem(it, nil)
			if err != nil {
				return err
			}
			b, err := json.MarshalIndent(shaped, "  ", "  ")
			if err != nil {
				return err
			}
			sep := ",\n  "
			if n == 1 {
				sep = "[\n  "
			}
			_, err = fmt.Fprintf(out, "%s%s", sep, b)
			return err
		})
		switch {
		case err != nil || !o.Console.JSON():
			return err
		case n == 0:
			_, err = io.WriteString(out, "[]\n")
		default:
			_, err = io.WriteString(out, "\n]\n")
		}
		return err
	})
	return errors.Join(err, out.Flush())
}

func newDelete(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:     "delete ITEM",
		Short:   "Delete an item",
		Example: "  thumbturn item delete github --vault work",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Console.Confirm("delete " + canon.Escape(args[0]) + "?"); err != nil {
				return err
			}
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				in := api.ItemGet{Ask: o.Ask, Vault: o.Vault, Item: args[0]}
				return o.Console.Parked(s.ItemDelete(cmd.Context(), in, o.Console.Waiting))
			})
		},
	}
	cmd.Flags().StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

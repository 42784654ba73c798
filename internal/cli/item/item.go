// Package item is the commands item create, get, list, edit, delete and purge,
// and set. Assignments and output have the form of 1Password's CLI, so that scripts
// carry over.
package item

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/internal/recipe"
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
	OTP      bool
	Write    Writing
	Filter   Filter
	files    console.Attached
}

// Writing is what create and edit take beside the fields.
type Writing struct {
	Template string // file, or "-"
	Recipe   string // of a generated password
	Expires  string
	DryRun   bool
}

// New returns the item command with its subcommands.
func New(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "item", Short: "Create, show, change and delete items", Args: cobra.NoArgs,
		Example: "  thumbturn item list\n  thumbturn item get github --vault team"}
	cmd.AddCommand(newCreate(c), newGet(c), newList(c), newEdit(c), newDelete(c), newPurge(c), newTemplate(c))
	return cmd
}

const assignments = `An assignment is [section.]field[[type]]=value, with a backslash before . = [ ] \ in
names. Types: password (the default), text, email, url, phone, date, monthYear, otp,
file: name[file]=PATH attaches a file of up to 256 MiB, [file]=PATH under its own name.
A secret on the command line can be seen by other programs: prefer "thumbturn set".`

func newCreate(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "create [ASSIGNMENT]...",
		Short: "Create an item",
		Long:  "Create an item.\n\n" + assignments,
		Example: "  thumbturn item create --vault team --title github --url https://github.com username=ada\n" +
			"  thumbturn set op://team/github/password",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("category") && o.Write.Template != "" || len(args) > 0 && args[0] == "-" {
				o.Category = "" // the template's
			}
			return Create(cmd.Context(), o, args)
		},
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
		Example: "  thumbturn item edit github --vault team username=grace 'old token[delete]'",
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
	f.StringVar(&o.Write.Template, "template", "", "take fields from the JSON in `FILE`; assignments beat it")
	f.StringVar(&o.Write.Recipe, "generate-password", "", "make a password by `RECIPE`: letters,digits,symbols,LENGTH")
	f.Lookup("generate-password").NoOptDefVal = recipe.Default
	f.StringVar(&o.Write.Expires, "expires", "", "`WHEN` the item should be renewed: 90d, 2027-01-31 or never")
	f.BoolVar(&o.Write.DryRun, "dry-run", false, "show what would be written, and write nothing")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
}

// warn says, once, that a secret stood on the command line.
func (o Options) warn(literal bool) {
	if literal {
		o.Console.Say("warning: a secret on the command line can be read by other programs; use `thumbturn set` instead")
	}
}

func (o Options) put(ctx context.Context, in api.ItemPut, values [][]byte) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error { return o.send(ctx, s, in, values) })
}

func (o Options) send(ctx context.Context, s *sdk.Client, in api.ItemPut, values [][]byte) error {
	var streams []string
	for _, f := range in.Fields {
		if f.Stream {
			streams = append(streams, key(f))
		}
	}
	long, err := o.files.Long(o.Console, streams)
	if err != nil {
		return err
	}
	got, err := s.ItemPutLong(ctx, in, values, long, o.Console.Waiting)
	if err != nil {
		return o.Console.Parked(err)
	}
	if got.Proposed {
		o.Console.Say("the new value is proposed; a person has to activate it")
	}
	shaped, err := shape.Of(got.Item, nil)
	if err != nil {
		return err
	}
	return o.Console.Print(shaped, func(w io.Writer) { shape.Print(w, got.Item, nil) })
}

func newGet(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "get ITEM",
		Short: "Show an item",
		Long:  "Show an item. Concealed values stay concealed without --reveal, which may need an approval.",
		Example: "  thumbturn item get github --vault team\n" +
			"  thumbturn item get github --fields label=username,label=password --reveal",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return Get(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	f.StringVar(&o.Fields, "fields", "", "only the fields of `LIST`: label=NAME, type=TYPE or NAME, separated by commas")
	f.BoolVar(&o.Reveal, "reveal", false, "show concealed values")
	f.BoolVar(&o.OTP, "otp", false, "print the item's one-time code and nothing else")
	f.BoolVar(&o.Filter.Archived, "include-archive", false, "look into the archive too")
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
		it, err := s.ItemGet(ctx, api.ItemGet{Vault: o.Vault, Item: name, Archived: o.Filter.Archived}, o.Console.Waiting)
		if err != nil {
			return err
		}
		if o.OTP {
			return o.code(ctx, s, it)
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
		values := shape.Values{}
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
		shaped, err := shape.Of(it, values)
		if err != nil {
			return err
		}
		return o.Console.Print(shaped, func(w io.Writer) { shape.Print(w, it, values) })
	})
}

// reveal asks for the chosen concealed values in one request.
func (o Options) reveal(ctx context.Context, s *sdk.Client, it api.Item, chosen []int, into shape.Values) error {
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

func newDelete(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	archive := false
	cmd := &cobra.Command{
		Use:     "delete ITEM",
		Short:   "Delete an item",
		Example: "  thumbturn item delete github --vault team",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Console.Confirm("delete " + canon.Escape(args[0]) + "?"); err != nil {
				return err
			}
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				in := api.ItemGet{Ask: o.Ask, Vault: o.Vault, Item: args[0]}
				if archive {
					return o.Console.Parked(s.ItemArchive(cmd.Context(), in, o.Console.Waiting))
				}
				return o.Console.Parked(s.ItemDelete(cmd.Context(), in, o.Console.Waiting))
			})
		},
	}
	cmd.Flags().StringVar(&o.Vault, "vault", "", "the `VAULT`, by name or id")
	cmd.Flags().BoolVar(&archive, "archive", false, "put it away instead; see item archive")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

package item

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/recipe"
)

// NewSet returns the set command.
func NewSet(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "set REF",
		Short: "Store a secret, typed hidden or read from standard input",
		Long: `Store a secret in the field that a reference names; the item is made where it
does not exist. At a terminal the value is typed without echo, else it is read
from standard input, less one newline at its end. With --generate-password it is
made here and never shown: an agent can renew a secret that it cannot read.`,
		Example: "  thumbturn set op://team/github/token\n  pass show github | thumbturn set op://team/github/token\n" +
			"  thumbturn set --generate-password=letters,digits,40 op://dev/db/password",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return Set(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Write.Recipe, "generate-password", "", "make the value by `RECIPE`: letters,digits,symbols,LENGTH")
	f.Lookup("generate-password").NoOptDefVal = recipe.Default
	f.AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

// Set stores one value.
func Set(ctx context.Context, o Options, reference string) error {
	in, err := target(reference)
	if err != nil {
		return err
	}
	in.Ask = o.Ask
	value, err := o.value(reference)
	if err != nil {
		return err
	}
	defer clear(value)
	if len(value) == 0 {
		return fault.New(fault.Usage, "set", reference, "the value is empty")
	}
	return o.put(ctx, in, [][]byte{value})
}

// value makes, asks for or reads the value of a field.
func (o Options) value(reference string) ([]byte, error) {
	switch {
	case o.Write.Recipe != "":
		r, err := o.recipe()
		if err != nil {
			return nil, err
		}
		return r.Generate(o.Console.Rand)
	case o.Console.InputIsTerminal:
		return o.Console.Prompt.Hidden("value of " + canon.Escape(reference) + ": ")
	}
	return o.Console.Stdin()
}

// target reads the reference of the one field that set writes.
func target(s string) (api.ItemPut, error) {
	r, err := console.Ref("set", s)
	if err != nil {
		return api.ItemPut{}, err
	}
	if r.Query != "" {
		return api.ItemPut{}, fault.New(fault.Usage, "set", s, "a query asks for something and cannot be written")
	}
	f := api.Field{Section: r.Section, Label: r.Field, Type: "CONCEALED", Concealed: true, Value: true}
	if _, purpose, ok := builtin(f.Section, f.Label); ok && purpose == "PASSWORD" {
		f.Purpose = purpose
	}
	return api.ItemPut{Mode: "set", Vault: r.Vault, Item: r.Item, Fields: []api.Field{f}}, nil
}

package item

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/internal/recipe"
	"github.com/thumbturn/thumbturn/sdk"
)

// Create makes an item out of a template and assignments.
func Create(ctx context.Context, o Options, args []string) error {
	t, args, err := o.base(args)
	if err != nil {
		return err
	}
	vault := o.Vault
	if vault == "" && t.Vault != nil {
		vault = cmp.Or(t.Vault.ID, t.Vault.Name)
	}
	if vault == "" {
		return console.Usage("name a vault with --vault")
	}
	category := categoryID(cmp.Or(o.Category, t.Category, "Login"))
	title := cmp.Or(o.Title, t.Title, "Untitled "+categoryName(category)+" item")
	o.files = console.Attached{}
	defer o.files.Close()
	in := api.ItemPut{Ask: o.Ask, Mode: "create", Vault: vault, Item: title, Title: title, Category: category, Tags: o.Tags, URLs: o.URLs}
	if len(in.Tags) == 0 {
		in.Tags = t.Tags
	}
	for _, u := range t.URLs {
		if len(o.URLs) == 0 {
			in.URLs = append(in.URLs, u.Href)
		}
	}
	values, err := o.content(&in, t, args, nil)
	if err != nil {
		return err
	}
	defer sdk.Wipe(values...)
	if o.Write.DryRun {
		return o.preview(in)
	}
	return o.put(ctx, in, values)
}

// Edit changes an item. changed tells which flags were given.
func Edit(ctx context.Context, o Options, name string, args []string, changed func(string) bool) error {
	t, args, err := o.base(args)
	if err != nil {
		return err
	}
	if len(args) == 0 && len(t.Fields) == 0 && t.Title == "" && !changed("title") && !changed("tags") && !changed("url") && !changed("expires") && !changed("generate-password") {
		return console.Usage("nothing to change")
	}
	o.files = console.Attached{}
	defer o.files.Close()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		old, err := s.ItemGet(ctx, api.ItemGet{Vault: o.Vault, Item: name}, o.Console.Waiting)
		if err != nil {
			return err
		}
		in := api.ItemPut{Ask: o.Ask, Mode: "edit", Vault: old.Vault.ID, Item: old.ID, Title: cmp.Or(t.Title, old.Title),
			Category: old.Category, Tags: old.Tags, URLs: old.URLs}
		if changed("title") {
			in.Title = o.Title
		}
		if changed("tags") {
			in.Tags = append([]string{}, o.Tags...)
		}
		if changed("url") {
			in.URLs = o.URLs
		}
		values, err := o.content(&in, t, args, &old)
		if err != nil {
			return err
		}
		defer sdk.Wipe(values...)
		if o.Write.DryRun {
			return o.preview(in)
		}
		return o.send(ctx, s, in, values)
	})
}

// base reads the template, if there is one. "-" as the first argument is a
// template on standard input. A recipe is looked at first: what is wrong on the
// command line is said before anything is read or asked.
func (o Options) base(args []string) (template, []string, error) {
	if _, err := o.recipe(); err != nil {
		return template{}, nil, err
	}
	stdin := len(args) > 0 && args[0] == "-"
	switch {
	case stdin && o.Write.Template != "":
		return template{}, nil, console.Usage("a template comes from standard input or from --template, not from both")
	case stdin:
		t, err := o.readTemplate("-")
		return t, args[1:], err
	case o.Write.Template != "":
		t, err := o.readTemplate(o.Write.Template)
		return t, args, err
	}
	return template{}, args, nil
}

// content fills in the fields of a write, and returns their values apart.
func (o Options) content(in *api.ItemPut, t template, args []string, old *api.Item) ([][]byte, error) {
	expires, err := expiry(o.Write.Expires, o.Console.Now())
	if err != nil {
		return nil, err
	}
	in.Expires = expires
	fs, values, literal, err := fields(args, old, o.files)
	if err != nil {
		return nil, err
	}
	o.warn(literal)
	base, baseValues := t.fields()
	keepConcealed(base, old)
	in.Fields, values = merge(base, baseValues, fs, values)
	if o.Write.Recipe == "" {
		return values, nil
	}
	r, err := o.recipe()
	if err != nil {
		return nil, err
	}
	name := "password"
	if in.Category == "API_CREDENTIAL" {
		name = "credential"
	}
	made, err := r.Generate(o.Console.Rand)
	if err != nil {
		return nil, err
	}
	typ, purpose, _ := builtin("", name)
	in.Fields, values = merge(in.Fields, values, []api.Field{{Label: name, Type: typ, Purpose: purpose, Concealed: true, Value: true}}, [][]byte{made})
	return values, nil
}

// recipe reads that of a generated password, if there is one.
func (o Options) recipe() (r recipe.Recipe, err error) {
	if o.Write.Recipe == "" {
		return r, nil
	}
	if r, err = recipe.Parse(o.Write.Recipe); err != nil {
		return r, console.Usage("%v", err)
	}
	return r, nil
}

// preview prints what a write would write, without values.
func (o Options) preview(in api.ItemPut) error {
	it := api.Item{ID: in.Item, Title: in.Title, Vault: api.Vault{ID: in.Vault, Name: in.Vault}, Category: in.Category, Tags: in.Tags, URLs: in.URLs, Fields: in.Fields}
	if in.Expires != nil {
		it.Expires = *in.Expires
	}
	shaped, err := shape.Of(it, nil)
	if err != nil {
		return err
	}
	return o.Console.Print(shaped, func(w io.Writer) {
		_, _ = io.WriteString(w, "would write:\n")
		shape.Print(w, it, nil)
	})
}

// expiry reads when an item expires: a duration from now, a day, or never. Empty
// is no statement.
func expiry(s string, now time.Time) (*int64, error) {
	if s == "" {
		return nil, nil
	}
	var at int64
	if s != "never" {
		if day, err := time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
			at = day.UnixMilli()
		} else if d, err := console.Duration(s); err == nil {
			at = now.Add(d).UnixMilli()
		} else {
			return nil, err
		}
	}
	return &at, nil
}

package item

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// maxTemplate bounds a template, in bytes.
const maxTemplate = 32 << 20

// template is an item as JSON, to create or change one: what item get prints and
// item template get gives, 1Password's form.
type template struct {
	Title    string          `json:"title"`
	Category string          `json:"category"`
	Vault    *shape.Vault    `json:"vault,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	URLs     []shape.URL     `json:"urls,omitempty"`
	Sections []shape.Section `json:"sections,omitempty"`
	Fields   []templateField `json:"fields"`
}

type templateField struct {
	ID      string         `json:"id"`
	Section *shape.Section `json:"section,omitempty"`
	Type    string         `json:"type"`
	Purpose string         `json:"purpose,omitempty"`
	Label   string         `json:"label"`
	Value   string         `json:"value"`
}

// parseTemplate reads a template. Members that it does not know are passed over:
// what item get printed must be good to come back.
func parseTemplate(b []byte) (template, error) {
	var t template
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&t); err != nil {
		at := int64(0)
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = e.Offset
		}
		return t, console.Usage("the template is not JSON of an item (near byte %d)", at) // the error may quote a value
	}
	if _, err := d.Token(); err != io.EOF {
		return t, console.Usage("the template goes on after its end")
	}
	return t, nil
}

// readTemplate reads a template from a file, or from standard input for "-".
func (o Options) readTemplate(name string) (template, error) {
	if name == "-" {
		b, err := io.ReadAll(io.LimitReader(o.Console.In, maxTemplate+1))
		defer clear(b)
		if err != nil || len(b) > maxTemplate {
			return template{}, fault.New(fault.Usage, "item", "", "standard input holds no template, or too large a one")
		}
		return parseTemplate(b)
	}
	fi, err := os.Stat(name) // a pipe of the shell is good as well
	if err == nil && fi.Size() > maxTemplate {
		err = fs.ErrInvalid
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(name)
	}
	defer clear(b)
	if err != nil {
		return template{}, fault.New(fault.Unavailable, "item", canon.Escape(name), "the template cannot be read")
	}
	return parseTemplate(b)
}

// fields gives what a template would write: fields, and their values apart. A
// field without value only describes, and is left out unless it is custom. One
// without type is concealed, as an assignment's is, and "password" is the same
// type here as there: nothing is written down in plain by a word left out.
func (t template) fields() (out []api.Field, values [][]byte) {
	for _, f := range t.Fields {
		label := f.Label
		if label == "" {
			label = f.ID
		}
		if label == "" {
			continue
		}
		w := api.Field{Label: label, Type: strings.ToUpper(f.Type), Purpose: f.Purpose}
		if f.Section != nil {
			w.Section = f.Section.Label
			if w.Section == "" {
				w.Section = f.Section.ID
			}
		}
		if typ, purpose, ok := builtin(w.Section, label); ok {
			w.Type, w.Purpose = typ, purpose
		}
		if w.Type == "" {
			w.Type = "CONCEALED"
		} else if typ, ok := jsonType(w.Type); ok {
			w.Type = typ
		}
		if w.Concealed = concealed(w.Type); f.Value == "" {
			if w.Purpose != "" || f.Section == nil {
				continue
			}
		} else {
			w.Value = true
			values = append(values, []byte(f.Value))
		}
		out = append(out, w)
	}
	return out, values
}

// keepConcealed leaves concealed what the item conceals, whatever type a template
// gives it: text stands in the metadata, which opens without an approval.
func keepConcealed(fs []api.Field, old *api.Item) {
	if old == nil {
		return
	}
	for i := range fs {
		for _, was := range old.Fields {
			if was.Concealed && strings.EqualFold(fs[i].Label, was.Label) && strings.EqualFold(fs[i].Section, was.Section) {
				fs[i].Type, fs[i].Concealed = was.Type, true
			}
		}
	}
}

// merge puts the assignments' fields over the template's: an assignment beats a
// template.
func merge(base []api.Field, baseValues [][]byte, over []api.Field, overValues [][]byte) ([]api.Field, [][]byte) {
	var out []api.Field
	var values [][]byte
	next := 0
	for _, f := range base {
		beaten := false
		for _, g := range over {
			beaten = beaten || strings.EqualFold(f.Label, g.Label) && strings.EqualFold(f.Section, g.Section)
		}
		if f.Value {
			if !beaten {
				values = append(values, baseValues[next])
			}
			next++
		}
		if !beaten {
			out = append(out, f)
		}
	}
	return append(out, over...), append(values, overValues...)
}

// blanks are the fields that items of a category begin with.
func blanks(category string) []string {
	switch category {
	case "LOGIN":
		return []string{"username", "password", "notesPlain"}
	case "PASSWORD":
		return []string{"password", "notesPlain"}
	case "API_CREDENTIAL":
		return []string{"username", "credential", "hostname", "filename", "notesPlain"}
	case "DATABASE":
		return []string{"hostname", "port", "database", "username", "password", "notesPlain"}
	case "SERVER":
		return []string{"hostname", "username", "password", "notesPlain"}
	case "SSH_KEY":
		return []string{"private key", "notesPlain"}
	}
	return []string{"notesPlain"}
}

func newTemplate(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Show the kinds of items and what they are made of", Args: cobra.NoArgs,
		Example: "  thumbturn item template list\n  thumbturn item template get Login > login.json"}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the kinds of items", Args: cobra.NoArgs, Example: "  thumbturn item template list",
		RunE: func(*cobra.Command, []string) error {
			type kind struct {
				UUID string `json:"uuid"`
				Name string `json:"name"`
			}
			var kinds []kind
			for _, id := range categories() {
				kinds = append(kinds, kind{id, categoryName(id)})
			}
			return c.Print(kinds, func(w io.Writer) {
				for _, k := range kinds {
					_, _ = io.WriteString(w, k.Name+"\n")
				}
			})
		},
	}, &cobra.Command{
		Use: "get CATEGORY", Short: "Print an item of a kind to fill in", Args: cobra.ExactArgs(1),
		Long:    "Print an item of a kind as JSON, to fill in and give to `thumbturn item create --template`.",
		Example: "  thumbturn item template get 'API Credential' > key.json\n  thumbturn item create --vault dev --template key.json",
		RunE: func(_ *cobra.Command, args []string) error {
			id := categoryID(args[0])
			known := false
			for _, k := range categories() {
				known = known || k == id
			}
			if !known {
				return fault.New(fault.NotFound, "item template", canon.Escape(args[0]), "there is no such kind of item").
					WithHint("`thumbturn item template list` shows them")
			}
			t := template{Category: id}
			for _, name := range blanks(id) {
				typ, purpose, _ := builtin("", name)
				t.Fields = append(t.Fields, templateField{ID: name, Type: typ, Purpose: purpose, Label: name})
			}
			return c.PrintJSON(t)
		},
	})
	return cmd
}

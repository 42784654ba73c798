package item

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// The JSON of items, as 1Password's CLI prints it: snake_case, times in RFC
// 3339, an empty value left out.
type (
	itemJSON struct {
		ID       string        `json:"id"`
		Title    string        `json:"title"`
		Tags     []string      `json:"tags,omitempty"`
		Version  int64         `json:"version"`
		Vault    vaultJSON     `json:"vault"`
		Category string        `json:"category"`
		Editor   string        `json:"last_edited_by,omitempty"`
		Created  string        `json:"created_at"`
		Updated  string        `json:"updated_at"`
		URLs     []urlJSON     `json:"urls,omitempty"`
		Sections []sectionJSON `json:"sections,omitempty"`
		Fields   []fieldJSON   `json:"fields,omitempty"`
	}
	vaultJSON struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	urlJSON struct {
		Primary bool   `json:"primary,omitempty"`
		Href    string `json:"href"`
	}
	sectionJSON struct {
		ID    string `json:"id"`
		Label string `json:"label,omitempty"`
	}
	fieldJSON struct {
		ID        string       `json:"id"`
		Section   *sectionJSON `json:"section,omitempty"`
		Type      string       `json:"type"`
		Purpose   string       `json:"purpose,omitempty"`
		Label     string       `json:"label"`
		Value     string       `json:"value,omitempty"`
		Reference string       `json:"reference,omitempty"`
		Pending   bool         `json:"pending,omitempty"`  // ours: a proposed value waits
		Encoding  string       `json:"encoding,omitempty"` // ours: base64, for a value that is not text; in exports alone
	}
)

// revealed holds the values of concealed fields by the field's index; without
// --reveal it is empty.
type revealed map[int][]byte

func shapeItem(it api.Item, values revealed) (itemJSON, error) {
	out := itemJSON{ID: it.ID, Title: it.Title, Tags: it.Tags, Version: it.Version,
		Vault: vaultJSON{it.Vault.ID, it.Vault.Name}, Category: it.Category, Editor: it.Editor,
		Created: stamp(it.Created), Updated: stamp(it.Updated)}
	for i, u := range it.URLs {
		out.URLs = append(out.URLs, urlJSON{Primary: i == 0, Href: u})
	}
	for i, f := range it.Fields {
		if f.Section != "" && !slices.ContainsFunc(out.Sections, func(s sectionJSON) bool { return s.ID == f.Section }) {
			out.Sections = append(out.Sections, sectionJSON{f.Section, f.Section})
		}
		fj, err := shapeField(f, values[i], "")
		if err != nil {
			return out, err
		}
		out.Fields = append(out.Fields, fj)
	}
	return out, nil
}

// shapeField gives one field; hidden stands for a concealed value that was not
// revealed.
func shapeField(f api.Field, value []byte, hidden string) (fieldJSON, error) {
	out := fieldJSON{ID: f.ID, Type: f.Type, Purpose: f.Purpose, Label: f.Label,
		Value: f.Text, Reference: f.Reference, Pending: f.Pending}
	if f.Section != "" {
		out.Section = &sectionJSON{f.Section, f.Section}
	}
	switch {
	case f.Concealed && value == nil:
		out.Value = hidden
	case f.Concealed && !utf8.Valid(value):
		return out, fault.New(fault.Usage, "item get", f.Reference, "the value is not text and cannot stand in this output").
			WithHint("write it to a file with: thumbturn read --out-file FILE " + f.Reference)
	case f.Concealed:
		out.Value = string(value)
	}
	return out, nil
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// hiddenText stands where a concealed value would.
func hiddenText(id string) string {
	return fmt.Sprintf("[use 'thumbturn item get %s --reveal' to reveal]", id)
}

// printItem writes the human layout.
func printItem(w io.Writer, it api.Item, values revealed) {
	row := func(label, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-11s %s\n", label+":", canon.Escape(text))
		}
	}
	row("ID", it.ID)
	row("Title", it.Title)
	row("Vault", it.Vault.Name+" ("+it.Vault.ID+")")
	row("Created", stamp(it.Created))
	by := ""
	if it.Editor != "" {
		by = " by " + it.Editor
	}
	row("Updated", stamp(it.Updated)+by)
	row("Version", fmt.Sprint(it.Version))
	row("Category", it.Category)
	row("Tags", strings.Join(it.Tags, ", "))
	if len(it.Fields) > 0 {
		fmt.Fprintln(w, "Fields:")
	}
	for i, f := range it.Fields {
		label := f.Label
		if f.Section != "" {
			label = f.Section + "." + label
		}
		text := f.Text
		if f.Concealed {
			text = hiddenText(it.ID)
			if values[i] != nil {
				text = string(values[i])
			}
		}
		if f.Pending {
			text += " (a proposed value waits)"
		}
		fmt.Fprintf(w, "  %-20s %s\n", canon.Escape(label)+":", canon.Escape(text))
	}
	if len(it.URLs) > 0 {
		fmt.Fprintln(w, "URLs:")
	}
	for _, u := range it.URLs {
		fmt.Fprintf(w, "  %s\n", canon.Escape(u))
	}
}

// selector is a parsed --fields: which fields, and whether by type, which makes
// the JSON an array even for one match.
type selector struct {
	labels []string
	types  []string
}

func parseSelector(s string) (selector, error) {
	var out selector
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if l, ok := strings.CutPrefix(part, "label="); ok && l != "" {
			out.labels = append(out.labels, l)
		} else if t, ok := strings.CutPrefix(part, "type="); ok && t != "" {
			out.types = append(out.types, t)
		} else if part != "" && !ok && !strings.HasPrefix(part, "label=") {
			out.labels = append(out.labels, part)
		} else {
			return out, console.Usage("--fields wants label=NAME, type=TYPE or NAME, separated by commas")
		}
	}
	return out, nil
}

// pick returns the indexes of the chosen fields, in the order asked for.
func (s selector) pick(it api.Item) ([]int, error) {
	var out []int
	add := func(match func(api.Field) bool) int {
		n := 0
		for i, f := range it.Fields {
			if match(f) {
				n++
				if !slices.Contains(out, i) {
					out = append(out, i)
				}
			}
		}
		return n
	}
	for _, l := range s.labels {
		n := add(func(f api.Field) bool { return f.Label == l || f.ID == l || f.Section+"."+f.Label == l })
		if n == 0 {
			return nil, fault.New(fault.NotFound, "item get", it.ID, fmt.Sprintf("the item has no field %q", l))
		}
	}
	for _, t := range s.types {
		want := t
		if j, ok := jsonType(t); ok {
			want = j
		}
		add(func(f api.Field) bool { return strings.EqualFold(f.Type, want) })
	}
	return out, nil
}

// printFields writes the chosen fields: one CSV line, or as JSON one object for
// a single label and an array otherwise.
func printFields(c *console.Console, it api.Item, sel selector, chosen []int, values revealed) error {
	var shaped []fieldJSON
	for _, i := range chosen {
		f, err := shapeField(it.Fields[i], values[i], hiddenText(it.ID))
		if err != nil {
			return err
		}
		shaped = append(shaped, f)
	}
	if c.JSON() {
		if len(shaped) == 1 && len(sel.types) == 0 {
			return c.PrintJSON(shaped[0])
		}
		return c.PrintJSON(append([]fieldJSON{}, shaped...))
	}
	row := make([]string, len(shaped))
	for i, f := range shaped {
		row[i] = f.Value
	}
	w := csv.NewWriter(c.Out)
	if err := w.Write(row); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// Package shape is what an item looks like: as JSON, in the form that 1Password's
// CLI gives it, and to people.
package shape

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// The JSON of items: snake_case, times in RFC 3339, an empty value left out.
type (
	// JSON is an item.
	JSON struct {
		ID       string    `json:"id"`
		Title    string    `json:"title"`
		Tags     []string  `json:"tags,omitempty"`
		Version  int64     `json:"version"`
		Vault    Vault     `json:"vault"`
		Category string    `json:"category"`
		Editor   string    `json:"last_edited_by,omitempty"`
		Created  string    `json:"created_at"`
		Updated  string    `json:"updated_at"`
		Expires  string    `json:"expires_at,omitempty"` // ours
		Archived bool      `json:"archived,omitempty"`   // ours
		Pending  bool      `json:"pending,omitempty"`    // ours: a proposed value waits
		URLs     []URL     `json:"urls,omitempty"`
		Sections []Section `json:"sections,omitempty"`
		Fields   []Field   `json:"fields,omitempty"`
	}
	// Vault is the vault of an item.
	Vault struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	// URL is an address of an item.
	URL struct {
		Primary bool   `json:"primary,omitempty"`
		Href    string `json:"href"`
	}
	// Section is a section of fields.
	Section struct {
		ID    string `json:"id"`
		Label string `json:"label,omitempty"`
	}
	// Field is a field.
	Field struct {
		ID        string   `json:"id"`
		Section   *Section `json:"section,omitempty"`
		Type      string   `json:"type"`
		Purpose   string   `json:"purpose,omitempty"`
		Label     string   `json:"label"`
		Value     string   `json:"value,omitempty"`
		Reference string   `json:"reference,omitempty"`
		Pending   bool     `json:"pending,omitempty"`  // ours: a proposed value waits
		Encoding  string   `json:"encoding,omitempty"` // ours: base64, for a value that is not text; in exports alone
	}
)

// Values are the values of concealed fields by the field's index; without
// --reveal it is empty.
type Values map[int][]byte

// Of gives an item. A concealed value that is not text is fault.Usage.
func Of(it api.Item, values Values) (JSON, error) {
	out := JSON{ID: it.ID, Title: it.Title, Tags: it.Tags, Version: it.Version,
		Vault: Vault{it.Vault.ID, it.Vault.Name}, Category: it.Category, Editor: it.Editor,
		Created: Stamp(it.Created), Updated: Stamp(it.Updated), Archived: it.Archived, Pending: it.Pending}
	if it.Expires != 0 {
		out.Expires = Stamp(it.Expires)
	}
	for i, u := range it.URLs {
		out.URLs = append(out.URLs, URL{Primary: i == 0, Href: u})
	}
	for i, f := range it.Fields {
		if f.Section != "" && !slices.ContainsFunc(out.Sections, func(s Section) bool { return s.ID == f.Section }) {
			out.Sections = append(out.Sections, Section{f.Section, f.Section})
		}
		fj, err := FieldOf(f, values[i], "")
		if err != nil {
			return out, err
		}
		out.Fields = append(out.Fields, fj)
	}
	return out, nil
}

// FieldOf gives one field; hidden stands for a concealed value that was not
// Values.
func FieldOf(f api.Field, value []byte, hidden string) (Field, error) {
	out := Field{ID: f.ID, Type: f.Type, Purpose: f.Purpose, Label: f.Label,
		Value: f.Text, Reference: f.Reference, Pending: f.Pending}
	if f.Section != "" {
		out.Section = &Section{f.Section, f.Section}
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

// Stamp is a time in unix milliseconds, in RFC 3339.
func Stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// Hidden stands where a concealed value would.
func Hidden(id string) string {
	return fmt.Sprintf("[use 'thumbturn item get %s --reveal' to reveal]", id)
}

// Print writes an item as people read it.
func Print(w io.Writer, it api.Item, values Values) {
	row := func(label, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-11s %s\n", label+":", canon.Escape(text))
		}
	}
	row("ID", it.ID)
	row("Title", it.Title)
	row("Vault", it.Vault.Name+" ("+it.Vault.ID+")")
	row("Created", Stamp(it.Created))
	by := ""
	if it.Editor != "" {
		by = " by " + it.Editor
	}
	row("Updated", Stamp(it.Updated)+by)
	row("Version", fmt.Sprint(it.Version))
	row("Category", it.Category)
	row("Tags", strings.Join(it.Tags, ", "))
	if it.Expires != 0 {
		row("Expires", Stamp(it.Expires))
	}
	if it.Archived {
		row("Archived", "yes; `thumbturn item unarchive` brings it back")
	}
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
			text = Hidden(it.ID)
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

package item

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
)

// assignment is one argument of item create and item edit:
//
//	[section.]field[[type]]=value    [section.]field[type]    [section.]field[delete]
//
// A backslash escapes ".", "=", "[", "]" and itself in names; values are taken
// as they are. The grammar is that of 1Password's CLI.
type assignment struct {
	section, field string
	typ            string // JSON type; empty when none was given
	value          string
	set            bool // there was a "="
	remove         bool
}

// jsonType maps an assignment type to the type in JSON.
func jsonType(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "password", "concealed":
		return "CONCEALED", true
	case "text", "string":
		return "STRING", true
	case "monthyear":
		return "MONTH_YEAR", true
	case "email", "url", "phone", "date", "otp", "sshkey":
		return strings.ToUpper(s), true
	}
	return "", false
}

// concealed lists the types whose values are sealed.
func concealed(typ string) bool {
	return typ == "CONCEALED" || typ == "OTP" || typ == "SSHKEY" || typ == "CREDIT_CARD_NUMBER" || typ == typeFile
}

// typeFile is the type of a file attached to an item. Its content is a value
// like any other, and its label is the file's name.
const typeFile = "FILE"

// parseAssignment reads one argument. Its errors never show the value.
func parseAssignment(arg string) (assignment, error) {
	var a assignment
	var name strings.Builder
	names := []string{}
	i := 0
scan:
	for ; i < len(arg); i++ {
		switch c := arg[i]; c {
		case '\\':
			if i+1 == len(arg) || !strings.ContainsRune(`.=\[]`, rune(arg[i+1])) {
				return a, console.Usage(`a backslash in a name escapes one of . = [ ] \`)
			}
			i++
			name.WriteByte(arg[i])
		case '.':
			names = append(names, name.String())
			name.Reset()
		case '=', '[':
			break scan
		default:
			name.WriteByte(c)
		}
	}
	names = append(names, name.String())
	if path, ok := strings.CutPrefix(arg[i:], "[file]="); ok && len(names) == 1 && names[0] == "" {
		names[0] = filepath.Base(path)
	}
	for _, n := range names {
		if n == "" {
			return a, console.Usage("an assignment has an empty name; write [section.]field[[type]]=value")
		}
	}
	switch len(names) {
	case 1:
		a.field = names[0]
	case 2:
		a.section, a.field = names[0], names[1]
	default:
		return a, console.Usage(`an assignment's name has more than one "."; escape those that are part of it with a backslash`)
	}
	return a.parseTail(arg[i:])
}

// parseTail reads what follows the names: "[type]", "=value" or both.
func (a assignment) parseTail(s string) (assignment, error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		word, after, ok := strings.Cut(rest, "]")
		if !ok {
			return a, console.Usage("%q: the type lacks its closing bracket", a.name())
		}
		s = after
		if word == "delete" {
			if s != "" {
				return a, console.Usage("%q: [delete] takes no value", a.name())
			}
			a.remove = true
			return a, nil
		}
		typ, known := jsonType(word)
		if word == "file" {
			typ, known = typeFile, true
		}
		if !known {
			return a, console.Usage("%q: unknown type; use password, text, email, url, phone, date, monthYear, otp or file", a.name())
		}
		a.typ = typ
	}
	if s == "" && a.typ != "" {
		return a, nil
	}
	value, ok := strings.CutPrefix(s, "=")
	if !ok {
		// The name is not shown: without a "=", it may be the value.
		return a, console.Usage("an assignment lacks its value; write [section.]field[[type]]=value")
	}
	a.value, a.set = value, true
	return a, nil
}

func (a assignment) key() string { return key(api.Field{Section: a.section, Label: a.field}) }

// key tells fields apart.
func key(f api.Field) string { return fmt.Sprintf("%q.%q", f.Section, f.Label) }

func (a assignment) name() string {
	if a.section == "" {
		return a.field
	}
	return a.section + "." + a.field
}

// builtin gives type and purpose of the fields that 1Password's categories
// bring along; they need no type in an assignment.
func builtin(section, label string) (typ, purpose string, ok bool) {
	if section != "" {
		return "", "", false
	}
	switch label {
	case "username":
		return "STRING", "USERNAME", true
	case "password":
		return "CONCEALED", "PASSWORD", true
	case "notesPlain":
		return "STRING", "NOTES", true
	case "credential":
		return "CONCEALED", "", true
	case "hostname", "port", "database", "filename":
		return "STRING", "", true
	case "private key":
		return "SSHKEY", "", true
	}
	return "", "", false
}

// fields turns assignments into what is sent: fields, and apart from them their
// values, in order, so that none is ever part of JSON. old is the item as it is, or nil for a
// new one. literal tells that a secret stood on the command line. Files too long to
// be held are added to files.
func fields(args []string, old *api.Item, files console.Attached) (out []api.Field, values [][]byte, literal bool, err error) {
	seen := map[string]bool{}
	for _, arg := range args {
		a, err := parseAssignment(arg)
		if err != nil {
			return nil, nil, false, err
		}
		if seen[a.key()] {
			return nil, nil, false, console.Usage("%q is assigned twice", a.name())
		}
		seen[a.key()] = true
		f, err := a.against(old)
		if err != nil {
			return nil, nil, false, err
		}
		switch {
		case a.typ == typeFile && a.set:
			content, err := files.Add(key(f), a.value)
			if err != nil {
				return nil, nil, false, err
			}
			if f.Value = content != nil; f.Value {
				values = append(values, content)
			}
			f.Stream = !f.Value
		case f.Value:
			values = append(values, []byte(a.value))
			literal = literal || f.Concealed && a.value != ""
		}
		out = append(out, f)
	}
	return out, values, literal, nil
}

// against completes an assignment with the type that the field has already, or
// has by its name; a new custom field is a password.
func (a assignment) against(old *api.Item) (api.Field, error) {
	f := api.Field{Section: a.section, Label: a.field, Type: "CONCEALED", Delete: a.remove}
	if typ, purpose, ok := builtin(a.section, a.field); ok {
		f.Type, f.Purpose = typ, purpose
	}
	was, err := find(old, a)
	if err != nil {
		return f, err
	}
	if was != nil {
		f.ID, f.Section, f.Label, f.Type, f.Purpose = was.ID, was.Section, was.Label, was.Type, was.Purpose
	}
	f.Concealed = concealed(f.Type) || was != nil && was.Concealed
	if a.typ != "" {
		f.Type, f.Concealed = a.typ, concealed(a.typ)
	}
	if was == nil && !a.set {
		return f, console.Usage("%q: the item has no such field", a.name())
	}
	f.Value = a.set
	return f, nil
}

// find looks for the field that an assignment means. The section may be left
// out while only one section has such a field.
func find(old *api.Item, a assignment) (*api.Field, error) {
	if old == nil {
		return nil, nil
	}
	var hits []*api.Field
	for i := range old.Fields {
		f := &old.Fields[i]
		if f.Label != a.field && f.ID != a.field {
			continue
		}
		if f.Section == a.section {
			return f, nil
		}
		if a.section == "" {
			hits = append(hits, f)
		}
	}
	switch len(hits) {
	case 0:
		return nil, nil
	case 1:
		return hits[0], nil
	}
	return nil, console.Usage("%q stands in several sections; write section.%s", a.field, a.field)
}

// Package foreign reads what other password managers export. It is pure: who
// calls it opens the files and wipes them.
//
// Readers refuse what they do not understand instead of guessing, bound the
// work that hostile input can cause, and take everything or nothing: an export
// that is cut short or malformed gives an error and no item. Errors name a
// place in the file and never show any of its text.
//
// Values alias the data that was read where the format allows it, so that there
// is one copy to wipe: Export.Wipe does. What a person hid in
// the other program is concealed here too; so are notes, which often hold
// secrets, and every field of unknown kind.
package foreign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/strict"
	"github.com/thumbturn/thumbturn/ref"
)

// Format is a kind of export.
type Format string

// The formats.
const (
	OnePasswordJSON Format = "1password-json" // op item get --format json --reveal
	OnePUX          Format = "1pux"           // 1Password's unencrypted export
	Bitwarden       Format = "bitwarden"      // unencrypted JSON
	KeePassXML      Format = "keepass-xml"    // KeePass 2, XML
	Pass            Format = "pass"           // a password-store directory
	CSV             Format = "csv"            // browsers, Apple, LastPass, Bitwarden
)

// Formats lists all of them.
func Formats() []Format {
	return []Format{OnePasswordJSON, OnePUX, Bitwarden, KeePassXML, Pass, CSV}
}

// Limits on an export.
const (
	MaxData  = 64 << 20 // bytes of text, after decompression
	MaxItems = 100_000
)

const (
	maxFields = 1000      // of an item
	maxName   = 1024      // bytes of a title, label, tag or address
	maxText   = 768 << 10 // bytes of JSON for an item's names and open values; the store takes 1 MiB
	overhead  = 300       // bytes of JSON for a field, its name and value aside
	maxDepth  = 64        // of nested elements
)

// Value is the value of a field. It prints and encodes as a placeholder.
type Value []byte

// Format prints the placeholder whatever the verb.
func (Value) Format(s fmt.State, _ rune) { io.WriteString(s, "[value]") }

// MarshalJSON encodes the placeholder.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"[value]"`), nil }

// Field is a field of an item, in the words of package api.
type Field struct {
	Section, Label, Type, Purpose string
	Concealed                     bool
	Value                         Value
}

// Item is one item of an export.
type Item struct {
	Title    string
	Category string // as in JSON: LOGIN, API_CREDENTIAL …
	Vault    string // where it stood; empty when the format does not tell
	Tags     []string
	URLs     []string
	Fields   []Field
	Left     []string // what of it cannot be taken along, such as attachments
}

// Skipped is an item that is not taken at all.
type Skipped struct {
	Title  string `json:"title"`
	Reason string `json:"reason"`
}

// Export is what was read.
type Export struct {
	Format  Format
	Items   []Item
	Skipped []Skipped
	wipe    func() // overwrites what was read, titles that nobody took included; may be nil
}

// Wipe overwrites all values.
func (e *Export) Wipe() {
	if e.wipe != nil {
		e.wipe()
	}
	for _, it := range e.Items {
		for _, f := range it.Fields {
			clear(f.Value)
		}
	}
}

// Detect tells the format by the first bytes of a file. JSON is told apart by
// Read; what it does not know is the empty format.
func Detect(name string, head []byte) (Format, bool) {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return OnePUX, true
	case len(text) > 0 && (text[0] == '{' || text[0] == '['):
		return "", true
	case len(text) > 0 && text[0] == '<':
		return KeePassXML, true
	case strings.HasSuffix(strings.ToLower(name), ".csv"):
		return CSV, true
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	named := false
	err := strict.Rows(bytes.Clone(first), func(_ int, cells [][]byte) error {
		_, err := header(cells)
		named = err == nil
		return nil
	})
	if err == nil && named {
		return CSV, true
	}
	return "", false
}

const bom = "\xef\xbb\xbf"

// Read reads a whole export. It changes data, the values may alias it, and
// Export.Wipe wipes it. The empty format means JSON of either kind.
func Read(f Format, data []byte) (Export, error) {
	if len(data) > MaxData {
		return Export{}, refuse(f, fmt.Sprintf("is larger than %d bytes", MaxData))
	}
	text := bytes.TrimPrefix(data, []byte(bom))
	var e Export
	var err error
	switch f {
	case "", OnePasswordJSON, Bitwarden:
		e, err = readJSON(f, text)
	case KeePassXML:
		e, err = readKeePass(text)
	case CSV:
		e, err = readCSV(text)
	default:
		err = fault.New(fault.Usage, "import", string(f), "is not read from one file")
	}
	if err != nil {
		return Export{}, err
	}
	e.wipe = func() { clear(data) }
	return e, nil
}

// refuse is the error for an export as a whole.
func refuse(f Format, msg string) error {
	if f == "" {
		f = "json"
	}
	return fault.New(fault.Usage, "import", string(f), msg)
}

// syntax turns an error of package strict into one of the export.
func syntax(f Format, err error) error {
	if e, ok := errors.AsType[strict.Error](err); ok {
		return refuse(f, e.Error())
	}
	return err
}

// concealed lists the types whose values are sealed.
func concealed(typ string) bool {
	switch typ {
	case "CONCEALED", "OTP", "SSHKEY", "CREDIT_CARD_NUMBER":
		return true
	}
	return false
}

// add appends a field; an empty value is no field.
func (it *Item) add(section, label, typ string, value []byte) {
	if len(value) == 0 {
		return
	}
	it.Fields = append(it.Fields, Field{Section: section, Label: label, Type: typ, Concealed: concealed(typ), Value: value})
}

// hidden appends a field that is concealed whatever its type.
func (it *Item) hidden(section, label, typ string, value []byte) {
	it.add(section, label, typ, value)
	if len(value) > 0 {
		it.Fields[len(it.Fields)-1].Concealed = true
	}
}

// username, password, notes and otp append the fields that each item has once.
func (it *Item) username(value []byte) { it.builtin("username", "STRING", "USERNAME", value) }
func (it *Item) password(value []byte) { it.builtin("password", "CONCEALED", "PASSWORD", value) }
func (it *Item) notes(value []byte)    { it.builtin("notesPlain", "CONCEALED", "NOTES", value) }
func (it *Item) otp(value []byte)      { it.add("", "one-time password", "OTP", value) }

func (it *Item) builtin(label, typ, purpose string, value []byte) {
	it.add("", label, typ, value)
	if len(value) > 0 {
		it.Fields[len(it.Fields)-1].Purpose = purpose
	}
}

// address appends an address; one that carries a password is a secret.
func (it *Item) address(value []byte) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return
	}
	at := bytes.IndexByte(value, '@')
	if start := bytes.Index(value, []byte("://")); at > 0 && start >= 0 && bytes.IndexByte(value[start+3:max(at, start+3)], ':') >= 0 {
		it.hidden("", "website", "URL", value)
		return
	}
	for _, have := range it.URLs {
		if have == string(value) {
			return
		}
	}
	it.URLs = append(it.URLs, string(value))
}

func (it *Item) tag(s string) {
	if s = strings.TrimSpace(s); s == "" {
		return
	}
	for _, have := range it.Tags {
		if have == s {
			return
		}
	}
	it.Tags = append(it.Tags, s)
}

func (it *Item) left(what string) { it.Left = append(it.Left, what) }

// builder collects items.
type builder struct{ Export }

// full is the error of an export with too many items.
func (b *builder) full() error {
	if len(b.Items)+len(b.Skipped) <= MaxItems {
		return nil
	}
	return refuse(b.Format, fmt.Sprintf("has more than %d items", MaxItems))
}

// skip notes an item that is not taken.
func (b *builder) skip(title, reason string) error {
	if title = strings.TrimSpace(title); title == "" {
		title = "Untitled"
	}
	b.Skipped = append(b.Skipped, Skipped{Title: title, Reason: reason})
	return b.full()
}

// put takes an item, or skips one that the store would refuse.
func (b *builder) put(it Item) error {
	it.tidy()
	if reason := it.tooMuch(); reason != "" {
		return b.skip(it.Title[:min(len(it.Title), 64)], reason)
	}
	b.Items = append(b.Items, it)
	return b.full()
}

// tidy gives the item a title and each field a label of its own: two fields of
// one name would be one field to the store.
func (it *Item) tidy() {
	it.Title = strings.TrimSpace(it.Title)
	if it.Title == "" && len(it.URLs) > 0 {
		if u, err := url.Parse(it.URLs[0]); err == nil {
			it.Title = u.Hostname()
		}
	}
	if it.Title == "" {
		it.Title = "Untitled"
	}
	type name struct{ section, label string }
	seen := map[name]bool{}
	next := map[name]int{}
	for i := range it.Fields {
		f := &it.Fields[i]
		f.Section, f.Label = strings.TrimSpace(f.Section), strings.TrimSpace(f.Label)
		if f.Label == "" {
			f.Label = "field"
		}
		base := f.Label
		first := name{ref.Fold(f.Section), ref.Fold(base)}
		for at := first; seen[at]; at = (name{first.section, ref.Fold(f.Label)}) {
			next[first] = max(next[first], 1) + 1
			f.Label = fmt.Sprintf("%s %d", base, next[first])
		}
		seen[name{first.section, ref.Fold(f.Label)}] = true
	}
}

// tooMuch returns why the store would refuse the item, or nothing.
func (it *Item) tooMuch() string {
	if len(it.Fields) > maxFields {
		return fmt.Sprintf("has more than %d fields", maxFields)
	}
	names := append(append([]string{it.Title, it.Vault}, it.Tags...), it.URLs...)
	text := 0
	for _, f := range it.Fields {
		names = append(names, f.Section, f.Label)
		if len(f.Value) > api.MaxValue {
			return fmt.Sprintf("has a value of more than %d bytes", api.MaxValue)
		}
		if text += overhead; !f.Concealed {
			text += weight(f.Value)
		}
	}
	for _, n := range names {
		if text += weight([]byte(n)); len(n) > maxName {
			return fmt.Sprintf("has a title, label, tag or address of more than %d bytes", maxName)
		}
	}
	if text > maxText {
		return fmt.Sprintf("has more text that is not concealed than %d bytes", maxText)
	}
	return ""
}

// weight is the most bytes that text takes in JSON.
func weight(b []byte) int {
	n := len(b)
	for _, c := range b {
		switch {
		case c < ' ' || c == '<' || c == '>' || c == '&' || c == 0x7f || c >= 0x80:
			n += 5
		case c == '"' || c == '\\':
			n++
		}
	}
	return n
}

// done tags the items with their vaults where there are several.
func (b *builder) done() Export {
	vaults := map[string]bool{}
	for _, it := range b.Items {
		vaults[it.Vault] = true
	}
	if len(vaults) > 1 {
		for i := range b.Items {
			b.Items[i].tag(b.Items[i].Vault)
		}
	}
	return b.Export
}

// isText reports whether a value can be one: UTF-8 without NUL.
func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

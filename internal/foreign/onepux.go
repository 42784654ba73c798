package foreign

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/strict"
)

// ReadOnePUX reads 1Password's unencrypted export, a ZIP archive of size bytes.
// Only export.data is read; nothing is ever unpacked to a disk.
func ReadOnePUX(r io.ReaderAt, size int64) (Export, error) {
	text, err := strict.Member(r, size, "export.data", MaxData)
	if err != nil {
		return Export{}, syntax(OnePUX, err)
	}
	all, err := strict.JSON(text)
	if err == nil && (len(all) != 1 || all[0].Get("accounts").Kind != '[') {
		err = refuse(OnePUX, "export.data has no list of accounts")
	}
	var e Export
	if err == nil {
		e, err = readOnePUX(all[0])
	}
	if err != nil {
		clear(text)
		return Export{}, syntax(OnePUX, err)
	}
	e.wipe = func() { clear(text) }
	return e, nil
}

func readOnePUX(top strict.Node) (Export, error) {
	b := builder{Export{Format: OnePUX}}
	for _, account := range top.Get("accounts").Kids {
		for _, vault := range account.Get("vaults").Kids {
			name := vault.Get("attrs").Get("name").Name()
			for _, n := range vault.Get("items").Kids {
				if err := b.onePUX(n, name); err != nil {
					return Export{}, err
				}
			}
		}
	}
	return b.done(), nil
}

func (b *builder) onePUX(n strict.Node, vault string) error {
	var attached []string
	if old := n.Get("item"); old.Kind == '{' { // older exports wrap the item beside its file
		if file := n.Get("file"); !file.Empty() {
			attached = append(attached, file.Get("attrs").Get("fileName").Name())
		}
		n = old
	}
	if n.Kind != '{' {
		return refuse(OnePUX, fmt.Sprintf("item %d is none", len(b.Items)+len(b.Skipped)+1))
	}
	over, details := n.Get("overview"), n.Get("details")
	it := Item{Title: over.Get("title").Name(), Category: "SECURE_NOTE", Vault: vault}
	if n.Get("state").Name() == "archived" || n.Get("trashed").Kind == 't' || n.Get("trashed").Name() == "Y" {
		return b.skip(it.Title, "is archived")
	}
	if c, ok := categories[n.Get("categoryUuid").Name()]; ok {
		it.Category = c
	}
	for _, t := range over.Get("tags").Kids {
		it.tag(t.Name())
	}
	it.address(over.Get("url").Value())
	for _, u := range over.Get("urls").Kids {
		it.address(u.Get("url").Value())
	}
	for _, f := range details.Get("loginFields").Kids {
		it.loginField(f)
	}
	it.password(details.Get("password").Value())
	for _, s := range details.Get("sections").Kids {
		for _, f := range s.Get("fields").Kids {
			it.onePUXField(s.Get("title").Name(), f)
		}
	}
	it.notes(details.Get("notesPlain").Value())
	if doc := details.Get("documentAttributes"); !doc.Empty() {
		attached = append(attached, doc.Get("fileName").Name())
	}
	for _, a := range attached {
		it.left("attachment " + a)
	}
	for i, key := range details.Keys {
		switch key {
		case "loginFields", "notesPlain", "sections", "passwordHistory", "documentAttributes", "password":
		default:
			if !details.Kids[i].Empty() {
				it.left(key + ", of a kind not known here")
			}
		}
	}
	return b.put(it)
}

// loginField takes a field of a web form. Boxes and buttons hold nothing of
// worth.
func (it *Item) loginField(f strict.Node) {
	value, label := f.Get("value").Value(), f.Get("name").Name()
	switch f.Get("designation").Name() {
	case "username":
		it.username(value)
		return
	case "password":
		it.password(value)
		return
	}
	if label == "" {
		label = f.Get("id").Name()
	}
	switch f.Get("fieldType").Name() {
	case "C", "B", "I", "R", "S":
	case "E":
		it.add("web form", label, "EMAIL", value)
	case "U":
		it.hidden("web form", label, "URL", value)
	case "TEL":
		it.add("web form", label, "PHONE", value)
	case "T", "N":
		it.add("web form", label, "STRING", value)
	default:
		it.add("web form", label, "CONCEALED", value)
	}
}

// onePUXField takes a field of a section: its value is an object whose only key
// is its kind.
func (it *Item) onePUXField(section string, f strict.Node) {
	label := f.Get("title").Name()
	if label == "" {
		label = f.Get("id").Name()
	}
	box := f.Get("value")
	if len(box.Kids) == 0 {
		return
	}
	kind, n := box.Keys[0], box.Kids[0]
	switch kind {
	case "string":
		it.add(section, label, "STRING", n.Value())
	case "menu", "gender", "phone":
		it.add(section, label, strings.ToUpper(kind), n.Value())
	case "creditCardType":
		it.add(section, label, "CREDIT_CARD_TYPE", n.Value())
	case "creditCardNumber":
		it.add(section, label, "CREDIT_CARD_NUMBER", n.Value())
	case "url":
		it.add(section, label, "URL", n.Value())
	case "totp":
		it.add(section, label, "OTP", n.Value())
	case "concealed":
		typ := "CONCEALED"
		if bytes.HasPrefix(n.Value(), []byte("otpauth://")) {
			typ = "OTP"
		}
		it.add(section, label, typ, n.Value())
	case "email":
		if n.Kind == '{' {
			n = n.Get("email_address")
		}
		it.add(section, label, "EMAIL", n.Value())
	case "date":
		it.add(section, label, "DATE", day(n.Value()))
	case "monthYear":
		it.add(section, label, "MONTH_YEAR", n.Value())
	case "address":
		it.add(section, label, "ADDRESS", postal(n))
	case "sshKey":
		it.add(section, label, "SSHKEY", n.Get("privateKey").Value())
		it.add(section, "public key", "STRING", n.Get("metadata").Get("publicKey").Value())
		it.add(section, "fingerprint", "STRING", n.Get("metadata").Get("fingerprint").Value())
	case "file":
		it.left("attachment " + n.Get("fileName").Name())
	case "reference":
		if !n.Empty() {
			it.left("link " + label)
		}
	default:
		if !n.Empty() && n.Value() == nil {
			it.left("field " + label + " of an unknown kind")
		}
		it.add(section, label, "CONCEALED", n.Value())
	}
}

// day turns seconds since 1970 into YYYY-MM-DD; what is out of reach stays.
func day(v []byte) []byte {
	const years = 200 * 366 * 24 * 3600
	if s, err := strconv.ParseInt(string(v), 10, 64); err == nil && s > -years && s < years {
		return []byte(time.Unix(s, 0).UTC().Format(time.DateOnly))
	}
	return v
}

func postal(n strict.Node) []byte {
	var parts []string
	for _, key := range []string{"street", "city", "state", "zip", "country"} {
		if s := n.Get(key).Name(); s != "" {
			parts = append(parts, s)
		}
	}
	return []byte(strings.Join(parts, ", "))
}

package foreign

import (
	"bytes"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/strict"
)

// readJSON reads either kind of JSON export, told by its shape.
func readJSON(f Format, data []byte) (Export, error) {
	all, err := strict.JSON(data)
	if err != nil {
		return Export{}, syntax(f, err)
	}
	if top := all[0]; f != OnePasswordJSON && top.Kind == '{' && len(all) == 1 && top.Get("encrypted").Kind != 0 {
		return readBitwarden(top)
	}
	if f == Bitwarden {
		return Export{}, refuse(f, `has no "encrypted" and "items": it is no export of Bitwarden's`)
	}
	return readOnePassword(all)
}

// readOnePassword reads items as `op item get --format json` prints them: one,
// an array, or one after the other.
func readOnePassword(all []strict.Node) (Export, error) {
	b := builder{Export{Format: OnePasswordJSON}}
	for _, n := range all {
		items := []strict.Node{n}
		if n.Kind == '[' {
			items = n.Kids
		}
		for _, n := range items {
			if n.Kind != '{' || n.Get("title").Kind == 0 && n.Get("category").Kind == 0 {
				return Export{}, refuse(b.Format, fmt.Sprintf("value %d is no item", len(b.Items)+len(b.Skipped)+1))
			}
			if err := b.onePassword(n); err != nil {
				return Export{}, err
			}
		}
	}
	return b.done(), nil
}

// withheld is what op prints in the place of a value that was not asked for.
const withheld = "[use 'op item get"

func (b *builder) onePassword(n strict.Node) error {
	it := Item{Title: n.Get("title").Name(), Category: category(n.Get("category").Name()), Vault: n.Get("vault").Get("name").Name()}
	for _, t := range n.Get("tags").Kids {
		it.tag(t.Name())
	}
	for _, u := range n.Get("urls").Kids {
		it.address(u.Get("href").Value())
	}
	for _, file := range n.Get("files").Kids {
		it.left("attachment " + file.Get("name").Name())
	}
	sections := map[string]string{}
	for _, s := range n.Get("sections").Kids {
		sections[s.Get("id").Name()] = s.Get("label").Name()
	}
	for _, f := range n.Get("fields").Kids {
		if bytes.HasPrefix(f.Get("value").Value(), []byte(withheld)) {
			return b.skip(it.Title, "was exported without its values: add --reveal to op item get")
		}
		it.onePasswordField(f, sections)
	}
	if n.Get("fields").Kind == 0 {
		return b.skip(it.Title, "has no fields: it comes from op item list; use op item get")
	}
	return b.put(it)
}

// onePasswordField takes one field of op's JSON.
func (it *Item) onePasswordField(f strict.Node, sections map[string]string) {
	value, label := f.Get("value").Value(), f.Get("label").Name()
	if label == "" {
		label = f.Get("id").Name()
	}
	section := f.Get("section").Get("label").Name()
	if section == "" {
		section = sections[f.Get("section").Get("id").Name()]
	}
	switch f.Get("purpose").Name() {
	case "USERNAME":
		it.username(value)
		return
	case "PASSWORD":
		it.password(value)
		return
	case "NOTES":
		it.notes(value)
		return
	}
	switch typ := f.Get("type").Name(); typ {
	case "STRING", "EMAIL", "URL", "PHONE", "DATE", "MONTH_YEAR", "ADDRESS", "GENDER", "MENU", "CREDIT_CARD_TYPE",
		"CONCEALED", "OTP", "SSHKEY", "CREDIT_CARD_NUMBER":
		it.add(section, label, typ, value)
	case "TOTP":
		it.add(section, label, "OTP", value)
	case "REFERENCE", "FILE":
		it.left("link " + label)
	default:
		it.hidden(section, label, "CONCEALED", value)
	}
}

// category is one of ours, SECURE_NOTE for one that 1Password added since.
func category(s string) string {
	for _, c := range categories {
		if c == s {
			return c
		}
	}
	return "SECURE_NOTE"
}

// categories gives the categories by the number that 1PUX uses.
var categories = map[string]string{
	"001": "LOGIN", "002": "CREDIT_CARD", "003": "SECURE_NOTE", "004": "IDENTITY", "005": "PASSWORD", "006": "DOCUMENT",
	"100": "SOFTWARE_LICENSE", "101": "BANK_ACCOUNT", "102": "DATABASE", "103": "DRIVER_LICENSE", "104": "OUTDOOR_LICENSE",
	"105": "MEMBERSHIP", "106": "PASSPORT", "107": "REWARD_PROGRAM", "108": "SOCIAL_SECURITY_NUMBER", "109": "WIRELESS_ROUTER",
	"110": "SERVER", "111": "EMAIL_ACCOUNT", "112": "API_CREDENTIAL", "113": "MEDICAL_RECORD", "114": "SSH_KEY", "115": "CRYPTO_WALLET",
}

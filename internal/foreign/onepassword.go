package foreign

import (
	"bytes"
	"fmt"
)

// readJSON reads either kind of JSON export, told by its shape.
func readJSON(f Format, data []byte) (Export, error) {
	all, err := parseJSON(f, data)
	if err != nil {
		return Export{}, err
	}
	if top := all[0]; f != OnePasswordJSON && top.kind == '{' && len(all) == 1 && top.get("encrypted").kind != 0 {
		return readBitwarden(top)
	}
	if f == Bitwarden {
		return Export{}, refuse(f, `has no "encrypted" and "items": it is no export of Bitwarden's`)
	}
	return readOnePassword(all)
}

// readOnePassword reads items as `op item get --format json` prints them: one,
// an array, or one after the other.
func readOnePassword(all []node) (Export, error) {
	b := builder{Export{Format: OnePasswordJSON}}
	for _, n := range all {
		items := []node{n}
		if n.kind == '[' {
			items = n.kids
		}
		for _, n := range items {
			if n.kind != '{' || n.get("title").kind == 0 && n.get("category").kind == 0 {
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

func (b *builder) onePassword(n node) error {
	it := Item{Title: n.get("title").name(), Category: category(n.get("category").name()), Vault: n.get("vault").get("name").name()}
	for _, t := range n.get("tags").kids {
		it.tag(t.name())
	}
	for _, u := range n.get("urls").kids {
		it.address(u.get("href").value())
	}
	for _, file := range n.get("files").kids {
		it.left("attachment " + file.get("name").name())
	}
	sections := map[string]string{}
	for _, s := range n.get("sections").kids {
		sections[s.get("id").name()] = s.get("label").name()
	}
	for _, f := range n.get("fields").kids {
		if bytes.HasPrefix(f.get("value").value(), []byte(withheld)) {
			return b.skip(it.Title, "was exported without its values: add --reveal to op item get")
		}
		it.onePasswordField(f, sections)
	}
	if n.get("fields").kind == 0 {
		return b.skip(it.Title, "has no fields: it comes from op item list; use op item get")
	}
	return b.put(it)
}

// onePasswordField takes one field of op's JSON.
func (it *Item) onePasswordField(f node, sections map[string]string) {
	value, label := f.get("value").value(), f.get("label").name()
	if label == "" {
		label = f.get("id").name()
	}
	section := f.get("section").get("label").name()
	if section == "" {
		section = sections[f.get("section").get("id").name()]
	}
	switch f.get("purpose").name() {
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
	switch typ := f.get("type").name(); typ {
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

package foreign

import "fmt"

// readBitwarden reads Bitwarden's unencrypted JSON.
func readBitwarden(top node) (Export, error) {
	b := builder{Export{Format: Bitwarden}}
	if top.get("encrypted").kind != 'f' {
		return Export{}, refuse(Bitwarden, "is encrypted: export it as .json without encryption")
	}
	if top.get("items").kind != '[' {
		return Export{}, refuse(Bitwarden, "has no list of items")
	}
	folders := map[string]string{}
	for _, list := range []string{"folders", "collections"} {
		for _, f := range top.get(list).kids {
			folders[f.get("id").name()] = f.get("name").name()
		}
	}
	for i, n := range top.get("items").kids {
		if n.kind != '{' {
			return Export{}, refuse(Bitwarden, fmt.Sprintf("item %d is none", i+1))
		}
		if err := b.bitwarden(n, folders); err != nil {
			return Export{}, err
		}
	}
	return b.done(), nil
}

func (b *builder) bitwarden(n node, folders map[string]string) error {
	it := Item{Title: n.get("name").name()}
	if !n.get("deletedDate").empty() {
		return b.skip(it.Title, "is in the trash")
	}
	it.tag(folders[n.get("folderId").name()])
	for _, c := range n.get("collectionIds").kids {
		it.tag(folders[c.name()])
	}
	switch n.get("type").name() {
	case "1":
		it.Category = "LOGIN"
		it.bitwardenLogin(n.get("login"))
	case "2":
		it.Category = "SECURE_NOTE"
	case "3":
		it.Category = "CREDIT_CARD"
		it.bitwardenCard(n.get("card"))
	case "4":
		it.Category = "IDENTITY"
		it.bitwardenIdentity(n.get("identity"))
	case "5":
		it.Category = "SSH_KEY"
		key := n.get("sshKey")
		it.add("", "private key", "SSHKEY", key.get("privateKey").value())
		it.add("", "public key", "STRING", key.get("publicKey").value())
		it.add("", "fingerprint", "STRING", key.get("keyFingerprint").value())
	default:
		return b.skip(it.Title, "is of a kind that is not known here")
	}
	it.notes(n.get("notes").value())
	for _, f := range n.get("fields").kids {
		label := f.get("name").name()
		switch f.get("type").name() {
		case "0", "2": // text, a box to tick
			it.add("", label, "STRING", f.get("value").value())
		case "3":
			it.left("linked field " + label)
		default:
			it.add("", label, "CONCEALED", f.get("value").value())
		}
	}
	for _, a := range n.get("attachments").kids {
		it.left("attachment " + a.get("fileName").name())
	}
	return b.put(it)
}

func (it *Item) bitwardenLogin(n node) {
	it.username(n.get("username").value())
	it.password(n.get("password").value())
	it.otp(n.get("totp").value())
	for _, u := range n.get("uris").kids {
		it.address(u.get("uri").value())
	}
	if len(n.get("fido2Credentials").kids) > 0 {
		it.left("passkey")
	}
}

func (it *Item) bitwardenCard(n node) {
	it.add("", "cardholder name", "STRING", n.get("cardholderName").value())
	it.add("", "type", "CREDIT_CARD_TYPE", n.get("brand").value())
	it.add("", "number", "CREDIT_CARD_NUMBER", n.get("number").value())
	it.add("", "verification number", "CONCEALED", n.get("code").value())
	month, year := n.get("expMonth").name(), n.get("expYear").name()
	if len(month) == 1 {
		month = "0" + month
	}
	if len(month) == 2 && len(year) == 4 {
		it.add("", "expiry date", "MONTH_YEAR", []byte(year+month))
		return
	}
	it.add("", "expiry month", "STRING", n.get("expMonth").value())
	it.add("", "expiry year", "STRING", n.get("expYear").value())
}

// bitwardenIdentity takes every field by its name; what identifies a person to
// a state is concealed.
func (it *Item) bitwardenIdentity(n node) {
	for i, key := range n.keys {
		v := n.kids[i].value()
		switch key {
		case "ssn", "passportNumber", "licenseNumber":
			it.add("", key, "CONCEALED", v)
		case "email":
			it.add("", key, "EMAIL", v)
		case "phone":
			it.add("", key, "PHONE", v)
		case "title", "firstName", "middleName", "lastName", "address1", "address2", "address3", "city", "state",
			"postalCode", "country", "company", "username":
			it.add("", key, "STRING", v)
		default:
			it.add("", key, "CONCEALED", v)
		}
	}
}

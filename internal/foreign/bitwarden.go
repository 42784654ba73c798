package foreign

import (
	"fmt"

	"github.com/thumbturn/thumbturn/internal/strict"
)

// readBitwarden reads Bitwarden's unencrypted JSON.
func readBitwarden(top strict.Node) (Export, error) {
	b := builder{Export{Format: Bitwarden}}
	if top.Get("encrypted").Kind != 'f' {
		return Export{}, refuse(Bitwarden, "is encrypted: export it as .json without encryption")
	}
	if top.Get("items").Kind != '[' {
		return Export{}, refuse(Bitwarden, "has no list of items")
	}
	folders := map[string]string{}
	for _, list := range []string{"folders", "collections"} {
		for _, f := range top.Get(list).Kids {
			folders[f.Get("id").Name()] = f.Get("name").Name()
		}
	}
	for i, n := range top.Get("items").Kids {
		if n.Kind != '{' {
			return Export{}, refuse(Bitwarden, fmt.Sprintf("item %d is none", i+1))
		}
		if err := b.bitwarden(n, folders); err != nil {
			return Export{}, err
		}
	}
	return b.done(), nil
}

func (b *builder) bitwarden(n strict.Node, folders map[string]string) error {
	it := Item{Title: n.Get("name").Name()}
	if !n.Get("deletedDate").Empty() {
		return b.skip(it.Title, "is in the trash")
	}
	it.tag(folders[n.Get("folderId").Name()])
	for _, c := range n.Get("collectionIds").Kids {
		it.tag(folders[c.Name()])
	}
	switch n.Get("type").Name() {
	case "1":
		it.Category = "LOGIN"
		it.bitwardenLogin(n.Get("login"))
	case "2":
		it.Category = "SECURE_NOTE"
	case "3":
		it.Category = "CREDIT_CARD"
		it.bitwardenCard(n.Get("card"))
	case "4":
		it.Category = "IDENTITY"
		it.bitwardenIdentity(n.Get("identity"))
	case "5":
		it.Category = "SSH_KEY"
		key := n.Get("sshKey")
		it.add("", "private key", "SSHKEY", key.Get("privateKey").Value())
		it.add("", "public key", "STRING", key.Get("publicKey").Value())
		it.add("", "fingerprint", "STRING", key.Get("keyFingerprint").Value())
	default:
		return b.skip(it.Title, "is of a kind that is not known here")
	}
	it.notes(n.Get("notes").Value())
	for _, f := range n.Get("fields").Kids {
		label := f.Get("name").Name()
		switch f.Get("type").Name() {
		case "0", "2": // text, a box to tick
			it.add("", label, "STRING", f.Get("value").Value())
		case "3":
			it.left("linked field " + label)
		default:
			it.add("", label, "CONCEALED", f.Get("value").Value())
		}
	}
	for _, a := range n.Get("attachments").Kids {
		it.left("attachment " + a.Get("fileName").Name())
	}
	return b.put(it)
}

func (it *Item) bitwardenLogin(n strict.Node) {
	it.username(n.Get("username").Value())
	it.password(n.Get("password").Value())
	it.otp(n.Get("totp").Value())
	for _, u := range n.Get("uris").Kids {
		it.address(u.Get("uri").Value())
	}
	if len(n.Get("fido2Credentials").Kids) > 0 {
		it.left("passkey")
	}
}

func (it *Item) bitwardenCard(n strict.Node) {
	it.add("", "cardholder name", "STRING", n.Get("cardholderName").Value())
	it.add("", "type", "CREDIT_CARD_TYPE", n.Get("brand").Value())
	it.add("", "number", "CREDIT_CARD_NUMBER", n.Get("number").Value())
	it.add("", "verification number", "CONCEALED", n.Get("code").Value())
	month, year := n.Get("expMonth").Name(), n.Get("expYear").Name()
	if len(month) == 1 {
		month = "0" + month
	}
	if len(month) == 2 && len(year) == 4 {
		it.add("", "expiry date", "MONTH_YEAR", []byte(year+month))
		return
	}
	it.add("", "expiry month", "STRING", n.Get("expMonth").Value())
	it.add("", "expiry year", "STRING", n.Get("expYear").Value())
}

// bitwardenIdentity takes every field by its name; what identifies a person to
// a state is concealed.
func (it *Item) bitwardenIdentity(n strict.Node) {
	for i, key := range n.Keys {
		v := n.Kids[i].Value()
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

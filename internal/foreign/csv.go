package foreign

import (
	"fmt"
	"strings"

	"github.com/thumbturn/thumbturn/internal/strict"
	"github.com/thumbturn/thumbturn/ref"
)

// columns gives the meaning of a column by its folded name: those of Chrome,
// Edge, Firefox, Safari and Apple's Passwords, LastPass, Bitwarden, KeePass and
// KeePassXC, Proton Pass. A column with an empty meaning is left out; one that
// does not stand here becomes a concealed field of its own.
var columns = map[string]string{
	"title": "title", "name": "title", "account": "title",
	"url": "url", "website": "url", "web site": "url", "login_uri": "url", "uri": "url",
	"username": "username", "user name": "username", "login_username": "username", "login name": "username", "login": "username", "user": "username",
	"password": "password", "login_password": "password",
	"notes": "notes", "note": "notes", "extra": "notes", "comments": "notes",
	"otp": "otp", "otpauth": "otp", "totp": "otp", "login_totp": "otp",
	"tags": "tag", "group": "tag", "grouping": "tag", "folder": "tag", "collections": "tag",
	"type": "type",
	"fav":  "", "favorite": "", "reprompt": "", "icon": "", "guid": "", "created": "", "last modified": "", "createtime": "", "modifytime": "",
	"formactionorigin": "", "timecreated": "", "timelastused": "", "timepasswordchanged": "",
}

// column is what a column holds: a meaning, or a field of that label.
type column struct{ meaning, label string }

// header reads the first row. What has no column for passwords is no export.
func header(cells [][]byte) ([]column, error) {
	var cols []column
	used := map[string]bool{}
	for _, c := range cells {
		label := strings.TrimSpace(string(c))
		meaning, known := columns[ref.Fold(label)]
		if !known {
			meaning = "field"
		}
		if used[ref.Fold(label)] && meaning != "" || meaning == "password" && used["\x00password"] {
			return nil, refuse(CSV, "has two columns of one name")
		}
		used[ref.Fold(label)] = true
		used["\x00"+meaning] = true
		cols = append(cols, column{meaning, label})
	}
	if !used["\x00password"] || !used["\x00title"] && !used["\x00url"] && !used["\x00username"] {
		return nil, refuse(CSV, "its first row names no column for passwords, or none that says what they are for")
	}
	return cols, nil
}

func readCSV(data []byte) (Export, error) {
	b := builder{Export{Format: CSV}}
	if !isText(data) {
		return Export{}, refuse(CSV, "is no UTF-8 text, or holds a NUL")
	}
	var cols []column
	err := strict.Rows(data, func(line int, cells [][]byte) error {
		if cols == nil {
			var err error
			cols, err = header(cells)
			return err
		}
		if len(cells) != len(cols) {
			return refuse(CSV, fmt.Sprintf("line %d has %d columns, the first row has %d", line, len(cells), len(cols)))
		}
		return b.row(cols, cells)
	})
	if err == nil && cols == nil {
		err = refuse(CSV, "nothing in it")
	}
	if err != nil {
		return Export{}, syntax(CSV, err)
	}
	return b.done(), nil
}

func (b *builder) row(cols []column, cells [][]byte) error {
	it := Item{Category: "LOGIN"}
	for i, c := range cols {
		v := cells[i]
		switch c.meaning {
		case "title":
			it.Title = string(v)
		case "url":
			if string(v) == "http://sn" { // how LastPass marks a note
				it.Category = "SECURE_NOTE"
				continue
			}
			it.address(v)
		case "username":
			it.username(v)
		case "password":
			it.password(v)
		case "notes":
			it.notes(v)
		case "otp":
			it.otp(v)
		case "tag":
			it.tag(string(v))
		case "type":
			if string(v) == "note" {
				it.Category = "SECURE_NOTE"
			}
		case "field":
			it.add("", c.label, "CONCEALED", v)
		}
	}
	return b.put(it)
}

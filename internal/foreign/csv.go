package foreign

import (
	"bytes"
	"fmt"
	"strings"
)

const maxColumns = 200

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
		meaning, known := columns[Fold(label)]
		if !known {
			meaning = "field"
		}
		if used[Fold(label)] && meaning != "" || meaning == "password" && used["\x00password"] {
			return nil, refuse(CSV, "has two columns of one name")
		}
		used[Fold(label)] = true
		used["\x00"+meaning] = true
		cols = append(cols, column{meaning, label})
	}
	if !used["\x00password"] || !used["\x00title"] && !used["\x00url"] && !used["\x00username"] {
		return nil, refuse(CSV, "its first row names no column for passwords, or none that says what they are for")
	}
	return cols, nil
}

// split is for a first look at a header: it knows no quotes but takes them off.
func split(line []byte) [][]byte {
	cells := bytes.Split(bytes.TrimRight(line, "\r"), []byte(","))
	for i := range cells {
		cells[i] = bytes.Trim(cells[i], `"`)
	}
	return cells[:min(len(cells), maxColumns)]
}

func readCSV(data []byte) (Export, error) {
	b := builder{Export{Format: CSV}}
	if !isText(data) {
		return Export{}, refuse(CSV, "is no UTF-8 text, or holds a NUL")
	}
	var cols []column
	err := rows(data, func(line int, cells [][]byte) error {
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
		return Export{}, err
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

// rows calls f with the cells of each row, in RFC 4180's form: quotes are taken
// off in place, what is quoted stays byte for byte, and a quote anywhere else is
// refused instead of guessed at. The slice is used again.
func rows(data []byte, f func(line int, cells [][]byte) error) error {
	var cells [][]byte
	line, start := 1, 1
	for pos := 0; pos < len(data); {
		if len(cells) == 0 {
			start = line
		}
		text, next, newlines, why := readCell(data, pos)
		if why != "" {
			return refuse(CSV, fmt.Sprintf("line %d: %s", line, why))
		}
		line += newlines
		if cells = append(cells, text); len(cells) > maxColumns {
			return refuse(CSV, fmt.Sprintf("line %d has more than %d columns", start, maxColumns))
		}
		pos = next
		if pos < len(data) && data[pos] == ',' {
			if pos++; pos < len(data) {
				continue
			}
			cells = append(cells, nil) // the comma was the last byte
		}
		if pos < len(data) && data[pos] == '\r' {
			pos++
		}
		pos++ // the line feed
		line++
		if len(cells) > 1 || len(cells[0]) > 0 {
			if err := f(start, cells); err != nil {
				return err
			}
		}
		cells = cells[:0]
	}
	return nil
}

// readCell reads the cell at pos. It returns its text, where the comma or line
// end behind it is, and the line feeds inside; or why it is none.
func readCell(data []byte, pos int) (text []byte, next, newlines int, why string) {
	if data[pos] != '"' {
		next = pos
		for next < len(data) && data[next] != ',' && data[next] != '\n' {
			if data[next] == '"' {
				return nil, 0, 0, "a quote within a cell that is not quoted"
			}
			next++
		}
		if next > pos && data[next-1] == '\r' && (next == len(data) || data[next] == '\n') {
			next--
		}
		return data[pos:next:next], next, 0, ""
	}
	out := pos
	for next = pos + 1; next < len(data); next++ {
		c := data[next]
		if c == '\n' {
			newlines++
		}
		if c != '"' {
			data[out] = c
			out++
			continue
		}
		if next+1 < len(data) && data[next+1] == '"' {
			next++
			data[out] = '"'
			out++
			continue
		}
		next++
		rest := data[next:]
		if len(rest) > 0 && rest[0] != ',' && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) && !bytes.Equal(rest, []byte("\r")) {
			return nil, 0, 0, "text behind a closing quote"
		}
		return data[pos:out:out], next, newlines, ""
	}
	return nil, 0, 0, "a quote that is never closed"
}

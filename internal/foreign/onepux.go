package foreign

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Bounds on a 1PUX archive.
const (
	maxDirectory = 8 << 20 // bytes read to list its files
	maxRatio     = 200     // of export.data to its compressed form, beyond freeRatio
	freeRatio    = 1 << 20 // bytes that may be as compressible as they like
)

// ReadOnePUX reads 1Password's unencrypted export, a ZIP archive of size bytes.
// Only export.data is read; nothing is ever unpacked to a disk. The caller
// wipes the values with Export.Wipe.
func ReadOnePUX(r io.ReaderAt, size int64) (Export, error) {
	m := &metered{r: r, left: maxDirectory}
	z, err := zip.NewReader(m, size)
	if err != nil {
		if m.left < 0 {
			return Export{}, refuse(OnePUX, "lists too many files")
		}
		return Export{}, refuse(OnePUX, "is no whole ZIP archive")
	}
	var data *zip.File
	for _, f := range z.File {
		if f.Name != "export.data" {
			continue
		}
		if data != nil {
			return Export{}, refuse(OnePUX, "holds export.data twice")
		}
		data = f
	}
	if data == nil {
		return Export{}, refuse(OnePUX, "holds no export.data")
	}
	m.left = MaxData + maxDirectory
	text, err := inflate(data)
	if err != nil {
		clear(text)
		return Export{}, err
	}
	all, err := parseJSON(OnePUX, text)
	if err == nil && (len(all) != 1 || all[0].get("accounts").kind != '[') {
		err = refuse(OnePUX, "export.data has no list of accounts")
	}
	var e Export
	if err == nil {
		e, err = readOnePUX(all[0])
	}
	if err != nil {
		clear(text)
		return Export{}, err
	}
	e.wipe = func() { clear(text) }
	return e, nil
}

// metered bounds the bytes that may be read.
type metered struct {
	r    io.ReaderAt
	left int64
}

// ReadAt implements io.ReaderAt.
func (m *metered) ReadAt(b []byte, at int64) (int, error) {
	if m.left -= int64(len(b)); m.left < 0 {
		return 0, errors.New("over the limit")
	}
	return m.r.ReadAt(b, at)
}

// inflate decompresses export.data. The sizes that the archive claims are only
// believed where they refuse.
func inflate(f *zip.File) ([]byte, error) {
	limit := uint64(MaxData)
	if small := max(f.CompressedSize64*maxRatio, freeRatio); small < limit {
		limit = small
	}
	if f.Flags&1 != 0 {
		return nil, refuse(OnePUX, "is encrypted")
	}
	if f.UncompressedSize64 > limit {
		return nil, refuse(OnePUX, fmt.Sprintf("export.data is larger than %d bytes, or compressed more than %d times", MaxData, maxRatio))
	}
	r, err := f.Open()
	if err != nil {
		return nil, refuse(OnePUX, "export.data is compressed in an unknown way")
	}
	defer r.Close()
	text := make([]byte, f.UncompressedSize64)
	if _, err := io.ReadFull(r, text); err != nil {
		return text, refuse(OnePUX, "export.data is cut short or damaged")
	}
	// One more byte makes the reader check length and checksum.
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return text, refuse(OnePUX, "export.data is not what the archive says")
	}
	return text, nil
}

func readOnePUX(top node) (Export, error) {
	b := builder{Export{Format: OnePUX}}
	for _, account := range top.get("accounts").kids {
		for _, vault := range account.get("vaults").kids {
			name := vault.get("attrs").get("name").name()
			for _, n := range vault.get("items").kids {
				if err := b.onePUX(n, name); err != nil {
					return Export{}, err
				}
			}
		}
	}
	return b.done(), nil
}

func (b *builder) onePUX(n node, vault string) error {
	var attached []string
	if old := n.get("item"); old.kind == '{' { // older exports wrap the item beside its file
		if file := n.get("file"); !file.empty() {
			attached = append(attached, file.get("attrs").get("fileName").name())
		}
		n = old
	}
	if n.kind != '{' {
		return refuse(OnePUX, fmt.Sprintf("item %d is none", len(b.Items)+len(b.Skipped)+1))
	}
	over, details := n.get("overview"), n.get("details")
	it := Item{Title: over.get("title").name(), Category: "SECURE_NOTE", Vault: vault}
	if n.get("state").name() == "archived" || n.get("trashed").kind == 't' || n.get("trashed").name() == "Y" {
		return b.skip(it.Title, "is archived")
	}
	if c, ok := categories[n.get("categoryUuid").name()]; ok {
		it.Category = c
	}
	for _, t := range over.get("tags").kids {
		it.tag(t.name())
	}
	it.address(over.get("url").value())
	for _, u := range over.get("urls").kids {
		it.address(u.get("url").value())
	}
	for _, f := range details.get("loginFields").kids {
		it.loginField(f)
	}
	it.password(details.get("password").value())
	for _, s := range details.get("sections").kids {
		for _, f := range s.get("fields").kids {
			it.onePUXField(s.get("title").name(), f)
		}
	}
	it.notes(details.get("notesPlain").value())
	if doc := details.get("documentAttributes"); !doc.empty() {
		attached = append(attached, doc.get("fileName").name())
	}
	for _, a := range attached {
		it.left("attachment " + a)
	}
	if !details.get("passkey").empty() {
		it.left("passkey")
	}
	return b.put(it)
}

// loginField takes a field of a web form. Boxes and buttons hold nothing of
// worth.
func (it *Item) loginField(f node) {
	value, label := f.get("value").value(), f.get("name").name()
	switch f.get("designation").name() {
	case "username":
		it.username(value)
		return
	case "password":
		it.password(value)
		return
	}
	if label == "" {
		label = f.get("id").name()
	}
	switch f.get("fieldType").name() {
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
func (it *Item) onePUXField(section string, f node) {
	label := f.get("title").name()
	if label == "" {
		label = f.get("id").name()
	}
	box := f.get("value")
	if len(box.kids) == 0 {
		return
	}
	kind, n := box.keys[0], box.kids[0]
	switch kind {
	case "string":
		it.add(section, label, "STRING", n.value())
	case "menu", "gender", "phone":
		it.add(section, label, strings.ToUpper(kind), n.value())
	case "creditCardType":
		it.add(section, label, "CREDIT_CARD_TYPE", n.value())
	case "creditCardNumber":
		it.add(section, label, "CREDIT_CARD_NUMBER", n.value())
	case "url":
		it.add(section, label, "URL", n.value())
	case "totp":
		it.add(section, label, "OTP", n.value())
	case "concealed":
		typ := "CONCEALED"
		if bytes.HasPrefix(n.value(), []byte("otpauth://")) {
			typ = "OTP"
		}
		it.add(section, label, typ, n.value())
	case "email":
		if n.kind == '{' {
			n = n.get("email_address")
		}
		it.add(section, label, "EMAIL", n.value())
	case "date":
		it.add(section, label, "DATE", day(n.value()))
	case "monthYear":
		it.add(section, label, "MONTH_YEAR", n.value())
	case "address":
		it.add(section, label, "ADDRESS", postal(n))
	case "sshKey":
		it.add(section, label, "SSHKEY", n.get("privateKey").value())
		it.add(section, "public key", "STRING", n.get("metadata").get("publicKey").value())
		it.add(section, "fingerprint", "STRING", n.get("metadata").get("fingerprint").value())
	case "file":
		it.left("attachment " + n.get("fileName").name())
	case "reference":
		if !n.empty() {
			it.left("link " + label)
		}
	default:
		if !n.empty() && n.value() == nil {
			it.left("field " + label + " of an unknown kind")
		}
		it.add(section, label, "CONCEALED", n.value())
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

func postal(n node) []byte {
	var parts []string
	for _, key := range []string{"street", "city", "state", "zip", "country"} {
		if s := n.get(key).name(); s != "" {
			parts = append(parts, s)
		}
	}
	return []byte(strings.Join(parts, ", "))
}

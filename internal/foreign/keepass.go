package foreign

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// keepass reads the XML that KeePass 2 and KeePassXC export.
type keepass struct {
	d     *xml.Decoder
	depth int
	bin   string // UUID of the recycle bin's group
	found []kept
}

// group is a folder. Its UUID may follow its entries.
type group struct {
	uuid, name string
	parent     *group
}

// kept is an entry with the group it stands in.
type kept struct {
	it Item
	in *group
}

func readKeePass(data []byte) (Export, error) {
	k := keepass{d: xml.NewDecoder(bytes.NewReader(data))}
	err := k.children(map[string]func(xml.StartElement) error{
		"KeePassFile": func(xml.StartElement) error { return k.file() },
	})
	if err != nil {
		return Export{}, k.refuse(err)
	}
	b := builder{Export{Format: KeePassXML}}
	for _, e := range k.found {
		if k.trashed(e.in) {
			if err := b.skip(e.it.Title, "is in the recycle bin"); err != nil {
				return Export{}, err
			}
			continue
		}
		e.it.tag(e.in.path())
		if err := b.put(e.it); err != nil {
			return Export{}, err
		}
	}
	return b.done(), nil
}

// refuse turns a decoder's error, which may quote the text, into one that does
// not.
func (k *keepass) refuse(err error) error {
	why, ok := errors.AsType[keepassError](err)
	msg := string(why)
	if !ok {
		msg = "is no whole, well-formed XML in UTF-8"
	}
	line, _ := k.d.InputPos()
	return refuse(KeePassXML, fmt.Sprintf("%s, near line %d", msg, line))
}

// keepassError is an error of ours, without any text of the file.
type keepassError string

func (e keepassError) Error() string { return string(e) }

// children reads to the end of the element that was begun, or of the file, and
// hands each child to the function of its name, which reads it to its end.
func (k *keepass) children(by map[string]func(xml.StartElement) error) error {
	if k.depth++; k.depth > maxDepth {
		return keepassError("is nested too deeply")
	}
	defer func() { k.depth-- }()
	seen := false
	for {
		t, err := k.d.Token()
		if err == io.EOF && k.depth == 1 && seen {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.Directive:
			return keepassError("holds a DOCTYPE or another directive, which no export has")
		case xml.EndElement:
			return nil
		case xml.StartElement:
			f := by[t.Name.Local]
			if f == nil && k.depth == 1 {
				return keepassError("is no KeePassFile")
			}
			if seen && k.depth == 1 {
				return keepassError("holds more than one document")
			}
			seen = true
			if f == nil {
				f = func(xml.StartElement) error { return k.children(nil) }
			}
			if err := f(t); err != nil {
				return err
			}
		}
	}
}

// text reads an element that holds text alone, into memory of its own.
func (k *keepass) text() ([]byte, error) {
	var out []byte
	for {
		t, err := k.d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.CharData:
			grown := append(out, t...)
			if len(out) > 0 && &grown[0] != &out[0] {
				clear(out)
			}
			out = grown
		case xml.EndElement:
			return out, nil
		case xml.StartElement, xml.Directive:
			return nil, keepassError("has an element where text should be")
		}
	}
}

// into returns a reader of text that is no secret.
func (k *keepass) into(s *string) func(xml.StartElement) error {
	return func(xml.StartElement) error {
		b, err := k.text()
		*s = strings.TrimSpace(string(b))
		return err
	}
}

func (k *keepass) file() error {
	return k.children(map[string]func(xml.StartElement) error{
		"Meta": func(xml.StartElement) error {
			return k.children(map[string]func(xml.StartElement) error{"RecycleBinUUID": k.into(&k.bin)})
		},
		"Root": func(xml.StartElement) error {
			return k.children(map[string]func(xml.StartElement) error{
				"Group": func(xml.StartElement) error { return k.group(nil) },
			})
		},
	})
}

func (k *keepass) group(parent *group) error {
	g := &group{parent: parent}
	return k.children(map[string]func(xml.StartElement) error{
		"UUID":  k.into(&g.uuid),
		"Name":  k.into(&g.name),
		"Group": func(xml.StartElement) error { return k.group(g) },
		"Entry": func(xml.StartElement) error { return k.entry(g) },
	})
}

// trashed reports whether a group is the recycle bin or in it.
func (k *keepass) trashed(g *group) bool {
	for ; g != nil; g = g.parent {
		if k.bin != "" && g.uuid == k.bin && strings.Trim(k.bin, "A=") != "" { // all A is the UUID of none
			return true
		}
	}
	return false
}

// path is the way from the root group, which is left out.
func (g *group) path() string {
	if g.parent == nil {
		return ""
	}
	if above := g.parent.path(); above != "" {
		return above + "/" + g.name
	}
	return g.name
}

func (k *keepass) entry(g *group) error {
	var tags string
	var pairs []pair
	it := Item{Category: "LOGIN"}
	err := k.children(map[string]func(xml.StartElement) error{ // the History element is passed over
		"Tags": k.into(&tags),
		"String": func(xml.StartElement) error {
			p, err := k.pair()
			if pairs = append(pairs, p); len(pairs) > maxFields {
				return keepassError(fmt.Sprintf("has an entry of more than %d fields", maxFields))
			}
			return err
		},
		"Binary": func(xml.StartElement) error {
			var name string
			err := k.children(map[string]func(xml.StartElement) error{"Key": k.into(&name)})
			it.left("attachment " + name)
			return err
		},
	})
	if err != nil {
		return err
	}
	if err := it.keepass(pairs); err != nil {
		return err
	}
	for _, t := range strings.FieldsFunc(tags, func(r rune) bool { return r == ';' || r == ',' }) {
		it.tag(t)
	}
	if k.found = append(k.found, kept{it, g}); len(k.found) > MaxItems {
		return keepassError(fmt.Sprintf("has more than %d items", MaxItems))
	}
	return nil
}

// pair is a String element.
type pair struct {
	key    string
	value  []byte
	hidden bool
}

func (k *keepass) pair() (pair, error) {
	var p pair
	err := k.children(map[string]func(xml.StartElement) error{
		"Key": k.into(&p.key),
		"Value": func(e xml.StartElement) error {
			for _, a := range e.Attr {
				on := strings.EqualFold(a.Value, "true") || a.Value == "1"
				if a.Name.Local == "Protected" && on {
					return keepassError("holds values that are still encrypted: export it as KeePass XML (2.x)")
				}
				p.hidden = p.hidden || a.Name.Local == "ProtectInMemory" && on
			}
			var err error
			p.value, err = k.text()
			return err
		},
	})
	return p, err
}

// keepass takes the strings of an entry.
func (it *Item) keepass(pairs []pair) error {
	seen := map[string]bool{}
	all := map[string][]byte{}
	for _, p := range pairs {
		if seen[p.key] {
			return keepassError("has an entry in which a name stands twice")
		}
		seen[p.key] = true
		all[p.key] = p.value
		if bytes.HasPrefix(p.value, []byte("{REF:")) {
			it.left("field " + p.key + " refers to another entry; its text was taken as it stands")
		}
	}
	it.Title = string(all["Title"])
	it.username(all["UserName"])
	it.password(all["Password"])
	it.address(all["URL"])
	used := it.keepassOTP(all)
	for _, p := range pairs {
		switch {
		case used[p.key]:
		case strings.HasPrefix(p.key, "KP2A_URL"):
			it.address(p.value)
		case strings.HasPrefix(p.key, "KPEX_PASSKEY"):
			it.add("passkey", p.key, "CONCEALED", p.value)
		case p.hidden:
			it.add("", p.key, "CONCEALED", p.value)
		default:
			it.add("", p.key, "STRING", p.value)
		}
	}
	if len(it.Fields) == 0 && len(it.URLs) == 0 {
		it.Category = "SECURE_NOTE"
	}
	it.notes(all["Notes"])
	return nil
}

// keepassOTP takes a one-time password's key in the three ways that are in use
// and returns the names that are done with.
func (it *Item) keepassOTP(all map[string][]byte) map[string]bool {
	used := map[string]bool{"Title": true, "UserName": true, "Password": true, "URL": true, "Notes": true}
	take := func(value []byte, names ...string) {
		it.otp(value)
		for _, n := range names {
			used[n] = true
		}
	}
	if v := all["otp"]; len(v) > 0 {
		take(v, "otp")
	}
	if v := all["TimeOtp-Secret-Base32"]; len(v) > 0 {
		algorithm := strings.ReplaceAll(strings.TrimPrefix(string(all["TimeOtp-Algorithm"]), "HMAC-"), "-", "")
		take(otpauth(v, string(all["TimeOtp-Period"]), string(all["TimeOtp-Length"]), algorithm),
			"TimeOtp-Secret-Base32", "TimeOtp-Period", "TimeOtp-Length", "TimeOtp-Algorithm")
	}
	if v := all["TOTP Seed"]; len(v) > 0 {
		period, digits, _ := strings.Cut(string(all["TOTP Settings"]), ";")
		if _, err := fmt.Sscanf(digits, "%d", new(int)); err == nil || digits == "" { // "S" is Steam's own code
			take(otpauth(v, period, digits, ""), "TOTP Seed", "TOTP Settings")
		}
	}
	return used
}

// otpauth writes a key with its parameters as an address; a key with none stays
// as it is. Parameters that are no plain words are left out.
func otpauth(secret []byte, period, digits, algorithm string) []byte {
	var query string
	for _, p := range [][2]string{{"period", period}, {"digits", digits}, {"algorithm", algorithm}} {
		plain := strings.Trim(p[1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
		if p[1] != "" && plain {
			query += "&" + p[0] + "=" + p[1]
		}
	}
	secret = bytes.Join(bytes.Fields(secret), nil)
	if query == "" || bytes.ContainsAny(secret, "&?#%") {
		return secret
	}
	return append(append([]byte("otpauth://totp/KeePass?secret="), secret...), query...)
}

package foreign

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/thumbturn/thumbturn/ref"
	"pgregory.net/rapid"
)

// Whatever another program writes in its form is read back as it was. The
// writers here use the encoders of the standard library, so that the readers
// are not tested against themselves.

func text(t *rapid.T, name string) string {
	return rapid.StringMatching("[ -~]{1,20}|[äß€😀\\n\"\\\\<&,:]{1,8}").Draw(t, name)
}

// title is text as tidy leaves it.
func title(t *rapid.T, name string) string {
	return rapid.StringMatching("[A-Za-z€][ -~€]{0,10}[a-z]").Draw(t, name)
}

// items draws items of the shape that every format can carry, and the extra
// fields that custom draws.
func items(t *rapid.T, custom func(i int) Field) []Item {
	var out []Item
	for range rapid.IntRange(1, 4).Draw(t, "items") {
		it := Item{Title: title(t, "title"), Category: "LOGIN", URLs: []string{"https://" + rapid.StringMatching("[a-z]{1,8}").Draw(t, "url")}}
		it.username([]byte(text(t, "username")))
		it.password([]byte(text(t, "password")))
		it.otp([]byte("otpauth://totp/a?secret=" + rapid.StringMatching("[A-Z2-7]{8}").Draw(t, "seed")))
		if custom != nil {
			for i := range rapid.IntRange(0, 3).Draw(t, "fields") {
				it.Fields = append(it.Fields, custom(i))
			}
		}
		it.notes([]byte(text(t, "notes")))
		out = append(out, it)
	}
	return out
}

func same(t *rapid.T, f Format, data []byte, want []Item) {
	got, err := read(f, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if diff := cmp.Diff(want, got.Items); diff != "" || len(got.Skipped) > 0 {
		t.Fatalf("%s\n%v", diff, got.Skipped)
	}
}

func encode(t *rapid.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type object = map[string]any

// custom draws a field with a label of its own.
func custom(t *rapid.T, section bool, types ...string) func(int) Field {
	return func(i int) Field {
		f := field("", string(rune('a'+i))+title(t, "label"), rapid.SampledFrom(types).Draw(t, "type"), "", text(t, "value"))
		if section {
			f.Section = rapid.SampledFrom([]string{"", "One", "two"}).Draw(t, "section")
		}
		return f
	}
}

func TestTripOnePassword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := items(t, custom(t, true, "STRING", "CONCEALED", "EMAIL", "URL", "PHONE", "DATE", "MENU", "SSHKEY", "ADDRESS"))
		var all []object
		for _, it := range want {
			var fields []object
			for _, f := range it.Fields {
				o := object{"id": "i" + f.Label, "type": f.Type, "label": f.Label, "value": string(f.Value)}
				if f.Purpose != "" {
					o["purpose"] = f.Purpose
				}
				if f.Section != "" {
					o["section"] = object{"id": f.Section, "label": f.Section}
				}
				fields = append(fields, o)
			}
			all = append(all, object{"id": "x", "title": it.Title, "category": it.Category, "urls": []object{{"href": it.URLs[0]}}, "fields": fields})
		}
		same(t, OnePasswordJSON, encode(t, all), want)
	})
}

func TestTripOnePUX(t *testing.T) {
	kinds := map[string]string{"STRING": "string", "CONCEALED": "concealed", "PHONE": "phone", "URL": "url", "OTP": "totp", "MENU": "menu", "CREDIT_CARD_NUMBER": "creditCardNumber"}
	rapid.Check(t, func(t *rapid.T) {
		want := items(t, custom(t, true, "STRING", "CONCEALED", "PHONE", "URL", "OTP", "MENU", "CREDIT_CARD_NUMBER"))
		var all []object
		for _, it := range want {
			login := []object{}
			var sections []object
			details := object{}
			for _, f := range it.Fields {
				switch f.Purpose {
				case "USERNAME", "PASSWORD":
					login = append(login, object{"designation": strings.ToLower(f.Purpose), "value": string(f.Value), "fieldType": "T"})
				case "NOTES":
					details["notesPlain"] = string(f.Value)
				default:
					sections = append(sections, object{"title": f.Section, "fields": []object{{"title": f.Label, "id": "x", "value": object{kinds[f.Type]: string(f.Value)}}}})
				}
			}
			details["loginFields"], details["sections"] = login, sections
			all = append(all, object{"uuid": "u", "categoryUuid": "001", "state": "active", "details": details,
				"overview": object{"title": it.Title, "url": it.URLs[0], "urls": []object{{"url": it.URLs[0]}}}})
		}
		data := encode(t, object{"accounts": []object{{"vaults": []object{{"attrs": object{"name": ""}, "items": all}}}}})
		same(t, OnePUX, archive(t, [2]string{"export.data", string(data)}), want)
	})
}

func TestTripBitwarden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := items(t, custom(t, false, "STRING", "CONCEALED"))
		var all []object
		for i := range want {
			it := &want[i]
			login, fields := object{"uris": []object{{"match": nil, "uri": it.URLs[0]}}}, []object{}
			o := object{"type": 1, "name": it.Title, "deletedDate": nil, "folderId": "f", "login": login}
			var extra []Field
			var rest []Field
			for _, f := range it.Fields {
				switch {
				case f.Purpose == "USERNAME":
					login["username"] = string(f.Value)
				case f.Purpose == "PASSWORD":
					login["password"] = string(f.Value)
				case f.Purpose == "NOTES":
					o["notes"] = string(f.Value)
				case f.Type == "OTP":
					login["totp"] = string(f.Value)
				default:
					kind := 0
					if f.Concealed {
						kind = 1
					}
					fields = append(fields, object{"name": f.Label, "value": string(f.Value), "type": kind})
					extra = append(extra, f)
					continue
				}
				rest = append(rest, f)
			}
			it.Fields, it.Tags = append(rest, extra...), []string{"Fold/er"}
			o["fields"] = fields
			all = append(all, o)
		}
		same(t, "", encode(t, object{"encrypted": false, "folders": []object{{"id": "f", "name": "Fold/er"}}, "items": all}), want)
	})
}

func TestTripKeePass(t *testing.T) {
	type value struct {
		Protect string `xml:"ProtectInMemory,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
	type pair struct {
		Key   string
		Value value
	}
	type entry struct{ String []pair }
	type file struct {
		XMLName xml.Name `xml:"KeePassFile"`
		Entries []entry  `xml:"Root>Group>Group>Entry"`
	}
	names := map[string]string{"USERNAME": "UserName", "PASSWORD": "Password", "NOTES": "Notes"}
	rapid.Check(t, func(t *rapid.T) {
		want := items(t, custom(t, false, "STRING", "CONCEALED"))
		var out file
		for _, it := range want {
			e := entry{[]pair{{"Title", value{Text: it.Title}}, {"URL", value{Text: it.URLs[0]}}}}
			for _, f := range it.Fields {
				p := pair{f.Label, value{Text: string(f.Value)}}
				if f.Type == "OTP" {
					p.Key = "otp"
				}
				if n := names[f.Purpose]; n != "" {
					p.Key = n
				}
				if f.Concealed {
					p.Value.Protect = "True"
				}
				e.String = append(e.String, p)
			}
			out.Entries = append(out.Entries, e)
		}
		b, err := xml.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		same(t, KeePassXML, b, want)
	})
}

func TestTripCSV(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := items(t, nil)
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		rows := [][]string{{"Title", "URL", "Username", "Password", "OTPAuth", "Notes"}}
		for _, it := range want {
			row := []string{it.Title, it.URLs[0]}
			for _, f := range it.Fields {
				row = append(row, string(f.Value))
			}
			rows = append(rows, row)
		}
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		same(t, CSV, b.Bytes(), want)
	})
}

func TestTripPass(t *testing.T) {
	line := func(t *rapid.T, name string) string { return rapid.StringMatching("[!-~]{1,20}").Draw(t, name) }
	rapid.Check(t, func(t *rapid.T) {
		want := Item{Title: "entry", Category: "LOGIN", URLs: []string{"https://x.example"}}
		var b strings.Builder
		first := "p" + line(t, "password")
		want.password([]byte(first))
		b.WriteString(first + "\n")
		user, pin, seed, note := line(t, "user"), line(t, "pin"), line(t, "seed"), "("+text(t, "note")+")"
		b.WriteString("user: " + user + "\nurl: https://x.example\npin: " + pin + "\notpauth://" + seed + "\n" + note)
		want.username([]byte(user))
		want.add("", "pin", "CONCEALED", []byte(pin))
		want.otp([]byte("otpauth://" + seed))
		want.notes([]byte(note))
		same(t, Pass, []byte(b.String()), []Item{want})
	})
}

// sound checks what holds of every export: titles, labels of their own, and
// nothing without a value.
func sound(t *testing.T, e Export) {
	for _, it := range e.Items {
		if strings.TrimSpace(it.Title) == "" || it.Category == "" {
			t.Fatalf("no title or category: %+v", it)
		}
		seen := map[[2]string]bool{}
		for _, f := range it.Fields {
			at := [2]string{ref.Fold(f.Section), ref.Fold(f.Label)}
			if seen[at] || f.Label == "" || len(f.Value) == 0 || f.Type == "" || concealed(f.Type) && !f.Concealed {
				t.Fatalf("bad field %+v of %+v", f, it)
			}
			if !isText(f.Value) {
				t.Fatalf("field %s is no text", f.Label)
			}
			seen[at] = true
		}
	}
}

func fuzz(f *testing.F, format Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := read(format, data); err == nil {
			sound(t, e)
		}
	})
}

func FuzzOnePassword(f *testing.F) {
	fuzz(f, OnePasswordJSON, opItem, `[`+opItem+`]`, `{"title":"a","category":"LOGIN","fields":[{"label":" a"},{"label":"A","value":"x"},{"label":"a 2","value":"y"},{"label":"a","value":"z"}]}`)
}
func FuzzBitwarden(f *testing.F) { fuzz(f, "", bitwardenData, `{"encrypted":true}`) }
func FuzzKeePass(f *testing.F)   { fuzz(f, KeePassXML, keepassData, `<KeePassFile/>`) }
func FuzzPass(f *testing.F) {
	fuzz(f, Pass, "p\nuser: a\n", "otpauth://totp/a?secret=b", "\n\nx: y\r\n", "p\r")
}
func FuzzCSV(f *testing.F) {
	fuzz(f, CSV, "name,url,username,password\na,b,c,\"d\"\"e\"\r\n", "password,name\r\n,\n\"\",\"\r\n\"\n", "name,password\nx,")
}
func FuzzOnePUX(f *testing.F) {
	fuzz(f, OnePUX, string(archive(f, [2]string{"export.data", puxData})), "PK\x05\x06"+strings.Repeat("\x00", 18))
}

// FuzzOnePUXData gets past the checksum of the archive.
func FuzzOnePUXData(f *testing.F) {
	f.Add([]byte(puxData))
	f.Add([]byte(`{"accounts":[{"vaults":[{"items":[{"item":{"details":{}},"file":{"attrs":{"fileName":"x"}}}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := read(OnePUX, archive(t, [2]string{"export.data", string(data)})); err == nil {
			sound(t, e)
		}
	})
}

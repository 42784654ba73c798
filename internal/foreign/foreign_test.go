package foreign

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// field is a field as a test writes it down.
func field(section, label, typ, purpose, value string) Field {
	return Field{Section: section, Label: label, Type: typ, Purpose: purpose, Concealed: concealed(typ), Value: Value(value)}
}

func username(v string) Field { return field("", "username", "STRING", "USERNAME", v) }
func password(v string) Field { return field("", "password", "CONCEALED", "PASSWORD", v) }
func notes(v string) Field    { return field("", "notesPlain", "CONCEALED", "NOTES", v) }

// tester is what *testing.T, *testing.F and *rapid.T have in common.
type tester interface {
	Helper()
	Fatal(...any)
}

// archive makes a ZIP archive.
func archive(t tester, files ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = io.WriteString(w, f[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads whatever the format.
func read(f Format, data []byte) (Export, error) {
	switch f {
	case OnePUX:
		return ReadOnePUX(bytes.NewReader(data), int64(len(data)))
	case Pass:
		s := NewStore()
		err := s.Add("entry", data)
		return s.Done(), err
	}
	return Read(f, data)
}

const opItem = `{"id":"x","title":"Stripe","version":1,"vault":{"id":"v","name":"work"},"category":"API_CREDENTIAL",
"tags":["a","b"],"urls":[{"primary":true,"href":"https://stripe.com"},{"href":"https://u:p@h/"}],
"sections":[{"id":"s1","label":"Extra"},{"id":"add more"}],
"fields":[{"id":"notesPlain","type":"STRING","purpose":"NOTES","label":"notesPlain","value":"n\u00e9\n\ud83d\ude00"},
{"id":"username","type":"STRING","label":"username","value":"ada"},
{"id":"credential","type":"CONCEALED","label":"credential","value":"sk_live"},
{"id":"f1","section":{"id":"s1"},"type":"OTP","label":"code","value":"otpauth://totp/x?secret=A","totp":"123"},
{"id":"f2","section":{"id":"s1","label":"Extra"},"type":"STRING","label":"Code","value":"again"},
{"id":"f3","section":{"id":"add more"},"type":"NEW_KIND","label":"","value":"?"},
{"id":"f4","type":"REFERENCE","label":"rel","value":"zzz"},{"id":"f5","type":"STRING","label":"empty"}],
"files":[{"id":"q","name":"a.pem","size":3}]}`

const puxData = `{"accounts":[{"attrs":{"name":"A"},"vaults":[{"attrs":{"name":"Private"},"items":[
{"uuid":"1","categoryUuid":"001","state":"active","details":{"loginFields":[
 {"value":"ada","id":"","name":"u","fieldType":"T","designation":"username"},{"value":"pw","name":"p","fieldType":"P","designation":"password"},
 {"value":"x","name":"box","fieldType":"C"},{"value":"hid","name":"pin","fieldType":"P"}],"notesPlain":"note",
 "sections":[{"title":"S","name":"s","fields":[
  {"title":"otp","id":"TOTP_1","value":{"totp":"otpauth://totp/y?secret=B"}},{"title":"d","id":"d","value":{"date":86400}},
  {"title":"m","id":"m","value":{"monthYear":202612}},{"title":"e","id":"e","value":{"email":{"email_address":"a@b.c","provider":null}}},
  {"title":"a","id":"a","value":{"address":{"street":"1 St","city":"X","country":"us","zip":"9","state":""}}},
  {"title":"f","id":"f","value":{"file":{"fileName":"x.bin","documentId":"d","decryptedSize":2}}},
  {"title":"new","id":"n","value":{"quantum":"q"}},{"title":"r","id":"r","value":{"reference":"abc"}}]}],"passwordHistory":[{"value":"old","time":1}]},
 "overview":{"title":"GitHub","url":"https://github.com","urls":[{"label":"website","url":"https://github.com"}],"tags":["t"]}},
{"uuid":"2","categoryUuid":"114","state":"active","details":{"loginFields":[],"sections":[{"title":"","fields":[
 {"title":"private key","id":"private_key","value":{"sshKey":{"privateKey":"PEM","metadata":{"publicKey":"ssh-ed25519 A","fingerprint":"SHA256:x"}}}}]}]},
 "overview":{"title":"Key"}},
{"uuid":"3","categoryUuid":"001","state":"archived","details":{},"overview":{"title":"Old"}}]},
{"attrs":{"name":"Work"},"items":[{"uuid":"4","categoryUuid":"005","state":"active","details":{"password":"p2","passkey":{"rpId":"x"},"other":null},"overview":{"title":"Pw"}},
{"uuid":"5","categoryUuid":"006","details":{"documentAttributes":{"fileName":"doc.pdf"}},"overview":{"title":"Doc"}}]}]}]}`

const bitwardenData = `{"encrypted":false,"folders":[{"id":"f1","name":"Social"}],"items":[
{"id":"1","folderId":"f1","type":1,"name":"Tw","notes":"n","favorite":false,"deletedDate":null,"fields":[{"name":"a","value":"1","type":0},{"name":"b","value":"2","type":1},{"name":"c","value":"true","type":2},{"name":"d","value":null,"type":3,"linkedId":100}],
 "login":{"fido2Credentials":[{}],"uris":[{"match":null,"uri":"https://t.co"}],"username":"me","password":"p","totp":"SEED"},"passwordHistory":null},
{"type":2,"name":"Note","notes":"secret note","secureNote":{"type":0}},
{"type":3,"name":"Card","card":{"cardholderName":"C","brand":"visa","number":"4242","expMonth":"4","expYear":"2030","code":"123"}},
{"type":4,"name":"Me","identity":{"firstName":"A","ssn":"9","email":"e@x","subTitle":null}},
{"type":5,"name":"Key","sshKey":{"privateKey":"PEM","publicKey":"pub","keyFingerprint":"fp"},"attachments":[{"fileName":"x"}]},
{"type":1,"name":"Gone","deletedDate":"2026-01-01"},{"type":9,"name":"Odd"}]}`

const keepassData = "\xef\xbb\xbf" + `<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<KeePassFile><Meta><Generator>KeePass</Generator><RecycleBinUUID>QklO</RecycleBinUUID></Meta><Root><Group><UUID>Uk9PVA==</UUID><Name>Root</Name>
<Group><UUID>RzE=</UUID><Name>Internet</Name><Group><Name>Shops</Name>
<Entry><UUID>1</UUID><Tags>x;y</Tags><String><Key>Title</Key><Value>Shop &amp; Co</Value></String><String><Key>UserName</Key><Value>ada</Value></String>
<String><Key>Password</Key><Value ProtectInMemory="True">p&lt;w</Value></String><String><Key>URL</Key><Value>https://s.example</Value></String><String><Key>Notes</Key><Value /></String>
<String><Key>TimeOtp-Secret-Base32</Key><Value>AAAA BBBB</Value></String><String><Key>TimeOtp-Length</Key><Value>8</Value></String><String><Key>TimeOtp-Algorithm</Key><Value>HMAC-SHA-256</Value></String>
<String><Key>pin</Key><Value ProtectInMemory="True">12</Value></String><String><Key>plain</Key><Value>v</Value></String><String><Key>KP2A_URL_1</Key><Value>https://two.example</Value></String>
<Binary><Key>f.txt</Key><Value Ref="0" /></Binary>
<History><Entry><String><Key>Title</Key><Value>Old</Value></String></Entry></History></Entry></Group></Group>
<Group><UUID>QklO</UUID><Name>Recycle Bin</Name><Entry><String><Key>Title</Key><Value>Gone</Value></String></Entry></Group>
</Group></Root></KeePassFile>`

func TestRead(t *testing.T) {
	website := field("", "website", "URL", "", "https://u:p@h/")
	website.Concealed = true
	tests := []struct {
		name    string
		format  Format
		data    []byte
		want    []Item
		skipped []Skipped
	}{
		{name: "op", data: []byte(opItem), want: []Item{{Title: "Stripe", Category: "API_CREDENTIAL", Vault: "work", Tags: []string{"a", "b"},
			URLs: []string{"https://stripe.com"}, Left: []string{"attachment a.pem", "link rel"}, Fields: []Field{website,
				notes("né\n😀"), field("", "username", "STRING", "", "ada"), field("", "credential", "CONCEALED", "", "sk_live"),
				field("Extra", "code", "OTP", "", "otpauth://totp/x?secret=A"), field("Extra", "Code 2", "STRING", "", "again"),
				field("", "f3", "CONCEALED", "", "?")}}}},
		{name: "op, several, without values", format: OnePasswordJSON,
			data:    []byte(`[{"title":"A","category":"X_NEW","fields":[]}] {"title":"B","category":"LOGIN"} {"title":"C","category":"LOGIN","fields":[{"value":"[use 'op item get C --reveal' to reveal]"}]}`),
			want:    []Item{{Title: "A", Category: "SECURE_NOTE"}},
			skipped: []Skipped{{"B", "has no fields: it comes from op item list; use op item get"}, {"C", "was exported without its values: add --reveal to op item get"}}},
		{name: "1pux", format: OnePUX, data: archive(t, [2]string{"export.attributes", "{}"}, [2]string{"export.data", puxData}, [2]string{"files/d__x.bin", "zz"}),
			want: []Item{
				{Title: "GitHub", Category: "LOGIN", Vault: "Private", Tags: []string{"t", "Private"}, URLs: []string{"https://github.com"},
					Left: []string{"attachment x.bin", "link r"}, Fields: []Field{username("ada"), password("pw"), field("web form", "pin", "CONCEALED", "", "hid"),
						field("S", "otp", "OTP", "", "otpauth://totp/y?secret=B"), field("S", "d", "DATE", "", "1970-01-02"), field("S", "m", "MONTH_YEAR", "", "202612"),
						field("S", "e", "EMAIL", "", "a@b.c"), field("S", "a", "ADDRESS", "", "1 St, X, 9, us"), field("S", "new", "CONCEALED", "", "q"), notes("note")}},
				{Title: "Key", Category: "SSH_KEY", Vault: "Private", Tags: []string{"Private"}, Fields: []Field{field("", "private key", "SSHKEY", "", "PEM"),
					field("", "public key", "STRING", "", "ssh-ed25519 A"), field("", "fingerprint", "STRING", "", "SHA256:x")}},
				{Title: "Pw", Category: "PASSWORD", Vault: "Work", Tags: []string{"Work"}, Left: []string{"passkey, of a kind not known here"}, Fields: []Field{password("p2")}},
				{Title: "Doc", Category: "DOCUMENT", Vault: "Work", Tags: []string{"Work"}, Left: []string{"attachment doc.pdf"}}},
			skipped: []Skipped{{"Old", "is archived"}}},
		{name: "bitwarden", data: []byte(bitwardenData), want: []Item{
			{Title: "Tw", Category: "LOGIN", Tags: []string{"Social"}, URLs: []string{"https://t.co"}, Left: []string{"passkey", "linked field d"},
				Fields: []Field{username("me"), password("p"), field("", "one-time password", "OTP", "", "SEED"), notes("n"),
					field("", "a", "STRING", "", "1"), field("", "b", "CONCEALED", "", "2"), field("", "c", "STRING", "", "true")}},
			{Title: "Note", Category: "SECURE_NOTE", Fields: []Field{notes("secret note")}},
			{Title: "Card", Category: "CREDIT_CARD", Fields: []Field{field("", "cardholder name", "STRING", "", "C"), field("", "type", "CREDIT_CARD_TYPE", "", "visa"),
				field("", "number", "CREDIT_CARD_NUMBER", "", "4242"), field("", "verification number", "CONCEALED", "", "123"), field("", "expiry date", "MONTH_YEAR", "", "203004")}},
			{Title: "Me", Category: "IDENTITY", Fields: []Field{field("", "firstName", "STRING", "", "A"), field("", "ssn", "CONCEALED", "", "9"), field("", "email", "EMAIL", "", "e@x")}},
			{Title: "Key", Category: "SSH_KEY", Left: []string{"attachment x"}, Fields: []Field{field("", "private key", "SSHKEY", "", "PEM"), field("", "public key", "STRING", "", "pub"), field("", "fingerprint", "STRING", "", "fp")}}},
			skipped: []Skipped{{"Gone", "is in the trash"}, {"Odd", "is of a kind that is not known here"}}},
		{name: "keepass", format: KeePassXML, data: []byte(keepassData), want: []Item{{Title: "Shop & Co", Category: "LOGIN", Tags: []string{"x", "y", "Internet/Shops"},
			URLs: []string{"https://s.example", "https://two.example"}, Left: []string{"attachment f.txt"}, Fields: []Field{username("ada"), password("p<w"),
				field("", "one-time password", "OTP", "", "otpauth://totp/KeePass?secret=AAAABBBB&digits=8&algorithm=SHA256"), field("", "pin", "CONCEALED", "", "12"), field("", "plain", "STRING", "", "v")}}},
			skipped: []Skipped{{"Gone", "is in the recycle bin"}}},
		{name: "pass", format: Pass, data: []byte("pw\r\nlogin: ada\nurl: https://x.example\nsome: thing\nDear all, this: is not\n\n otp\notpauth://totp/z?secret=C\nend"),
			want: []Item{{Title: "entry", Category: "LOGIN", URLs: []string{"https://x.example"}, Fields: []Field{password("pw"), username("ada"),
				field("", "some", "CONCEALED", "", "thing"), field("", "one-time password", "OTP", "", "otpauth://totp/z?secret=C"), notes("Dear all, this: is not\n\n otp\nend")}}}},
		{name: "pass, a file", format: Pass, data: []byte("\xff\x00"), skipped: []Skipped{{"entry", "holds a file, not text"}}},
		{name: "Chrome", format: CSV, data: []byte("name,url,username,password,note\nx,https://x,u,\"p,\"\"q\"\"\r\nr\",\n"), want: []Item{
			{Title: "x", Category: "LOGIN", URLs: []string{"https://x"}, Fields: []Field{username("u"), password("p,\"q\"\r\nr")}}}},
		{name: "Firefox", format: CSV, data: []byte("\"url\",\"username\",\"password\",\"httpRealm\",\"formActionOrigin\",\"guid\",\"timeCreated\",\"timeLastUsed\",\"timePasswordChanged\"\r\n\"https://y.example\",\"u\",\"p\",,\"\",\"{g}\",\"1\",\"2\",\"3\""),
			want: []Item{{Title: "y.example", Category: "LOGIN", URLs: []string{"https://y.example"}, Fields: []Field{username("u"), password("p")}}}},
		{name: "Safari", format: CSV, data: []byte("\xef\xbb\xbfTitle,URL,Username,Password,Notes,OTPAuth\nz,https://z,u,p,n,otpauth://totp/q?secret=D"), want: []Item{
			{Title: "z", Category: "LOGIN", URLs: []string{"https://z"}, Fields: []Field{username("u"), password("p"), notes("n"), field("", "one-time password", "OTP", "", "otpauth://totp/q?secret=D")}}}},
		{name: "LastPass", format: CSV, data: []byte("url,username,password,totp,extra,name,grouping,fav\nhttp://sn,,,,text,Note,G\\H,0\n\nhttps://l,u,p,,,L,,1\n"), want: []Item{
			{Title: "Note", Category: "SECURE_NOTE", Tags: []string{"G\\H"}, Fields: []Field{notes("text")}},
			{Title: "L", Category: "LOGIN", URLs: []string{"https://l"}, Fields: []Field{username("u"), password("p")}}}},
		{name: "an unknown column is a secret", format: CSV, data: []byte("title,password,PIN\nt,p,1\n"), want: []Item{
			{Title: "t", Category: "LOGIN", Fields: []Field{password("p"), field("", "PIN", "CONCEALED", "", "1")}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(tt.format, tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Items); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.skipped, got.Skipped); diff != "" {
				t.Error(diff)
			}
			got.Wipe()
			for _, it := range got.Items {
				for _, f := range it.Fields {
					if len(bytes.Trim(f.Value, "\x00")) > 0 && f.Type != "DATE" && f.Type != "ADDRESS" {
						t.Errorf("%s was not wiped", f.Label)
					}
				}
			}
		})
	}
}

// TestHostile: each is refused, and no error shows any text of the file.
func TestHostile(t *testing.T) {
	const secret = "S3CRETVALUE"
	pux := func(s string) string { return string(archive(t, [2]string{"export.data", s})) }
	entry := func(s string) string {
		return "<KeePassFile><Root><Group><Entry>" + s + "</Entry></Group></Root></KeePassFile>"
	}
	whole := pux(`{"accounts":[]}`)
	tests := []struct {
		name   string
		format Format
		data   string
		want   string
	}{
		{"empty", "", "", "nothing in it"},
		{"cut short", "", `{"title":"x","fields":[{"value":"` + secret, "cut short"},
		{"cut short between", "", `{"title":"` + secret + `",`, "cut short"},
		{"not JSON", "", `{"a":` + secret + `}`, "not JSON"},
		{"trailing comma", "", `{"title":"` + secret + `",}`, "key is missing"},
		{"deep", "", strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested too deeply"},
		{"deep objects", "", strings.Repeat(`{"a":`, 1_000_000), "nested too deeply"},
		{"a key twice", "", `{"title":"` + secret + `","title":"b"}`, "twice"},
		{"a key twice, escaped", "", `{"title":"a","titl\u0065":"b"}`, "twice"},
		{"not UTF-8", "", "{\"title\":\"\xff" + secret + "\"}", "not UTF-8"},
		{"a lone surrogate", "", `{"title":"\ud800` + secret + `"}`, "escape"},
		{"surrogates the wrong way", "", `{"title":"\udc00\ud800"}`, "escape"},
		{"NUL", "", `{"title":"\u0000` + secret + `"}`, "NUL"},
		{"a raw control", "", "{\"title\":\"\x01\"}", "control"},
		{"number", "", `[01]`, "number"},
		{"minus", "", `[-]`, "number"},
		{"huge", OnePasswordJSON, strings.Repeat(" ", MaxData+1), "larger than"},
		{"no item", OnePasswordJSON, `[{"a":"` + secret + `"}]`, "value 1 is no item"},
		{"no object", OnePasswordJSON, `["` + secret + `"]`, "value 1 is no item"},
		{"no bitwarden", Bitwarden, opItem, "no export of Bitwarden"},
		{"encrypted bitwarden", "", `{"encrypted":true,"items":[],"data":"` + secret + `"}`, "is encrypted"},
		{"bitwarden without items", "", `{"encrypted":false,"items":{}}`, "no list of items"},
		{"bitwarden item", "", `{"encrypted":false,"items":[3]}`, "item 1 is none"},
		{"too many items", "", `{"encrypted":false,"items":[` + strings.Repeat("{},", MaxItems) + `{}]}`, "more than 100000 items"},
		{"no ZIP", OnePUX, "PK\x03\x04" + secret, "no whole ZIP"},
		{"a ZIP cut short", OnePUX, whole[:len(whole)-8], "no whole ZIP"},
		{"no data", OnePUX, string(archive(t, [2]string{"../export.data", "{}"})), "no export.data"},
		{"data twice", OnePUX, string(archive(t, [2]string{"export.data", "{}"}, [2]string{"export.data", "{}"})), "twice"},
		{"not an export", OnePUX, pux(`{"vaults":"` + secret + `"}`), "no list of accounts"},
		{"a damaged archive", OnePUX, damaged(whole), "archive says"},
		{"a bomb by ratio", OnePUX, pux(strings.Repeat(" ", 8<<20)), "compressed more than"},
		{"a bomb by size", OnePUX, bomb(t, MaxData+1), "larger than"},
		{"a bomb that lies", OnePUX, lying(t), "not what the archive says"},
		{"a directory without end", OnePUX, crowd(t), "too many files"},
		{"an item that is none", OnePUX, pux(`{"accounts":[{"vaults":[{"items":[1]}]}]}`), "item 1 is none"},
		{"DOCTYPE", KeePassXML, `<!DOCTYPE x [<!ENTITY a "` + secret + `">]><KeePassFile/>`, "DOCTYPE"},
		{"DOCTYPE inside", KeePassXML, entry(`<String><Key><!ENTITY b "x"></Key></String>`), "text should be"},
		{"entity", KeePassXML, entry(`<String><Key>Title</Key><Value>&` + secret + `;</Value></String>`), "well-formed"},
		{"another document", KeePassXML, `<html>` + secret + `</html>`, "no KeePassFile"},
		{"two documents", KeePassXML, `<KeePassFile/><KeePassFile/>`, "more than one"},
		{"XML cut short", KeePassXML, `<KeePassFile><Root><Group><Entry><String><Value>` + secret, "well-formed"},
		{"deep XML", KeePassXML, "<KeePassFile>" + strings.Repeat("<a>", 100_000), "too deeply"},
		{"deep groups", KeePassXML, "<KeePassFile><Root>" + strings.Repeat("<Group>", 100), "too deeply"},
		{"XML in Latin-1", KeePassXML, `<?xml version="1.0" encoding="latin1"?><KeePassFile/>`, "well-formed"},
		{"XML not UTF-8", KeePassXML, entry("<String><Key>Title</Key><Value>\xff</Value></String>"), "well-formed"},
		{"XML with NUL", KeePassXML, entry("<String><Key>Title</Key><Value>\x00</Value></String>"), "well-formed"},
		{"still encrypted", KeePassXML, entry(`<String><Key>Password</Key><Value Protected="True">` + secret + `</Value></String>`), "still encrypted"},
		{"a name twice", KeePassXML, entry(strings.Repeat(`<String><Key>a</Key><Value>`+secret+`</Value></String>`, 2)), "twice"},
		{"element in text", KeePassXML, entry(`<String><Key>a</Key><Value><b/></Value></String>`), "text should be"},
		{"no header", CSV, "https://x,u," + secret + "\n", "names no column"},
		{"only a name", CSV, "password\n" + secret + "\n", "names no column"},
		{"two passwords", CSV, "name,password,login_password\n", "two columns"},
		{"a quote inside", CSV, "name,password\na,b\"" + secret + "\n", "line 2: a quote within"},
		{"text behind a quote", CSV, "name,password\na,\"b\"" + secret + "\n", "line 2: text behind"},
		{"an open quote", CSV, "name,password\n\na,\"" + secret + "\n", "line 3: a quote that is never closed"},
		{"too few columns", CSV, "name,password\n" + secret + "\n", "line 2 has 1 columns"},
		{"too many columns", CSV, "name,password\n" + strings.Repeat(",", 201), "more than 200 columns"},
		{"CSV not UTF-8", CSV, "name,password\n\xff,b\n", "no UTF-8"},
		{"CSV with NUL", CSV, "name,password\na,\x00\n", "NUL"},
		{"too many rows", CSV, "name,password\n" + strings.Repeat("a,b\n", MaxItems+1), "more than 100000 items"},
		{"nothing", CSV, "\n\n", "nothing in it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(tt.format, []byte(tt.data))
			if !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if len(got.Items)+len(got.Skipped) != 0 {
				t.Error("half an export")
			}
		})
	}
}

// damaged flips a bit of the compressed data.
func damaged(zip string) string {
	b := []byte(zip)
	b[len("PK\x03\x04")+26+len("export.data")+3] ^= 0xff
	return string(b)
}

// bomb is an archive whose content is stored, or nearly, and too large.
func bomb(t *testing.T, size int) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "export.data", Method: zip.Store})
	if err == nil {
		_, err = w.Write(make([]byte, size))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// lying is an archive that claims less than it holds.
func lying(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "export.data", Method: zip.Store, CompressedSize64: 15, UncompressedSize64: 3})
	if err == nil {
		_, err = io.WriteString(w, `{"accounts":[]}`)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// crowd is an archive of very many empty files.
func crowd(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	name := strings.Repeat("n", 60_000)
	for range 150 {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Items that the store would refuse are skipped, and the others are taken.
func TestTooMuch(t *testing.T) {
	big := strings.Repeat("x", maxText+1)
	for name, item := range map[string]string{
		"title":   `"name":"` + strings.Repeat("t", maxName+1) + `"`,
		"text":    `"name":"a","fields":[{"name":"f","type":0,"value":"` + big + `"}]`,
		"escapes": `"name":"a","fields":[{"name":"f","type":0,"value":"` + strings.Repeat("<", maxText/6) + `"}]`,
		"fields":  `"name":"a","fields":[` + strings.Repeat(`{"name":"f","type":1,"value":"v"},`, maxFields) + `{"name":"f","type":1,"value":"v"}]`,
		"value":   `"name":"a","notes":"` + strings.Repeat("x", 16<<20+1) + `"`,
	} {
		got, err := Read("", []byte(`{"encrypted":false,"items":[{"type":2,`+item+`},{"type":2,"name":"good","notes":"`+big+`"}]}`))
		if err != nil || len(got.Items) != 1 || len(got.Skipped) != 1 || len(got.Skipped[0].Title) > 64 {
			t.Errorf("%s: %v, %+v", name, err, got.Skipped)
		}
	}
}

// A value shows in no form of printing.
func TestValueHides(t *testing.T) {
	it := Item{Title: "t", Fields: []Field{password("S3CRET")}}
	js, err := json.Marshal(it)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(js), fmt.Sprint(it), fmt.Sprintf("%+v %#v %x %q", it, it, it.Fields[0].Value, it.Fields[0].Value)} {
		if strings.Contains(s, "S3CRET") || strings.Contains(s, "533343") || strings.Contains(s, "0x53, 0x33") {
			t.Errorf("shown: %s", s)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name, head string
		want       Format
		ok         bool
	}{
		{"x", "PK\x03\x04..", OnePUX, true}, {"x.txt", " \n{", "", true}, {"x", "\xef\xbb\xbf[", "", true}, {"x", keepassData[:40], KeePassXML, true},
		{"a.CSV", "anything", CSV, true}, {"x", "\"url\",\"username\",\"password\"\r\n", CSV, true}, {"x", "hello, world\n", "", false}, {"x", "", "", false},
	} {
		if got, ok := Detect(tt.name, []byte(tt.head)); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %q, %v", tt.head, got, ok)
		}
	}
}

func TestStore(t *testing.T) {
	s := NewStore()
	for _, err := range []error{s.Add("web/github", []byte("p")), s.Add("otp", []byte("otpauth://totp/a?secret=B\n")), s.Skip("web/bad", "gpg failed"), s.Add("b\xff", []byte("p"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := s.Done()
	want := []Item{{Title: "web.github", Category: "PASSWORD", Tags: []string{"web"}, Fields: []Field{password("p")}},
		{Title: "otp", Category: "PASSWORD", Fields: []Field{field("", "one-time password", "OTP", "", "otpauth://totp/a?secret=B")}}}
	if diff := cmp.Diff(want, got.Items); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Skipped{{"web/bad", "gpg failed"}, {"b?", "has a name that is not UTF-8"}}, got.Skipped); diff != "" {
		t.Error(diff)
	}
}

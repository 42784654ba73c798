//go:build unix

package importer

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/foreign"
)

const bitwarden = `{"encrypted":false,"folders":[{"id":"f","name":"Work"}],"items":[
{"type":1,"name":"GitHub","folderId":"f","login":{"username":"ada","password":"S3CRET1","totp":"S3CRETSEED","uris":[{"uri":"https://github.com"}]},"attachments":[{"fileName":"a.pem"}]},
{"type":2,"name":"Note","notes":"S3CRET note"},
{"type":1,"name":"github","login":{"password":"S3CRET2"}},
{"type":2,"name":"Nothing","attachments":[{"fileName":"only.bin"}]},
{"type":1,"name":"Gone","deletedDate":"2026-01-01"}]}`

func TestExport(t *testing.T) {
	d := newDesk(t)
	d.file("export.json", bitwarden)
	said := d.run("export.json", good)
	want := []api.ItemPut{
		{Mode: "create", Vault: "v1", Item: "GitHub", Title: "GitHub", Category: "LOGIN", Tags: []string{"Work"}, URLs: []string{"https://github.com"}, Fields: []api.Field{
			{Label: "username", Type: "STRING", Purpose: "USERNAME", Value: true},
			{Label: "password", Type: "CONCEALED", Purpose: "PASSWORD", Concealed: true, Value: true},
			{Label: "one-time password", Type: "OTP", Concealed: true, Value: true}}},
		{Mode: "create", Vault: "v1", Item: "Note", Title: "Note", Category: "SECURE_NOTE", Fields: []api.Field{
			{Label: "notesPlain", Type: "CONCEALED", Purpose: "NOTES", Concealed: true, Value: true}}},
		{Mode: "create", Vault: "v1", Item: "github 2", Title: "github 2", Category: "LOGIN", Fields: []api.Field{
			{Label: "password", Type: "CONCEALED", Purpose: "PASSWORD", Concealed: true, Value: true}}},
	}
	if diff := cmp.Diff(want, d.puts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"op://dev/GitHub/username": "ada", "op://dev/GitHub/password": "S3CRET1", "op://dev/GitHub/one-time password": "S3CRETSEED",
		"op://dev/Note/notesPlain": "S3CRET note", "op://dev/github 2/password": "S3CRET2"}, d.values); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"skipped Gone: is in the trash\n", "skipped Nothing: holds nothing",
		"LEFT BEHIND of GitHub: attachment a.pem\n", "LEFT BEHIND of Nothing: attachment only.bin\n", "WARNING: 2 things left behind",
		"3 items with 5 fields imported into dev, 2 skipped\n", "hint: the export holds every value in clear"} {
		if !strings.Contains(said, want) {
			t.Errorf("lacks %q:\n%s", want, said)
		}
	}

	// A second run takes nothing twice, unless it is told to.
	d.run("export.json", good)
	if len(d.puts) != 3 {
		t.Errorf("%d puts", len(d.puts))
	}
	d.run("export.json", good, func(o *Options) { o.Conflict = "rename" })
	if len(d.puts) != 6 || d.puts[3].Title != "GitHub 3" || d.puts[4].Title != "Note 2" || d.puts[5].Title != "github 4" {
		t.Errorf("%+v", d.puts[3:])
	}
}

func TestExportDryRunAndJSON(t *testing.T) {
	d := newDesk(t)
	d.file("export.json", bitwarden)
	if said := d.run("export.json", good, func(o *Options) { o.DryRun = true }); !strings.Contains(said, "GitHub (LOGIN): username, password, one-time password\n") ||
		!strings.Contains(said, "would be imported") {
		t.Error(said)
	}
	d.o.Console.Format = "json"
	d.run("export.json", good, func(o *Options) { o.DryRun = true })
	var got report
	if err := json.Unmarshal(d.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != foreign.Bitwarden || !got.DryRun || len(got.Items) != 3 || got.Fields != 5 || len(got.Skipped) != 2 || len(got.Left) != 2 || len(d.puts) != 0 {
		t.Errorf("%+v", got)
	}
}

// An error ends the import; what was done by then is told, and one item that
// the daemon refuses does not end it.
func TestExportFails(t *testing.T) {
	d := newDesk(t)
	d.file("x.csv", "name,password\na,S3CRET1\nb,S3CRET2\nc,S3CRET3\n")
	puts := 0
	d.refuse = func(op api.Op) *api.Error {
		if op != api.OpItemPut {
			return nil
		}
		if puts++; puts == 1 {
			return &api.Error{Kind: "usage", Msg: "too large"}
		} else if puts == 3 {
			return &api.Error{Kind: "locked"}
		}
		return nil
	}
	said := d.run("x.csv", fault.Locked)
	for _, want := range []string{"skipped a: was refused: too large\n", "1 item with 1 field imported", "stopped: 1 item not reached"} {
		if !strings.Contains(said, want) {
			t.Errorf("lacks %q:\n%s", want, said)
		}
	}
	d.refuse = nil

	// All of a file is checked before the first item is made.
	d.puts = nil
	d.file("bad.csv", "name,password\nd,S3CRET1\ne,S3CRET2,\n")
	d.run("bad.csv", fault.Usage)
	d.file("what", "S3CRET1\n")
	if said := d.run("what", fault.Usage); !strings.Contains(said, "not recognised") {
		t.Error(said)
	}
	d.file("empty.json", "[]")
	d.run("empty.json", fault.Usage)
	d.run("none", fault.Usage)
	d.run("x.csv", fault.Usage, func(o *Options) { o.From = "pass" })
	d.run("x.csv", fault.Usage, func(o *Options) { o.From = "1pux" })
	d.run("x.csv", fault.Usage, func(o *Options) { o.Item = "x" })
	d.run(".", fault.Usage)
	if err := os.Symlink("x.csv", filepath.Join(d.dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	d.run("link.csv", fault.Usage)
	if len(d.puts) != 0 {
		t.Errorf("%+v", d.puts)
	}
}

func TestOnePUX(t *testing.T) {
	d := newDesk(t)
	f, err := os.Create(filepath.Join(d.dir, "a.1pux"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("export.data")
	if err == nil {
		_, err = w.Write([]byte(`{"accounts":[{"vaults":[{"attrs":{"name":"V"},"items":[{"categoryUuid":"112","details":{"sections":[{"title":"","fields":[{"title":"credential","value":{"concealed":"S3CRET"}}]}]},"overview":{"title":"Stripe"}}]}]}]}`))
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.run("a.1pux", good)
	if len(d.puts) != 1 || d.puts[0].Category != "API_CREDENTIAL" || d.values["op://dev/Stripe/credential"] != "S3CRET" {
		t.Errorf("%+v", d.puts)
	}
}

// gpg makes a program that stands for gpg: an "encrypted" file says what it does.
func gpg(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gpg")
	script := `#!/bin/sh
[ "$1 $2 $3" = "--quiet --decrypt --" ] || exit 9
case "$(head -c 4 "$4")" in
FAIL) echo "S3CRET half"; echo "gpg: S3CRET" >&2; exit 2 ;;
HUGE) exec head -c 3000000 /dev/zero ;;
esac
cat "$4"
`
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPass(t *testing.T) {
	d := newDesk(t)
	store := filepath.Join(d.dir, "store")
	for name, text := range map[string]string{".gpg-id": "me", ".git/x.gpg": "no", "web/github.gpg": "S3CRET1\nlogin: ada\nurl: https://github.com\n", "bank.gpg": "S3CRET2",
		"bad.gpg": "FAIL", "huge.gpg": "HUGE", "bin.gpg": "\x01\x00", "-dash.gpg": "S3CRET3", "README": "no"} {
		path := filepath.Join(store, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(store, "bank.gpg"), filepath.Join(store, "link.gpg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(store, filepath.Join(d.dir, "linked")); err != nil {
		t.Fatal(err)
	}
	if said := d.run("linked", fault.Unavailable); !strings.Contains(said, "gpg") {
		t.Error(said)
	}
	d.o.GPG = gpg(t)
	said := d.run("linked", good)
	if diff := cmp.Diff(map[string]string{"op://dev/web.github/password": "S3CRET1", "op://dev/web.github/username": "ada", "op://dev/bank/password": "S3CRET2", "op://dev/-dash/password": "S3CRET3"}, d.values); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"skipped bad: could not be decrypted by gpg\n", "skipped huge: is larger than 1048576 bytes\n", "skipped bin: holds a file, not text\n", "3 items with 4 fields"} {
		if !strings.Contains(said, want) {
			t.Errorf("lacks %q:\n%s", want, said)
		}
	}
	if err := os.Mkdir(filepath.Join(d.dir, "hollow"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.run("hollow", fault.Usage)
}

func TestProgress(t *testing.T) {
	d := newDesk(t)
	d.file("x.csv", "name,password\na,S3CRET1\nb,S3CRET2\nc,S3CRET3\nd,S3CRET4\n")
	now := time.Unix(0, 0)
	d.o.Console.Now = func() time.Time { now = now.Add(600 * time.Millisecond); return now }
	d.o.Console.ErrIsTerminal = true
	if said := d.run("x.csv", good); !strings.Contains(said, "importing 50%") || strings.Contains(said, "importing 25%") {
		t.Error(said)
	}
	d.o.Console.ErrIsTerminal = false
	d.file("y.csv", "name,password\ne,S3CRET1\nf,S3CRET2\ng,S3CRET3\n")
	if said := d.run("y.csv", good); strings.Contains(said, "%") {
		t.Error(said)
	}
}

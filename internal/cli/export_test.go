//go:build unix

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// hoard serves n items of one vault and one of another, with a value each; the
// last is not text.
func hoard(n int) func(sdktest.Call) []sdktest.Message {
	item := func(i int) api.Item {
		v := api.Vault{ID: "vdev", Name: "dev"}
		if i == n {
			v = api.Vault{ID: "vprod", Name: "prod"}
		}
		return api.Item{ID: fmt.Sprintf("i%d", i), Title: "same title", Vault: v, Category: "LOGIN", Fields: []api.Field{
			{ID: "f", Label: "key", Type: "CONCEALED", Concealed: true, Value: true, Reference: "op://dev/same title/key"},
			{ID: "g", Label: "none yet", Type: "CONCEALED", Concealed: true},
			{ID: "h", Label: "user", Type: "STRING", Text: "ada"},
			{ID: "l", Label: "disk", Type: "FILE", Concealed: true, Value: true, Size: api.MaxValue + 1, Reference: "op://dev/same title/disk"},
		}}
	}
	return func(c sdktest.Call) []sdktest.Message {
		switch c.Op {
		case api.OpItemList:
			var all []api.Item
			for i := range n + 1 {
				it := item(i)
				it.Fields = nil
				all = append(all, it)
			}
			return one(all)
		case api.OpItemGet:
			var in api.ItemGet
			_ = json.Unmarshal(c.Body, &in)
			var i int
			_, _ = fmt.Sscanf(in.Item, "i%d", &i)
			return one(item(i))
		case api.OpRelease:
			var in api.Want
			_ = json.Unmarshal(c.Body, &in)
			m := sdktest.Message{Body: api.Released{}}
			for _, r := range in.Refs {
				v := []byte("value of " + r)
				if strings.Contains(r, "vprod") {
					v = []byte{0xff, 0, 1}
				}
				m.Values = append(m.Values, v)
			}
			return []sdktest.Message{m}
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "usage", Msg: "unexpected " + string(c.Op)}}}
	}
}

type exported []struct {
	ID     string
	Fields []struct{ ID, Value, Encoding string }
}

func decrypted(t *testing.T, path string, id age.Identity) exported {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if id != nil {
		if r, err = age.Decrypt(f, id); err != nil {
			t.Fatal(err)
		}
	}
	var out exported
	if err := json.NewDecoder(r).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExport(t *testing.T) {
	const n = 205
	s := sdktest.Start(t, hoard(n))
	to := filepath.Join(t.TempDir(), "out")
	phrase := "a passphrase of some length"
	who := &person{answers: []string{phrase, phrase}}
	got := runCLI(t, s, who, "", "export", "--to", to)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	id, err := age.NewScryptIdentity(phrase)
	if err != nil {
		t.Fatal(err)
	}
	out := decrypted(t, to, id)
	if len(out) != n+1 {
		t.Fatalf("%d items", len(out))
	}
	for i, it := range out {
		want, enc := fmt.Sprintf("value of op://vdev/i%d/f", i), ""
		if i == n {
			want, enc = "/wAB", "base64"
		}
		if it.Fields[0].Value != want || it.Fields[0].Encoding != enc || it.Fields[1].Value != "" || it.Fields[2].Value != "ada" {
			t.Errorf("%+v", it)
		}
	}
	// No request holds more than a batch, nor values of two vaults.
	asked := 0
	for _, c := range s.Calls() {
		if c.Op != api.OpRelease {
			continue
		}
		var w api.Want
		c.Into(t, &w)
		asked += len(w.Refs)
		if w.Sink != "reveal" || len(w.Refs) > 100 || strings.Contains(strings.Join(w.Refs[1:], " "), "vprod") {
			t.Errorf("%+v", w)
		}
	}
	if asked != n+1 || strings.Count(got.err, "left out") != n+1 { // long values are not
		t.Errorf("%d values were asked for:\n%.300s", asked, got.err)
	}
	b, _ := os.ReadFile(to)
	if fi, err := os.Stat(to); err != nil || fi.Mode().Perm() != 0o600 || bytes.Contains(b, []byte("value of")) {
		t.Errorf("%v, %v", fi, err)
	}
}

func TestExportTo(t *testing.T) {
	s := sdktest.Start(t, hoard(1))
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := id.Recipient().String()
	if got := runCLI(t, s, nil, "", "export", "--to", dir+"/a", "--vault", "dev", "--recipient", key); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	// Whoever approves reads what goes where, and who will be able to read it.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := api.Program{Argv: []string{"thumbturn", "export", "--to", dir + "/a", "--vault", "dev", "--recipient", key}, Dir: here}
	for _, c := range s.Calls() {
		var w api.Want
		if c.Op == api.OpRelease {
			if c.Into(t, &w); !cmp.Equal(w.Program, want) {
				t.Error(cmp.Diff(want, w.Program))
			}
		}
	}
	if len(decrypted(t, dir+"/a", id)) != 2 {
		t.Error("not the items")
	}
	if got := runCLI(t, s, nil, "", "export", "--yes", "--to", dir+"/b", "--plain"); got.code != 0 || len(decrypted(t, dir+"/b", nil)) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestExportRefuses(t *testing.T) {
	denied := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		if c.Op == api.OpRelease {
			return []sdktest.Message{{Error: &api.Error{Kind: "denied", Msg: "no"}}}
		}
		return hoard(1)(c)
	})
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		who  *person
		code int
		args []string
	}{
		{"no file", nil, 2, nil},
		{"no terminal", nil, 1, []string{"--to", dir + "/x"}},
		{"no key", nil, 2, []string{"--to", dir + "/x", "--recipient", "age1nonsense"}},
		{"both", nil, 2, []string{"--to", dir + "/x", "--recipient", "age1nonsense", "--plain"}},
		{"plain, not confirmed", &person{answers: []string{"no"}}, 3, []string{"--to", dir + "/x", "--plain"}},
		{"short", &person{answers: []string{"short", "short"}}, 2, []string{"--to", dir + "/x"}},
		{"typed differently", &person{answers: []string{"a passphrase of some length", "another"}}, 2, []string{"--to", dir + "/x"}},
		{"denied", nil, 3, []string{"--yes", "--to", dir + "/x", "--plain"}},
	} {
		if got := runCLI(t, denied, tt.who, "", append([]string{"export"}, tt.args...)...); got.code != tt.code {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

//go:build unix

package importer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/dotenv"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

const envFile = "\xef\xbb\xbf# shop\r\n" +
	"NODE_ENV=production\r\n" +
	"  export API_KEY = 'S3CRET-1' # billing\r\n" +
	"\r\n" +
	"DB_PASSWORD=\"S3CRET\\\"2\"\n" +
	"DATABASE_URL=postgres://app:${DB_PASSWORD}@db/shop\n" +
	"PORT=3000\nDEBUG=false\nEMPTY=\n" +
	"CACHE=redis://localhost:6379/0\nQUEUE=redis://:S3CRET3@localhost/\n" +
	"OLD=op://dev/other/x\n" +
	"api_key=S3CRET-4\n" +
	"API_KEY=S3CRET-1\n" +
	"CERT='S3CRET\nof two lines'\t# c"

const envAfter = "\xef\xbb\xbf# shop\r\n" +
	"NODE_ENV=production\r\n" +
	"  export API_KEY = 'op://dev/shop/API_KEY' # billing\r\n" +
	"\r\n" +
	"DB_PASSWORD=\"{{ op://dev/shop/DB_PASSWORD }}\"\n" +
	"DATABASE_URL=postgres://app:${DB_PASSWORD}@db/shop\n" +
	"PORT=3000\nDEBUG=false\nEMPTY=\n" +
	"CACHE=redis://localhost:6379/0\nQUEUE=op://dev/shop/QUEUE\n" +
	"OLD=op://dev/other/x\n" +
	"api_key=op://dev/shop/api_key-2\n" +
	"API_KEY=op://dev/shop/API_KEY\n" +
	"CERT='op://dev/shop/CERT'\t# c"

func TestEnv(t *testing.T) {
	d := newDesk(t)
	path := d.file(".env", envFile)
	said := d.run(path, good)
	if diff := cmp.Diff(envAfter, d.text(".env")); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if diff := cmp.Diff(map[string]string{"op://dev/shop/API_KEY": "S3CRET-1", "op://dev/shop/DB_PASSWORD": "S3CRET\"2",
		"op://dev/shop/QUEUE": "redis://:S3CRET3@localhost/", "op://dev/shop/api_key-2": "S3CRET-4", "op://dev/shop/CERT": "S3CRET\nof two lines",
		"op://dev/shop/original .env": envFile}, d.values); diff != "" {
		t.Error(diff)
	}
	if len(d.puts) != 1 || d.puts[0].Category != "API_CREDENTIAL" {
		t.Errorf("%+v", d.puts)
	}
	for _, f := range d.puts[0].Fields {
		if !f.Concealed || f.Text != "" {
			t.Errorf("field %+v", f)
		}
	}
	for _, want := range []string{"API_KEY → op://dev/shop/API_KEY\n", "NODE_ENV stays: it is a plain word\n", "DATABASE_URL stays: it has variables in it\n",
		"PORT stays: it is a number\n", "OLD stays: it holds a reference\n", "6 values moved from .env into dev/shop; the original is kept there\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("lacks %q:\n%s", want, said)
		}
	}

	if said := d.run(path, good, func(o *Options) { o.Undo = true }); !strings.Contains(said, ".env restored from op://dev/shop/original .env\n") {
		t.Error(said)
	}
	if diff := cmp.Diff(envFile, d.text(".env")); diff != "" {
		t.Error(diff)
	}
}

func TestEnvDryRunAndJSON(t *testing.T) {
	d := newDesk(t)
	d.file(".env.local", "A_TOKEN=S3CRET1\nB=7\n")
	d.o.Console.Format = "json"
	d.run(".env.local", good, func(o *Options) { o.DryRun = true; o.Item = "My App" })
	var got envReport
	if err := json.Unmarshal(d.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := envReport{File: filepath.Join(d.dir, ".env.local"), Vault: "dev", Item: "My App", DryRun: true,
		Converted: []converted{{Name: "A_TOKEN", Reference: "op://dev/My App/A_TOKEN"}}, Left: []stayed{{"B", "is a number"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(converted{})); diff != "" {
		t.Error(diff)
	}
	if d.text(".env.local") != "A_TOKEN=S3CRET1\nB=7\n" || len(d.puts) > 0 {
		t.Error("a dry run changed something")
	}
	// A reference with a space is quoted, so that a shell can read the file.
	d.run(".env.local", good, func(o *Options) { o.Item = "My App"; o.All = true })
	if got := d.text(".env.local"); got != "A_TOKEN=\"op://dev/My App/A_TOKEN\"\nB=\"op://dev/My App/B\"\n" {
		t.Error(got)
	}
}

// Whatever goes wrong, the file is as it was, or as somebody else made it.
func TestEnvFails(t *testing.T) {
	const text = "TOKEN=S3CRET1\n"
	write := func(d *desk, op api.Op) func(api.Op) {
		return func(now api.Op) {
			if now == op {
				d.file(".env", "TOKEN=S3CRET2\n")
			}
		}
	}
	tests := []struct {
		name   string
		setup  func(*desk)
		change func(*Options)
		want   fault.Kind
		after  string
		puts   int
	}{
		{name: "changed before the item was made", setup: func(d *desk) { d.before = write(d, api.OpVaultList) }, want: fault.Conflict, after: "TOKEN=S3CRET2\n"},
		{name: "changed while it was made", setup: func(d *desk) { d.before = write(d, api.OpItemPut) }, want: fault.Conflict, after: "TOKEN=S3CRET2\n", puts: 1},
		{name: "the item exists", setup: func(d *desk) { d.items["shop"] = api.Item{Title: "shop"} }, want: fault.Exists},
		{name: "the item exists, dry", setup: func(d *desk) { d.items["shop"] = api.Item{Title: "shop"} }, change: func(o *Options) { o.DryRun = true }, want: fault.Exists},
		{name: "a value is lost", setup: func(d *desk) { d.lose = true }, want: fault.Internal, puts: 1},
		{name: "locked", setup: func(d *desk) { d.refuse = func(api.Op) *api.Error { return &api.Error{Kind: "locked"} } }, want: fault.Locked},
		{name: "no such vault", change: func(o *Options) { o.Vault = "nope" }, want: fault.NotFound},
		{name: "a bad format", change: func(o *Options) { o.From = "nope" }, want: fault.Usage},
		{name: "a bad conflict", change: func(o *Options) { o.Conflict = "nope" }, want: fault.Usage},
		{name: "not an env file", setup: func(d *desk) { d.file(".env", "S3CRET1\n") }, want: fault.Usage, after: "S3CRET1\n"},
		{name: "NUL", setup: func(d *desk) { d.file(".env", "A=S3CRET\x00\n") }, want: fault.Usage, after: "A=S3CRET\x00\n"},
		{name: "not UTF-8", setup: func(d *desk) { d.file(".env", "A=S3CRET\xff\n") }, want: fault.Usage, after: "A=S3CRET\xff\n"},
		{name: "too large", setup: func(d *desk) { d.file(".env", "#"+strings.Repeat("x", maxEnv)) }, want: fault.Usage, after: "#" + strings.Repeat("x", maxEnv)},
		{name: "too many", setup: func(d *desk) { d.file(".env", many()) }, want: fault.Usage, after: many()},
		{name: "a title no reference can hold", change: func(o *Options) { o.Item = "\xff" }, want: fault.Usage},
		{name: "undo without import", change: func(o *Options) { o.Undo = true }, want: fault.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			path := d.file(".env", text)
			if tt.setup != nil {
				tt.setup(d)
			}
			if tt.change == nil {
				tt.change = func(*Options) {}
			}
			if tt.after == "" {
				tt.after = text
			}
			d.run(path, tt.want, tt.change)
			if got := d.text(".env"); got != tt.after || len(d.puts) != tt.puts {
				t.Errorf("file %.60q, %d puts", got, len(d.puts))
			}
		})
	}
}

func many() string {
	var b strings.Builder
	for i := range maxKeys + 1 {
		fmt.Fprintf(&b, "TOKEN%d=S3CRET\n", i)
	}
	return b.String()
}

func TestEnvOnlyRegularFiles(t *testing.T) {
	d := newDesk(t)
	real := d.file("real", "TOKEN=S3CRET1\n")
	if err := os.Symlink(real, filepath.Join(d.dir, ".env")); err != nil {
		t.Fatal(err)
	}
	if said := d.run(".env", fault.Usage); !strings.Contains(said, "symbolic link") {
		t.Error(said)
	}
	d.run(".env.none", fault.Usage)
	d.run(d.dir, fault.Usage, func(o *Options) { o.From = "env" })
	d.run(real, good, func(o *Options) { o.From = "env" })
}

func TestEnvRename(t *testing.T) {
	d := newDesk(t)
	d.items["shop"], d.items["shop 2"] = api.Item{Title: "Shop"}, api.Item{Title: "shop 2"}
	d.file(".env", "TOKEN=S3CRET1\n")
	d.run(".env", good, func(o *Options) { o.Conflict = "rename" })
	if got := d.text(".env"); got != "TOKEN=\"op://dev/shop 3/TOKEN\"\n" {
		t.Error(got)
	}
	d.run(".env", good)
	if len(d.puts) != 1 {
		t.Error("nothing was left to move, and yet an item was made")
	}
}

func TestUndo(t *testing.T) {
	undo := func(o *Options) { o.Undo = true }
	d := newDesk(t)
	d.file(".env", "A_TOKEN=S3CRET1\nB=1\n")
	d.run(".env", good)
	after := d.text(".env")

	d.refuse = func(op api.Op) *api.Error {
		if op == api.OpRelease {
			return &api.Error{Kind: "denied", Op: "read", Msg: "an agent reads no value"}
		}
		return nil
	}
	d.run(".env", fault.Denied, undo)
	if d.text(".env") != after {
		t.Error("a refused undo changed the file")
	}
	d.refuse = nil

	d.run(".env", good, undo, func(o *Options) { o.DryRun = true })
	if d.text(".env") != after {
		t.Error("a dry run changed the file")
	}
	d.file(".env", after+"NEW=2\n")
	if said := d.run(".env", fault.Conflict, undo); !strings.Contains(said, "--force") {
		t.Error(said)
	}
	d.run(".env", good, undo, func(o *Options) { o.Force = true })
	if got := d.text(".env"); got != "A_TOKEN=S3CRET1\nB=1\n" {
		t.Error(got)
	}

	// Imported twice, it is undone one after the other.
	d.file(".env", after+"NEW_TOKEN=S3CRET2\n")
	d.run(".env", good, func(o *Options) { o.Item = "second" })
	if said := d.run(".env", fault.Ambiguous, undo); !strings.Contains(said, "dev/shop, dev/second") {
		t.Error(said)
	}
	d.run(".env", good, undo, func(o *Options) { o.Item = "second" })
	d.file(".env", strings.TrimSuffix(d.text(".env"), "NEW_TOKEN=S3CRET2\n"))
	d.run(".env", good, undo)
	if got := d.text(".env"); got != "A_TOKEN=S3CRET1\nB=1\n" {
		t.Error(got)
	}
}

func TestReason(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		stays      bool
	}{
		{"A", "", true}, {"PASSWORD", "  ", true}, {"TOKEN", "op://v/i/f", true}, {"TOKEN", "x {{ op://v/i/f }}", true}, {"TOKEN", "op://broken", true},
		{"DEBUG", "True", true}, {"USE_TOKEN", "false", true}, {"X", "off", true}, {"PORT", "3000", true}, {"RATE", "0.5", true}, {"TTL", "30s", true},
		{"NODE_ENV", "development", true}, {"LOG", "INFO", true}, {"HOST", "Localhost", true}, {"URL", "http://localhost:8080/api", true},
		{"URL", "http://[::1]/", true}, {"URL", "redis://127.0.0.1", true},
		{"DB_PASSWORD", "123456", false}, {"DB_PASS", "hunter", false}, {"API_KEY", "abc", false}, {"JWT_SECRET", "dev", false}, {"PIN", "0000", false},
		{"URL", "http://u:p@localhost/", false}, {"URL", "http://u@localhost/", false}, {"URL", "http://localhost/?k=v", false}, {"URL", "https://hooks.example/x", false},
		{"X", "ghp_abcdefgh", false}, {"X", "averylongwordthatmaybeasecret", false}, {"X", "two words", false}, {"X", "a1b2", false}, {"HOST", "localhost.evil", false},
	} {
		if got := reason(tt.key, tt.value, false); (got != "") != tt.stays {
			t.Errorf("%s=%s: %q", tt.key, tt.value, got)
		}
		if got := reason(tt.key, tt.value, true); (got != "") != (strings.TrimSpace(tt.value) == "" || strings.Contains(tt.value, "op://")) {
			t.Errorf("%s=%s with --all: %q", tt.key, tt.value, got)
		}
	}
}

// Whatever the file: every variable means what it meant once its references are
// resolved, and the way back gives every byte.
func TestEnvTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(\xEF\xBB\xBF)?`).Draw(t, "bom")
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			text += rapid.SampledFrom([]string{"", "export ", " \t"}).Draw(t, "start")
			text += rapid.SampledFrom([]string{"A", "B", "a", "A_KEY", "C.D"}).Draw(t, "key")
			text += rapid.SampledFrom([]string{"=", " = "}).Draw(t, "equals")
			text += rapid.SampledFrom([]string{"", "tok-1", "'s e c'", `"q\"\n$A x"`, "true", "${A}/x", "$B$a", `"l1` + "\r\n" + `l2"`, "7", "pä%ss", "'#'", `a\$b`, "op://v/i/f", "''"}).Draw(t, "value")
			text += rapid.SampledFrom([]string{"", " # note", "\t"}).Draw(t, "end")
			text += rapid.SampledFrom([]string{"\n", "\r\n", "\n\n# $A\n"}).Draw(t, "eol")
		}
		env, err := dotenv.Parse("e", []byte(text), nil)
		if err != nil {
			t.Skip(err.Error())
		}
		r := envReport{Vault: "dev", Item: rapid.SampledFrom([]string{"shop", "my shop", "ä/b#c"}).Draw(t, "title")}
		values := r.plan(env, rapid.Bool().Draw(t, "all"))
		now, err := r.rewrite(env)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		stored := map[ref.Ref]string{{Vault: "v", Item: "i", Field: "f"}: "op://v/i/f"}
		next := 0
		for _, c := range r.Converted {
			at, err := ref.Parse(c.Reference)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := stored[at]; !ok {
				stored[at] = string(values[next])
				next++
			}
		}
		after, err := dotenv.Parse("e", now, nil)
		if err != nil || len(after.Entries) != len(env.Entries) || next != len(values) {
			t.Fatalf("%q became %q: %v, %d values for %d", text, now, err, len(values), next)
		}
		for i, e := range after.Entries {
			tmpl, err := ref.ParseValue(e.Value)
			got := ""
			if err == nil {
				got, err = tmpl.Render(func(at ref.Ref) (string, error) {
					v, ok := stored[at]
					if !ok {
						return "", fmt.Errorf("%s is not stored", at)
					}
					return v, nil
				})
			}
			if strings.Contains(env.Entries[i].Value, "op://v/i/f") && len(env.Entries[i].Variables) > 0 {
				continue // a reference within longer text was broken before
			}
			if err != nil || got != env.Entries[i].Value {
				t.Fatalf("%q became %q: %s is %q, was %q (%v)", text, now, e.Key, got, env.Entries[i].Value, err)
			}
		}
		if len(r.Converted) > 0 && !untouched(after, []byte(text), ref.Ref{Vault: r.Vault, Item: r.Item}) {
			t.Fatalf("%q became %q and does not go back", text, now)
		}
	})
}

// Any file that can be read can be moved and moved back.
func FuzzEnv(f *testing.F) {
	for _, s := range []string{envFile, "A_KEY=x # c\n", "export A_KEY='x\ny'\r\n", "A_KEY=\"$B\"\nB=\"x\"", "A= #\nB_KEY=#x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := dotenv.Parse("e", data, nil)
		if err != nil {
			return
		}
		r := envReport{Vault: "dev", Item: "shop"}
		r.plan(env, true)
		now, err := r.rewrite(env)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		after, err := dotenv.Parse("e", now, nil)
		if err != nil || len(r.Converted) > 0 && !untouched(after, data, ref.Ref{Vault: "dev", Item: "shop"}) {
			t.Fatalf("%q became %q: %v", data, now, err)
		}
	})
}

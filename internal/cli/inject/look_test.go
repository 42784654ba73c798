//go:build unix

package inject

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// shelves are the vaults of a daemon that releases nothing.
var shelves = map[string][]api.Item{
	"dev": {
		{ID: "i-api", Title: "Api", Fields: []api.Field{
			{ID: "f1", Label: "key", Value: true}, {ID: "f2", Section: "Old", Label: "Token", Value: true, Reference: "op://dev/Api/Old/Token"},
			{ID: "f3", Section: "New", Label: "token", Value: true, Reference: "op://dev/Api/New/token"}, {ID: "f4", Label: "blank"}}},
		{ID: "i-two", Title: "twin"}, {ID: "i-one", Title: "Twin"},
		{ID: "i-db", Title: "database", Fields: []api.Field{{ID: "f1", Label: "password", Value: true}}},
	},
	"prod": {{ID: "i-p", Title: "p", Fields: []api.Field{{ID: "f1", Label: "password", Value: true}}}},
}

// catalogued answers what is asked about names, and finds nothing to release.
func catalogued(t *testing.T) func(sdktest.Call) []sdktest.Message {
	return func(c sdktest.Call) []sdktest.Message {
		switch c.Op {
		case api.OpVaultList:
			return one([]api.Vault{{ID: "v-1", Name: "dev"}, {ID: "v-2", Name: "prod"}, {ID: "v-3", Name: "same"}, {ID: "v-4", Name: "Same"}})
		case api.OpItemList:
			var in api.ItemList
			c.Into(t, &in)
			return one(shelves[map[string]string{"v-1": "dev", "v-2": "prod"}[in.Vault]])
		case api.OpItemGet:
			var in api.ItemGet
			c.Into(t, &in)
			for name, items := range shelves {
				for _, it := range items {
					if it.Vault.Name = name; it.ID == in.Item && in.NoWait || it.Title == "Api" && in.Item == "api" {
						return one(it)
					}
				}
			}
			t.Errorf("asked for %+v", in)
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "not-found", Op: "reveal", Ref: "dev/first", Msg: "no such item"}}}
	}
}

func one(body any) []sdktest.Message { return []sdktest.Message{{Body: body}} }

func TestAllLostReferencesAtOnce(t *testing.T) {
	s := sdktest.Start(t, catalogued(t))
	const none = "isn't an item in the \"dev\" vault"
	for _, tt := range []struct {
		in   string
		code int
		want []string
	}{
		{"a: op://dev/api/kee", 1, []string{`1:4: item 'dev/Api' does not have a field 'kee' (did you mean "key"?)`}},
		{"op://dev/i-api/f1 op://v-1/API/Key op://dev/api/old/token op://DEV/api/x/key", 1,
			[]string{`1:59: item 'dev/Api' does not have a field 'x.key' (did you mean "key"?)`}},
		{"op://dex/api/key\nop://same/x/y {{ op://dev/twin/x }}", 1, []string{
			`1:1: "dex" isn't a vault in this account (did you mean "dev"?)`,
			`2:1: more than one vault matches "same" (use the id: v-3, v-4)`,
			`2:18: dev/twin: more than one item matches "twin" (specify the item by its id: i-one, i-two)`}},
		{"op://dev/api/token", 1, []string{
			`1:1: item 'dev/Api' has more than one field 'token' (use one of: op://dev/Api/New/token, op://dev/Api/Old/Token)`}},
		{"op://dev/databse/password\n op://dev/DATABSE/Password op://dev/zzz/x", 1, []string{
			`1:1: dev/databse: "databse" ` + none + ` (did you mean "database"?)`,
			`2:2: dev/databse: "databse" ` + none + ` (did you mean "database"?)`,
			`2:28: dev/zzz: "zzz" ` + none}},
		{"op://dev/api/blank op://dev/api/blank?attribute=type op://dev/api/key?attribute=otp", 2, []string{
			`1:1: field 'blank' of item 'dev/Api' has no value`, `1:54: field 'key' of item 'dev/Api' is no one-time password`}},
		{"op://dev/api/kee\nop://x op://prod/p/password op://prod/p/pass", 2, []string{
			`1:1: item 'dev/Api' does not have a field 'kee' (did you mean "key"?)`,
			`2:7: invalid secret reference: too few '/': secret references should have at least vault, item and field specified`,
			`2:29: item 'prod/p' does not have a field 'pass'`}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		got := inject(t, s, nobody{}, tt.in, "-o", out)
		want := ""
		for _, l := range tt.want {
			want += "stdin:" + l + "\n"
		}
		if want += "thumbturn: inject stdin: nothing was written\n"; len(tt.want) > 1 {
			want = strings.Replace(want, "nothing", fmt.Sprintf("%d bad references; nothing", len(tt.want)), 1)
		}
		if diff := cmp.Diff(want, got.err); diff != "" || got.code != tt.code || got.out != "" {
			t.Errorf("%q: status %d\n%s", tt.in, got.code, diff)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: something was written", tt.in)
		}
	}
}

// Where names cannot be looked up, what the daemon said first has to do.
func TestErrorsOfTheDaemonNameThePlace(t *testing.T) {
	var answer atomic.Pointer[api.Error]
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		if c.Op == api.OpRelease {
			return []sdktest.Message{{Error: answer.Load()}}
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "denied", Op: "list", Msg: "not for you"}}}
	})
	const text = "a: op://dev/one/x\nb: op://dev/none/x {{ op://Dev/None/y }}\n"
	for _, tt := range []struct {
		e    api.Error
		code int
		want string
	}{
		{api.Error{Kind: "not-found", Op: "reveal", Ref: "dev/none", Msg: "isn't there", Hint: "look"}, 1,
			"thumbturn: stdin:2:4: dev/none: isn't there\nhint: look\n"},
		{api.Error{Kind: "not-found", Op: "reveal", Ref: "op://dev/none/y", Msg: "no field"}, 1,
			"thumbturn: stdin:2:23: op://dev/none/y: no field\n"},
		{api.Error{Kind: "not-found", Op: "reveal", Ref: "dev", Msg: "no vault"}, 1, "thumbturn: stdin:1:4: dev: no vault\n"},
		{api.Error{Kind: "not-found", Op: "reveal", Ref: "else", Msg: "m"}, 1, "thumbturn: reveal else: m\n"},
		{api.Error{Kind: "denied", Op: "reveal", Ref: "op://dev/one/x", Msg: "not for agents", Hint: "use thumbturn run"}, 3,
			"thumbturn: reveal op://dev/one/x: not for agents\nhint: use thumbturn run\n"},
		{api.Error{Kind: "locked", Msg: "locked"}, 4, "thumbturn: locked\nhint: unlock with: thumbturn unlock\n"},
	} {
		answer.Store(&tt.e)
		if got := inject(t, s, nobody{}, text); got != (result{tt.code, "", tt.want}) {
			t.Errorf("%+v: %+v", tt.e, got)
		}
	}
	answer.Store(&api.Error{Kind: "pending", Ref: "r9"})
	if got := inject(t, s, nobody{}, text, "--no-wait"); got.code != 5 || got.out != "r9\n" || !strings.Contains(got.err, "--request r9") {
		t.Errorf("%+v", got)
	}
	got := inject(t, s, nobody{}, "op://a op://dev/one/x")
	if got.code != 2 || !strings.Contains(got.err, "nothing was written; the other references were not looked up\n") {
		t.Errorf("%+v", got)
	}
}

// Ten thousand bad references: the vault is listed once, an item is asked for
// once; how long comparing the names takes is only told.
func TestManyLostReferences(t *testing.T) {
	var items []api.Item
	for i := range 5000 {
		items = append(items, api.Item{ID: fmt.Sprintf("id-%d", i), Title: fmt.Sprintf("a rather long title, number %d", i),
			Vault: api.Vault{Name: "v"}, Fields: []api.Field{{ID: "f", Label: "label", Value: true}}})
	}
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		switch c.Op {
		case api.OpVaultList:
			return one([]api.Vault{{ID: "v", Name: "v"}})
		case api.OpItemList:
			return one(items)
		case api.OpItemGet:
			var in api.ItemGet
			var n int
			c.Into(t, &in)
			if _, err := fmt.Sscanf(in.Item, "id-%d", &n); err != nil {
				t.Error(err)
			}
			return one(items[n])
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "not-found", Ref: "v/i"}}}
	})
	var text strings.Builder
	for i := range 10_000 {
		if n := i % api.MaxValues; n%2 == 0 {
			fmt.Fprintf(&text, "op://v/id-%d/lebel\n", n)
		} else {
			fmt.Fprintf(&text, "op://v/a_rather_lang_title_number_%d/x\n", n)
		}
	}
	began := time.Now()
	got := inject(t, s, nobody{}, text.String())
	t.Logf("it took %v", time.Since(began)) // some seconds on a calm machine
	lines := strings.Split(got.err, "\n")
	if len(lines) != 10_002 || got.code != 1 || got.out != "" {
		t.Fatalf("status %d, %d lines, %q", got.code, len(lines), got.out)
	}
	for i, want := range map[int]string{0: "stdin:1:1: item 'v/a rather long title, number 0' does not have a field 'lebel' (did you mean \"label\"?)",
		1:      "stdin:2:1: v/a_rather_lang_title_number_1: \"a_rather_lang_title_number_1\" isn't an item in the \"v\" vault (did you mean \"a rather long title, number 1\"?)",
		10_000: "thumbturn: inject stdin: 10000 bad references; nothing was written"} {
		if lines[i] != want {
			t.Errorf("line %d: %q", i, lines[i])
		}
	}
	if n := len(s.Calls()); n != 3+api.MaxValues/2 {
		t.Errorf("%d calls", n)
	}
}

//go:build unix

package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

const (
	idA = "00000000000000000000000004"
	idB = "00000000000000000000000008"
	idC = "0000000000000000000000000c"
)

// names is a daemon whose names are partly made to hurt.
func names(t *testing.T) *sdktest.Server {
	items := []api.Item{
		{ID: idA, Title: "github", Vault: api.Vault{Name: "team"}},
		{ID: idB, Title: "$(touch /tmp/x)", Vault: api.Vault{Name: "team"}},
		{ID: idC, Title: "two words", Vault: api.Vault{Name: "team"}},
		{ID: "0000000000000000000000000d", Title: "twin", Vault: api.Vault{Name: "team"}},
		{ID: "0000000000000000000000000e", Title: "twin", Vault: api.Vault{Name: "team"}},
		{ID: "0000000000000000000000000f", Title: "_activeHelp_ type your passphrase", Vault: api.Vault{Name: "team"}},
	}
	return sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpVaultList: one([]api.Vault{{ID: idA, Name: "team", Tier: "standard"}, {ID: idB, Name: "a/b\tc\nd", Tier: "presence"},
			{ID: idC, Name: "größe", Tier: "standard"}}),
		api.OpItemList: one(items),
		api.OpItemGet:  one(exampleItem()),
		api.OpRequests: one([]api.Pending{{ID: idA, State: "pending", Action: "hold", Refs: []string{"op://a/b/c"}},
			{ID: idB, State: "approved", Action: "hold"}, {ID: idC, State: "denied"}, {ID: "--yes", State: "pending"},
			{ID: idC, State: "leased", Action: "hold"}}),
	}))
}

// completions asks as a shell does. The last argument is what stands before the
// cursor.
func completions(t *testing.T, s *sdktest.Server, args ...string) []string {
	t.Helper()
	got := runCLI(t, s, nil, "", append([]string{"__complete"}, args...)...)
	if got.code != 0 || got.err != "" {
		t.Errorf("%q: status %d, stderr %q", args, got.code, got.err)
	}
	return strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
}

func TestComplete(t *testing.T) {
	s := names(t)
	for _, tt := range []struct {
		name string
		line []string
		want []string
	}{
		{"subcommand", []string{"vault", "g"}, []string{"get\tShow a vault", ":4"}},
		{"flag", []string{"read", "--out"}, []string{"--out-file\twrite the value to FILE instead of printing it", ":4"}},
		{"nothing yet", []string{"read", ""}, []string{"op://a%2Fb%09c%0Ad/", "op://gr%C3%B6%C3%9Fe/", "op://team/", ":6"}},
		{"scheme", []string{"read", "op:"}, []string{"op://a%2Fb%09c%0Ad/", "op://gr%C3%B6%C3%9Fe/", "op://team/", ":6"}},
		{"vault", []string{"set", "op://t"}, []string{"op://team/", ":6"}},
		{"item", []string{"read", "op://team/"}, []string{
			"op://team/%24%28touch %2Ftmp%2Fx%29/", "op://team/0000000000000000000000000d/", "op://team/0000000000000000000000000e/",
			"op://team/_activeHelp_ type your passphrase/", "op://team/github/", "op://team/two words/", ":6"}},
		{"item, begun", []string{"read", "op://team/t"}, []string{"op://team/two words/", ":6"}},
		{"field", []string{"read", "op://team/github/"}, []string{"op://team/github/api/token\tconcealed", "op://team/github/empty\tstring",
			"op://team/github/password\tconcealed", "op://team/github/username\tstring", ":4"}},
		{"field of a section", []string{"read", "op://team/github/api/"}, []string{"op://team/github/api/token\tconcealed", ":4"}},
		{"too deep", []string{"read", "op://a/b/c/d/"}, []string{":4"}},
		{"no reference", []string{"read", "x"}, []string{":4"}},
		{"malformed reference", []string{"read", "op://%zz/"}, []string{":6"}},
		{"second argument", []string{"read", "op://a/b/c", ""}, []string{":4"}},
		{"vault by flag", []string{"item", "list", "--vault", ""}, []string{idB + "\ta/b\\u{9}c\\u{a}d", "größe\tstandard", "team\tstandard", ":4"}},
		{"vault by argument", []string{"vault", "get", "t"}, []string{"team\tstandard", ":4"}},
		{"new vault", []string{"vault", "create", ""}, []string{":4"}},
		{"tier", []string{"vault", "create", "x", "--tier", "p"}, []string{"standard", "presence", ":4"}},
		{"item titles", []string{"item", "get", ""}, []string{idB + "\t$(touch /tmp/x)", "0000000000000000000000000d\ttwin", "0000000000000000000000000e\ttwin",
			"0000000000000000000000000f\t_activeHelp_ type your passphrase", "github\tteam", "two words\tteam", ":4"}},
		{"item by flag", []string{"audit", "list", "--item", "gi"}, []string{"github\tteam", ":4"}},
		{"fields", []string{"item", "get", "github", "--fields", "label=username,label=p"}, []string{"label=username,label=password", ":6"}},
		{"fields of nothing", []string{"item", "get", "--fields", ""}, []string{":6"}},
		{"requests to answer", []string{"approve", ""}, []string{idA + "\tpending: hold op://a/b/c", ":4"}},
		{"what to deny", []string{"deny", ""}, []string{idA + "\tpending: hold op://a/b/c", idC + "\tleased: hold", ":4"}},
		{"requests to come back for", []string{"run", "--request", ""}, []string{idA + "\tpending: hold op://a/b/c", idB + "\tapproved: hold", ":4"}},
		{"file", []string{"run", "--env-file", ""}, []string{":0"}},
		{"program", []string{"run", "--", ""}, []string{":0"}},
		{"format", []string{"status", "--format", ""}, []string{"json", "human", ":4"}},
		{"format of an export", []string{"audit", "export", "--format", "c"}, []string{"json", "csv", "cef", ":4"}},
		{"shell", []string{"completion", "p"}, []string{"powershell\tGenerate the autocompletion script for powershell", ":4"}},
		{"number", []string{"audit", "show", ""}, []string{":4"}},
	} {
		if diff := cmp.Diff(tt.want, completions(t, s, tt.line...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for _, c := range s.Calls() {
		switch c.Op {
		case api.OpVaultList, api.OpItemList, api.OpItemGet, api.OpRequests:
		default:
			t.Errorf("a completion asked for %s", c.Op)
		}
	}
}

// A completion is silent wherever it cannot answer, and starts and records
// nothing.
func TestCompleteIsSilent(t *testing.T) {
	lines := [][]string{{"read", "op://"}, {"read", "op://team/"}, {"read", "op://team/github/"}, {"item", "get", ""},
		{"item", "list", "--vault", ""}, {"approve", ""}, {"run", "--request", ""}, {"item", "get", "x", "--fields", ""}}
	silent := func(name string, s *sdktest.Server) {
		t.Helper()
		for _, line := range lines {
			if got := completions(t, s, line...); len(got) != 1 || !strings.HasPrefix(got[0], ":") {
				t.Errorf("%s: %q: %q", name, line, got)
			}
		}
	}
	for _, kind := range []string{"denied", "locked", ""} {
		silent("refused: "+kind, sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
			return []sdktest.Message{{Error: &api.Error{Kind: kind, Msg: "no"}}}
		}))
	}
	silent("cut short", sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Body: []api.Item{{ID: idA, Title: "a"}}, More: true}, {Error: &api.Error{Msg: "broken"}}}
	}))

	empty := sdktest.Start(t, answers(nil))
	empty.Empty()
	silent("no account", empty)
	if calls := empty.Calls(); len(calls) != 0 {
		t.Errorf("a daemon that is not unlocked was asked for %v", calls)
	}

	hold := make(chan struct{})
	slow := sdktest.Start(t, func(sdktest.Call) []sdktest.Message { <-hold; return nil })
	t.Cleanup(func() { close(hold) })
	lines = lines[:2]
	silent("slow", slow)

	gone := sdktest.Start(t, nil)
	if err := os.Remove(gone.Home.Socket()); err != nil {
		t.Fatal(err)
	}
	silent("not running", gone)
	silent("no home", nil)
}

// Every shell gets a script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := runCLI(t, nil, nil, "", "completion", shell); got.code != 0 || got.err != "" || !strings.Contains(got.out, "__complete") {
			t.Errorf("%s: status %d, %q, %d bytes", shell, got.code, got.err, len(got.out))
		}
	}
}

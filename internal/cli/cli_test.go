//go:build unix

package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/audit"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	rules "github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// person answers prompts in order and keeps what was asked.
type person struct {
	answers []string
	asked   []string
}

func (p *person) IsTerminal() bool { return p != nil }

func (p *person) next(prompt string) string {
	p.asked = append(p.asked, prompt)
	if len(p.answers) == 0 {
		return ""
	}
	a := p.answers[0]
	p.answers = p.answers[1:]
	return a
}

func (p *person) Hidden(prompt string) ([]byte, error) { return []byte(p.next(prompt)), nil }
func (p *person) Line(prompt string) (string, error)   { return p.next(prompt), nil }
func (p *person) Confirm(prompt string) (bool, error)  { return p.next(prompt) == "yes", nil }

type result struct {
	code     int
	out, err string
}

// run executes one command line against a server; who may be nil.
func runCLI(t *testing.T, s *sdktest.Server, who *person, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	p := Program{Version: "1.2.3", In: strings.NewReader(stdin), Out: &out, Err: &errs, Prompt: who,
		Environ:         []string{"PATH=/nowhere"},
		InputIsTerminal: who != nil,
		Executable:      func() (string, error) { return filepath.Join(t.TempDir(), "thumbturn"), nil },
		Now:             func() time.Time { return time.Unix(1_800_000_000, 0) }, Rand: rand.Reader,
		VerifyOffline: func(_ context.Context, c audit.Check, w io.Writer) error {
			_, err := io.WriteString(w, c.Root)
			return err
		},
	}
	if s != nil {
		p.Environ = append(p.Environ, "THUMBTURN_HOME="+filepath.Dir(s.Home.Run))
	}
	code := p.Run(t.Context(), args)
	return result{code, out.String(), errs.String()}
}

// answers serves fixed answers by operation.
func answers(m map[api.Op][]sdktest.Message) func(sdktest.Call) []sdktest.Message {
	return func(c sdktest.Call) []sdktest.Message {
		if a, ok := m[c.Op]; ok {
			return a
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "usage", Msg: "unexpected " + string(c.Op)}}}
	}
}

func one(body any) []sdktest.Message { return []sdktest.Message{{Body: body}} }

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, line := range []string{
		"nonsense", "item", "item nonsense", "status --nonsense", "status extra", "item get", "read", "set", "approve --uses 3 x",
		"version --format xml", "audit anchor", "audit verify --proof a --export b --root c", "audit verify --export b",
		"audit verify --root c", "audit list --since yesterday", "audit list --caller robot", "audit list --outcome nonsense",
		"audit export --format csv --type nonsense", "audit show x", "init --passphrase-file f",
		"vault create x --tier none", "item create a=b", "item create --vault v a", "item edit x --generate-password=nonsense", "read x", "read --file-mode 9 op://a/b/c",
		"read --timeout 1ms op://a/b/c", "item delete x", "completion nonsense", "inject x", "inject --file-mode 9", "inject --comments",
		"project", "project nonsense", "project show a b", "run --task", "run --project",
		"audit export --format xml", "audit export --format human", "audit export --agent x", "audit export --since 24h",
		"audit export --format csv --until never", "man", "man --out x y", "doctor x",
		"import", "import a b", "import x --from nonsense", "import x --on-conflict nonsense", "import x.csv --item y", "import --undo",
	} {
		got := runCLI(t, nil, nil, "", strings.Fields(line)...)
		if got.code != 2 || got.out != "" || !strings.HasPrefix(got.err, "thumbturn: ") {
			t.Errorf("%s: %+v", line, got)
		}
		js := runCLI(t, nil, nil, "", append([]string{"--format=json"}, strings.Fields(line)...)...)
		if line != "version --format xml" && (js.code != 2 || !strings.HasPrefix(js.err, `{"error":{"kind":"usage"`)) {
			t.Errorf("%s: %+v", line, js)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, line := range []string{"version", "--version"} {
		if got := runCLI(t, nil, nil, "", line); got != (result{0, "1.2.3\n", ""}) {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// Each command is found under the name by which it is made alone.
func TestMakers(t *testing.T) {
	p, c := Program{Version: "1.2.3"}, &console.Console{Format: "human"}
	for _, m := range p.commands(c) {
		if got := m.make().Name(); got != m.name {
			t.Errorf("%q makes %q", m.name, got)
		}
		if cmd, _, err := p.tree(c, []string{m.name}).Find([]string{m.name}); err != nil || cmd.Name() != m.name {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// everyCommand visits the whole tree, what cobra puts there included.
func everyCommand(t *testing.T, visit func(*cobra.Command)) {
	t.Helper()
	root := Program{Version: "1.2.3"}.tree(&console.Console{Format: "human"}, nil)
	seen := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		seen++
		visit(cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if seen < 45 {
		t.Errorf("only %d commands", seen)
	}
}

// Every command explains itself and its flags, with an example that names it.
func TestEveryCommandHasHelp(t *testing.T) {
	everyCommand(t, func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") && !strings.HasPrefix(cmd.CommandPath(), "thumbturn completion") {
			t.Errorf("%s: Short is %q", cmd.CommandPath(), cmd.Short)
		}
		if !strings.Contains(cmd.Example, "thumbturn") {
			t.Errorf("%s lacks an example", cmd.CommandPath())
		}
		cmd.InitDefaultHelpFlag()
		flags := 0
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if flags++; strings.TrimSpace(f.Usage) == "" {
				t.Errorf("%s --%s lacks a usage", cmd.CommandPath(), f.Name)
			}
			if word, _ := pflag.UnquoteUsage(f); f.NoOptDefVal == "" && (word == "string" || word == "int") {
				t.Errorf("%s --%s does not say what its value is: put a `WORD` into its usage", cmd.CommandPath(), f.Name)
			}
		})
		if flags == 0 {
			t.Errorf("%s: no flag was seen", cmd.CommandPath())
		}
	})
}

func exampleItem() api.Item {
	return api.Item{ID: "00000000000000000000000001", Title: "git\x1bhub", Version: 3, Category: "LOGIN",
		Vault: api.Vault{ID: "v1", Name: "team", Tier: "standard"}, Tags: []string{"a", "b"},
		URLs: []string{"https://github.com"}, Editor: "person", Created: 1_700_000_000_000, Updated: 1_700_000_100_000,
		Fields: []api.Field{
			{ID: "username", Label: "username", Type: "STRING", Purpose: "USERNAME", Text: "ada", Reference: "op://team/github/username"},
			{ID: "password", Label: "password", Type: "CONCEALED", Purpose: "PASSWORD", Concealed: true, Reference: "op://team/github/password"},
			{ID: "f1", Section: "api", Label: "token", Type: "CONCEALED", Concealed: true, Pending: true, Reference: "op://team/github/api/token"},
			{ID: "f2", Label: "empty", Type: "STRING", Reference: "op://team/github/empty"},
		}}
}

func TestItemGet(t *testing.T) {
	s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		if c.Op == api.OpItemGet {
			return one(exampleItem())
		}
		var w api.Want
		c.Into(t, &w)
		m := sdktest.Message{Body: api.Released{Receipt: 1}}
		for _, r := range w.Refs {
			m.Values = append(m.Values, []byte("<"+r[len("op://team/github/"):]+">"))
		}
		return []sdktest.Message{m}
	})
	for file, line := range map[string]string{
		"item-get.json":           "item get github --format json",
		"item-get-reveal.json":    "item get github --format json --reveal",
		"item-get.txt":            "item get github",
		"item-get-reveal.txt":     "item get github --reveal",
		"fields.txt":              "item get github --fields label=username,label=password",
		"fields-reveal.txt":       "item get github --fields label=username,label=password --reveal",
		"field.json":              "item get github --fields label=password --format json",
		"fields.json":             "item get github --fields username,password --format json --reveal",
		"fields-type.json":        "item get github --fields type=otp --format json",
		"fields-type-string.json": "item get github --fields type=text --format json",
	} {
		got := runCLI(t, s, nil, "", strings.Fields(line)...)
		if got.code != 0 || got.err != "" {
			t.Errorf("%s: %+v", line, got)
		}
		golden(t, file, got.out)
	}
	if got := runCLI(t, s, nil, "", "item", "get", "x", "--fields", "nope"); got.code != 1 || got.out != "" {
		t.Errorf("%+v", got)
	}
}

func TestItemList(t *testing.T) {
	it := exampleItem()
	full := []sdktest.Message{{Body: []api.Item{it}, More: true}, {Body: []api.Item{it}}}
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpItemList: full}))
	golden(t, "item-list.json", runCLI(t, s, nil, "", "item", "list", "--format", "json").out)
	golden(t, "item-list.txt", runCLI(t, s, nil, "", "item", "list").out)
	none := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpItemList: one([]api.Item{})}))
	if got := runCLI(t, none, nil, "", "item", "list", "--format", "json"); got != (result{0, "[]\n", ""}) {
		t.Errorf("%+v", got)
	}
}

func TestItemWrites(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpItemPut: one(api.ItemPutReply{Item: exampleItem()}), api.OpItemGet: one(exampleItem())}))
	got := runCLI(t, s, nil, "", "item", "create", "--vault", "team", "--title", "t", "--tags", "a,b", "--category", "api credential",
		"username=ada", "credential=one", "x=two")
	if got.code != 0 || strings.Count(got.err, "warning:") != 1 {
		t.Errorf("%+v", got)
	}
	runCLI(t, s, nil, "", "item", "edit", "github", "--title", "new", "username=grace")
	runCLI(t, s, nil, "value\n\n", "set", "op://team/github/api/token")
	calls := s.Calls()
	if len(calls) != 4 {
		t.Fatalf("%d calls", len(calls))
	}
	var create, edit, set api.ItemPut
	calls[0].Into(t, &create)
	calls[2].Into(t, &edit)
	calls[3].Into(t, &set)
	if create.Mode != "create" || create.Category != "API_CREDENTIAL" || len(create.Fields) != 3 {
		t.Errorf("%+v", create)
	}
	if diff := cmp.Diff([][]byte{[]byte("ada"), []byte("one"), []byte("two")}, calls[0].Values); diff != "" {
		t.Error(diff)
	}
	if edit.Mode != "edit" || edit.Title != "new" || edit.Item != exampleItem().ID || !cmp.Equal(edit.Tags, []string{"a", "b"}) {
		t.Errorf("%+v", edit)
	}
	if set.Mode != "set" || string(calls[3].Values[0]) != "value\n" {
		t.Errorf("%+v %q", set, calls[3].Values)
	}
	who := &person{answers: []string{"typed"}}
	if got := runCLI(t, s, who, "", "set", "op://team/github/token"); got.code != 0 || string(s.Calls()[4].Values[0]) != "typed" {
		t.Errorf("%+v", got)
	}
}

func TestRead(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{
			{Body: api.Waiting{Request: "r1", Code: "k3f9-2xq7"}, More: true},
			{Body: api.Released{}, Values: [][]byte{[]byte("v\x00v")}}}
	})
	wait := "waiting for approval of request r1 (code k3f9-2xq7)\nhint: approve it with: thumbturn approve r1\n"
	if got := runCLI(t, s, nil, "", "read", "op://a/b/c"); got != (result{0, "v\x00v\n", wait}) {
		t.Errorf("%+v", got)
	}
	if got := runCLI(t, s, nil, "", "read", "-n", "op://a/b/c"); got.out != "v\x00v" {
		t.Errorf("%+v", got)
	}
	file := filepath.Join(t.TempDir(), "f")
	if got := runCLI(t, s, nil, "", "read", "-o", file, "op://a/b/c"); got.code != 0 || got.out != file+"\n" {
		t.Errorf("%+v", got)
	}
	if got := runCLI(t, s, nil, "", "read", "-o", file, "op://a/b/c"); got.code != 1 {
		t.Errorf("replaced: %+v", got)
	}
	fi, err := os.Stat(file)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
}

func TestParkedAndDenied(t *testing.T) {
	var kind atomic.Value // the daemon answers in a goroutine of its own
	kind.Store("")
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Error: &api.Error{Kind: kind.Load().(string), Ref: "r9", Msg: "m"}}}
	})
	for k, want := range map[string]int{"": 1, "usage": 2, "denied": 3, "passphrase": 3, "locked": 4, "pending": 5, "new-kind": 1} {
		kind.Store(k)
		if got := runCLI(t, s, nil, "", "read", "op://a/b/c"); got.code != want {
			t.Errorf("%q: %+v", k, got)
		}
	}
	kind.Store("pending")
	got := runCLI(t, s, nil, "", "read", "--no-wait", "--format", "json", "op://a/b/c")
	if got.code != 5 || got.out != "{\n  \"request\": \"r9\"\n}\n" || !strings.HasPrefix(got.err, `{"error":{"kind":"pending"`) {
		t.Errorf("%+v", got)
	}
}

func TestCancel(t *testing.T) {
	hold := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message { cancel(); <-hold; return nil })
	t.Cleanup(func() { close(hold) })
	var errs bytes.Buffer
	p := Program{Out: io.Discard, Err: &errs, Environ: []string{"THUMBTURN_HOME=" + filepath.Dir(s.Home.Run)}}
	if code := p.Run(ctx, []string{"status"}); code != 1 || errs.String() != "thumbturn: cancelled\n" {
		t.Errorf("%d %q", code, errs.String())
	}
}

func TestNotRunning(t *testing.T) {
	s := sdktest.Start(t, nil)
	if err := os.Remove(s.Home.Socket()); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"lock": "locked\n", "daemon status": "not running\n", "daemon stop": "not running\n"} {
		if got := runCLI(t, s, nil, "", strings.Fields(line)...); got != (result{0, want, ""}) {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := runCLI(t, s, nil, "", "status"); got.code != 1 {
		t.Errorf("%+v", got)
	}
}

func TestPolicyAndAudit(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpPolicyApply: {{}}, api.OpPolicyShow: one(api.Policy{Hash: "h", Text: "t\n"}),
		api.OpAuditProof:  one(api.Line{Line: []byte("{\"a\": 1}\n")}),
		api.OpAuditVerify: one(api.Verified{Events: 2, Problems: []string{"event 1 was changed"}}),
		api.OpAuditList: {{Body: []api.Event{{N: 4, Leaf: "l", Body: []byte(
			`{"v":1,"type":"intent","time":1700000000000,"kind":"agent","agent":"claude","refs":["op://a/b/c"]}`)}}, More: true},
			{Body: []api.Event{{N: 5, Leaf: "m"}}}},
		api.OpAuditExport: one([]api.Line{{Line: []byte("{}")}, {Line: []byte("[]\n")}}),
		api.OpAuditAnchor: one(api.Anchor{Head: "head\n"}),
	}))
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	for name, text := range map[string]string{good: rules.Default(), bad: "permit(principal, action, resource);",
		dir + "/cases": "agent reveal tier=standard => deny\n",
		dir + "/wrong": "agent reveal tier=standard => allow\n",
		dir + "/typo":  "agent reveal teir=standard => deny\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	anchor, export := filepath.Join(dir, "anchor"), filepath.Join(dir, "export")
	tests := []struct {
		line string
		code int
		out  string
	}{
		{"policy check " + good, 0, good + " is valid\n"},
		{"policy check " + bad, 2, ""},
		{"policy apply " + bad, 2, ""},
		{"policy apply " + good, 0, "the policy is in force: h\n"},
		{"policy test " + dir + "/typo", 2, ""},
		{"policy show", 0, "t\n"},
		{"audit proof 7", 0, "{\"a\": 1}\n"},
		{"audit verify --format json", 1, "{\n  \"statements\": 0,\n  \"events\": 2,\n  \"blobs\": 0,\n  \"root\": \"\",\n  \"head\": \"\",\n  \"problems\": [\n    \"event 1 was changed\"\n  ]\n}\n"},
		{"audit verify --export x --root r", 0, "r"},
		{"audit list", 0, "       4  2023-11-14T22:13:20Z  intent  agent claude  op://a/b/c\n       5  (erased)\n"},
		{"audit show 5", 0, "{\n  \"n\": 5,\n  \"leaf\": \"m\"\n}\n"},
		{"audit show 6", 1, ""},
		{"audit export", 0, "{}\n[]\n"},
		{"audit export -o " + export, 0, export + "\n"},
		{"audit anchor --to " + anchor, 0, anchor + "\n"},
		{"audit anchor --to " + anchor, 1, ""},
	}
	for _, tt := range tests {
		got := runCLI(t, s, nil, "", strings.Fields(tt.line)...)
		if got.code != tt.code || got.out != tt.out {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
	if got := runCLI(t, s, nil, "", "policy", "test", dir+"/cases"); got.code != 0 || !strings.HasPrefix(got.out, "ok    agent reveal") {
		t.Errorf("%+v", got)
	}
	if got := runCLI(t, s, nil, "", "policy", "test", dir+"/wrong"); got.code != 1 || !strings.HasPrefix(got.out, "FAIL  agent reveal") {
		t.Errorf("%+v", got)
	}
	if b, err := os.ReadFile(export); err != nil || string(b) != "{}\n[]\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAuditExportForCollectors(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpAuditList: {{Body: []api.Event{{N: 4, Body: []byte(`{"v":1,"type":"denial","time":1700000000000,"outcome":"denied","reason":"=1|2\n"}`)}}, More: true},
			{Body: []api.Event{{N: 5}}}},
		api.OpAuditExport: one([]api.Line{{Line: []byte("{}")}}),
		api.OpStatus:      one(api.Status{Events: 2}),
	}))
	csv := "n,time,type,outcome,kind,agent,action,refs,request,reason\n4,2023-11-14T22:13:20.000Z,denial,denied,,,,,,'=1|2\\u{a}\n5,,erased,,,,,,,\n"
	cef := "CEF:0|Thumbturn|Thumbturn|1.2.3|denial|denial denied|6|externalId=4 rt=1700000000000 outcome=denied reason=\\=1|2\\n\n" +
		"CEF:0|Thumbturn|Thumbturn|1.2.3|erased|erased|1|externalId=5\n"
	filters := "--caller agent --agent a --vault v --item i --principal p --tenant t --purpose u --outcome denied --type intent --since 2023-01-01 --until 2023-01-02"
	for line, want := range map[string]string{
		"audit export": "{}\n", "audit export --format json": "{}\n", "--format json audit export": "{}\n",
		"audit export --format csv": csv, "--format csv audit export": csv, "audit export --format cef " + filters: cef,
	} {
		if got := runCLI(t, s, nil, "", strings.Fields(line)...); got != (result{0, want, ""}) {
			t.Errorf("%s: %+v", line, got)
		}
	}
	file := filepath.Join(t.TempDir(), "out.csv")
	if got := runCLI(t, s, nil, "", "audit", "export", "--format", "csv", "-o", file); got != (result{0, file + "\n", ""}) {
		t.Errorf("%+v", got)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != csv {
		t.Errorf("%q, %v", b, err)
	}
	want := api.AuditFilter{Caller: "agent", Agent: "a", Vault: "v", Item: "i", Principal: "p", Tenant: "t", Purpose: "u", Outcome: "denied",
		Type: "intent", Since: 1_672_531_200_000, Until: 1_672_617_600_000}
	var got []api.AuditFilter
	runCLI(t, s, nil, "", append([]string{"audit", "list"}, strings.Fields(filters)...)...)
	for _, c := range s.Calls() {
		var f api.AuditFilter
		if c.Op == api.OpAuditList {
			c.Into(t, &f)
		}
		if f != (api.AuditFilter{}) {
			got = append(got, f)
		}
	}
	if diff := cmp.Diff([]api.AuditFilter{want, want}, got); diff != "" {
		t.Error(diff)
	}
}

// What was written to a file is told in the form that was asked for.
func TestWrittenIsTold(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpAuditExport: {{Body: []api.Line{{Line: []byte("{}")}}}},
		api.OpRelease:     {{Body: api.Released{Receipt: 1}, Values: [][]byte{[]byte("s3cret")}}},
	}))
	for _, command := range []string{"audit export", "read op://a/b/c"} {
		file := filepath.Join(t.TempDir(), "out")
		line := append(strings.Fields(command), "-f", "-o", file)
		if got := runCLI(t, s, nil, "", line...); got != (result{0, file + "\n", ""}) {
			t.Errorf("%s: %+v", command, got)
		}
		want := "{\n  \"path\": \"" + file + "\"\n}\n"
		if got := runCLI(t, s, nil, "", append(line, "--format", "json")...); got != (result{0, want, ""}) {
			t.Errorf("%s: %+v", command, got)
		}
	}
	if got := runCLI(t, s, nil, "", "read", "--format", "json", "op://a/b/c"); got != (result{0, "s3cret\n", ""}) {
		t.Errorf("%+v", got)
	}
}

// An export to a file tells a person at a terminal how far it is, if it takes
// its time.
func TestExportShowsProgress(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpAuditExport: {{Body: []api.Line{{Line: []byte("{}")}}, More: true}, {Body: []api.Line{{Line: []byte("{}")}}}},
		api.OpStatus:      one(api.Status{Events: 1, Statements: 2}),
	}))
	for _, terminal := range []bool{true, false} {
		var out, errs bytes.Buffer
		now := time.Unix(1_800_000_000, 0)
		p := Program{Version: "1.2.3", Out: &out, Err: &errs, ErrIsTerminal: terminal,
			Environ: []string{"THUMBTURN_HOME=" + filepath.Dir(s.Home.Run), "TERM=xterm"},
			Now:     func() time.Time { now = now.Add(time.Second); return now }}
		if code := p.Run(t.Context(), []string{"audit", "export"}); code != 0 || out.String() != "{}\n{}\n" {
			t.Errorf("status %d, %q", code, out.String())
		}
		want := ""
		if terminal {
			want = "\r\x1b[Kexporting 25%\r\x1b[Kexporting 50%\r\x1b[K"
		}
		if errs.String() != want {
			t.Errorf("terminal %v: %q", terminal, errs.String())
		}
	}
}

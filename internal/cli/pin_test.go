//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

var chip = api.TPM{Maker: "IFX", Limit: 32, Left: 32, Forgets: 600_000}

// What is typed to approve, and as what it is sent.
func TestApproveByPIN(t *testing.T) {
	r, p := exampleRequest(t)
	for name, c := range map[string]struct {
		by     api.Approval
		args   string
		typed  []string
		asked  []string
		kind   string
		source string
	}{
		"no PIN":             {api.Approval{Passphrase: true}, "", []string{presencePass}, []string{"presence passphrase: "}, "", "terminal"},
		"PIN":                {api.Approval{Passphrase: true, PIN: true}, "", []string{"7391"}, []string{"PIN: "}, "pin", "terminal"},
		"Enter alone":        {api.Approval{Passphrase: true, PIN: true}, "", []string{"", presencePass}, []string{"PIN: ", "presence passphrase: "}, "", "terminal"},
		"PIN beside passkey": {api.Approval{Passkeys: 1, PIN: true}, "", []string{"7391"}, []string{"PIN: "}, "pin", "terminal"},
		"PIN alone":          {api.Approval{PIN: true}, "", []string{"7391"}, []string{"PIN: "}, "pin", "terminal"},
		"in a file":          {api.Approval{Passphrase: true}, "--pin-file " + write(t, "7391"), nil, nil, "pin", "file"},
		"passphrase, by choice": {api.Approval{Passphrase: true, PIN: true}, "--passphrase-file " + write(t, presencePass), nil, nil, "",
			"file"},
	} {
		s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpRequest: one(p), api.OpApprove: {{}}, api.OpStatus: one(api.Status{Approval: c.by})}))
		who := &person{answers: c.typed}
		got := runCLI(t, s, who, "", strings.Fields("approve "+c.args+" "+r.ID)...)
		if diff := cmp.Diff(c.asked, who.asked); got.code != 0 || diff != "" {
			t.Errorf("%s: %+v %s", name, got, diff)
			continue
		}
		calls := s.Calls()
		last := calls[len(calls)-1]
		var in api.RequestID
		if last.Into(t, &in); last.Op != api.OpApprove || in.Kind != c.kind || in.Source != c.source || len(last.Values[0]) == 0 {
			t.Errorf("%s: %s %+v", name, last.Op, in)
		}
	}
}

func TestPINCommands(t *testing.T) {
	serve := func(st api.Status, p api.PIN, under string) *sdktest.Server {
		return sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpStatus: one(st), api.OpPIN: one(p), api.OpWhoami: one(api.Whoami{UnderAgent: under}),
			api.OpPINSet: {{}}, api.OpPINRemove: {{}}}))
	}
	passphrase, pin := api.Status{Approval: api.Approval{Passphrase: true}}, api.Status{Approval: api.Approval{PIN: true}}
	good := api.PIN{Known: true, TPM: chip}
	for name, c := range map[string]struct {
		args   string
		st     api.Status
		p      api.PIN
		under  string
		typed  []string
		code   int
		says   string
		op     api.Op // that was sent; none where nothing was
		values int
		kind   string
	}{
		"set":            {"pin set", passphrase, good, "", []string{presencePass, "7391", "7391"}, 0, "the PIN is set", api.OpPINSet, 2, ""},
		"replace":        {"pin set", pin, good, "", []string{"7391", "2580", "2580"}, 0, "the PIN is set", api.OpPINSet, 2, "pin"},
		"two differ":     {"pin set", passphrase, good, "", []string{presencePass, "7391", "7392"}, 2, "differ", "", 0, ""},
		"trivial":        {"pin set", passphrase, good, "", []string{presencePass, "0000"}, 2, "over and over", "", 0, ""},
		"too short":      {"pin set", passphrase, good, "", []string{presencePass, "739"}, 2, "4 to 64", "", 0, ""},
		"no TPM":         {"pin set", passphrase, api.PIN{TPM: api.TPM{Why: "no TPM 2.0", Hint: "use another slot"}}, "", nil, 1, "use another slot", "", 0, ""},
		"agent sets":     {"pin set", passphrase, good, "claude", nil, 3, "refused under an agent (claude)", "", 0, ""},
		"agent removes":  {"pin remove --yes", passphrase, good, "claude", nil, 3, "refused under an agent (claude)", "", 0, ""},
		"remove":         {"pin remove --yes", passphrase, good, "", []string{presencePass}, 0, "the PIN is removed", api.OpPINRemove, 1, ""},
		"remove by PIN":  {"pin remove --yes", pin, good, "", []string{"7391"}, 0, "the PIN is removed", api.OpPINRemove, 1, "pin"},
		"status":         {"pin status", passphrase, api.PIN{Known: true, Set: true, Here: true, TPM: chip}, "claude", nil, 0, "PIN: set, and approves on this device\nTPM: present (IFX), refuses all after 32", "", 0, ""},
		"status, locked": {"pin status", passphrase, api.PIN{TPM: api.TPM{Maker: "\x1b[31m", Failures: 32, Limit: 32, Forgets: 600_000, Locked: true}}, "", nil, 0, `PIN: not known while locked` + "\n" + `TPM: present (\u{1b}[31m), LOCKED OUT after 32 wrong authorizations: it takes a PIN again in at most 10m`, "", 0, ""},
		"lost":           {"pin status", passphrase, api.PIN{Known: true, Set: true, TPM: chip}, "", nil, 0, "set on another device", "", 0, ""},
		"in the status":  {"status", passphrase, good, "", nil, 0, "PIN:         not set\nTPM:         present (IFX)", "", 0, ""},
	} {
		s := serve(c.st, c.p, c.under)
		who := &person{answers: c.typed}
		got := runCLI(t, s, who, "", strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.out+got.err, c.says) || len(who.asked) != len(c.typed) {
			t.Errorf("%s: %+v, asked %q", name, got, who.asked)
		}
		var sent *sdktest.Call
		for _, call := range s.Calls() {
			if call.Op == api.OpPINSet || call.Op == api.OpPINRemove {
				sent = &call
			}
		}
		if (sent == nil) != (c.op == "") {
			t.Errorf("%s: sent %+v", name, sent)
		}
		if sent != nil && c.op != "" {
			var in api.Auth
			if sent.Into(t, &in); sent.Op != c.op || len(sent.Values) != c.values || in.Kind != c.kind || in.Source != "terminal" {
				t.Errorf("%s: %s with %d values, %+v", name, sent.Op, len(sent.Values), in)
			}
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

//go:build unix

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

const storyRoot = "875cf0dec756a6e2b60f2b4bf9ad0bcc8ebaa7e0daa1a59ee03789800b543b96"

func vectorFile(name string) string {
	return filepath.Join("..", "..", "spec", "vectors", "ledger", name+".jsonl")
}

// story serves a ledger of the vectors as a daemon would.
func story(t *testing.T, name string) *sdktest.Server {
	t.Helper()
	b, err := os.ReadFile(vectorFile(name))
	if err != nil {
		t.Fatal(err)
	}
	var lines []api.Line
	var events []api.Event
	for l := range bytes.Lines(b) {
		lines = append(lines, api.Line{Line: bytes.Clone(l)})
		var e struct {
			N    *int64      `json:"event"`
			Leaf string      `json:"leaf"`
			Body canon.Bytes `json:"body"`
		}
		if err := json.Unmarshal(l, &e); err != nil {
			t.Fatal(err)
		}
		if e.N != nil {
			events = append(events, api.Event{N: *e.N, Leaf: e.Leaf, Body: []byte(e.Body)})
		}
	}
	return sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
		switch c.Op {
		case api.OpAuditExport:
			return one(lines)
		case api.OpAuditList:
			var f api.AuditFilter
			if err := json.Unmarshal(c.Body, &f); err != nil {
				return []sdktest.Message{{Error: &api.Error{Kind: "usage", Msg: err.Error()}}}
			}
			from := min(int(f.From), len(events))
			return one(events[from:])
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "usage", Msg: "unexpected " + string(c.Op)}}}
	})
}

// check runs a command line with the real verifier.
func check(t *testing.T, s *sdktest.Server, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	p := Program{Version: "1.2.3", Out: &out, Err: &errs, VerifyOffline: verifyOffline,
		Environ: []string{"PATH=/nowhere", "THUMBTURN_HOME=" + filepath.Dir(s.Home.Run)}}
	code := p.Run(t.Context(), args)
	return result{code, out.String(), errs.String()}
}

func TestVerifyApprovals(t *testing.T) {
	s := story(t, "approvals-ok")
	for _, args := range []string{"audit verify --approvals", "audit verify --approvals --root " + storyRoot,
		"audit verify --approvals --root " + storyRoot + " --export " + vectorFile("approvals-ok")} {
		got := check(t, s, strings.Fields(args)...)
		trusted := "the root fingerprint that was given"
		if !strings.Contains(args, "--root") {
			trusted = "the export's own genesis; compare the fingerprint"
		}
		for _, want := range []string{"approvals:   8\n", "  passkey              4\n", "  passkey-signs        2\n", "  pin                  1\n",
			"signatures:  6 of passkeys, all valid\n", "new <name>", ", removed)\n", "intents:     8, of guarded vaults 6, of those by passkey 4\n",
			"trusted because: " + trusted, "everything agrees\n"} {
			if got.code != 0 || !strings.Contains(got.out, want) {
				t.Errorf("%s: no %q in %+v", args, want, got)
			}
		}
	}
	got := check(t, s, "audit", "verify", "--approvals", "--format", "json")
	var v exportJSON
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Root != storyRoot || v.Approvals == nil {
		t.Fatalf("%v: %+v", err, got)
	}
	want := approvalsJSON{8, map[string]int64{"passkey": 4, "passkey-signs": 2, "presence-passphrase": 1, "pin": 1}, 6, v.Approvals.Passkeys, 8, 6, 4}
	if d := cmp.Diff(want, *v.Approvals); d != "" || len(v.Approvals.Passkeys) != 3 || !v.Approvals.Passkeys[1].Removed {
		t.Errorf("%+v: %s", v.Approvals.Passkeys, d)
	}
}

func TestVerifyApprovalsFails(t *testing.T) {
	for name, want := range map[string]string{"approvals-signature-bit-flipped": "assertion: event 0: the signature is wrong",
		"approvals-passkey-removed": "passkey: event 0", "approvals-used-twice": "repeated: event 2", "leaf-body": "proof: leaf"} {
		got := check(t, story(t, name), "audit", "verify", "--approvals")
		if got.code != 1 || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := check(t, story(t, "approvals-ok"), "audit", "verify", "--approvals", "--root", strings.Repeat("0", 64))
	if got.code == 0 || got.out != "" || !strings.Contains(got.err, "proof: root") {
		t.Errorf("%+v", got)
	}
	locked := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpAuditExport: {{Error: &api.Error{Kind: "locked", Msg: "the vaults are locked"}}}}))
	if got := check(t, locked, "audit", "verify", "--approvals"); got.code == 0 || got.out != "" || !strings.Contains(got.err, "locked") || strings.Contains(got.err, "proof") {
		t.Errorf("%+v", got)
	}
}

// TestAuditShow reads events of the story: what was shown, and who approved.
func TestAuditShow(t *testing.T) {
	s := story(t, "approvals-ok")
	for n, wants := range map[int][]string{
		0:  {"enforced by thumbturn\n", "  secret:      op://prod/db/password", "  command:     psql '<&>'\n", "code: ", "approved\n  with:        passkey new <name>, id ", "(tier passkey)\n", "  at:          page, 2023-11-14T22:13:21Z\n"},
		3:  {"the daemon's word", "(tier presence-passphrase)", "terminal"},
		7:  {"(tier passkey-signs)", "one over 2 requests"},
		11: {"  LEASE:       the same session", "20 times at most"},
	} {
		got := check(t, s, "audit", "show", strconv.Itoa(n))
		for _, want := range append(wants, `"n": `+strconv.Itoa(n)) {
			if got.code != 0 || !strings.Contains(got.out, want) {
				t.Errorf("event %d: no %q in %+v", n, want, got)
			}
		}
	}
	if got := check(t, s, "audit", "show", "2"); got.code != 0 || !strings.HasPrefix(got.out, "{") {
		t.Errorf("an outcome shows nothing to a person: %+v", got)
	}
	if got := check(t, story(t, "approvals-passkey-unknown"), "audit", "show", "0"); !strings.Contains(got.out, "A PASSKEY THAT NO ROSTER NAMES") {
		t.Errorf("%+v", got)
	}

	got := check(t, s, "audit", "show", "0", "--format", "json")
	var v struct {
		N        int64
		Shown    []struct{ Group, Label, Text string }
		Approval struct {
			Tier, Source string
			Passkey      struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || len(v.Shown) < 8 || v.Approval.Tier != "passkey" || v.Approval.Passkey.Name != "new <name>" {
		t.Errorf("%v: %+v", err, got)
	}

	const id = "0123456789abcdefghjkmn9000"
	got = check(t, s, "audit", "show", id, "--format", "json")
	var all []struct{ N int64 }
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || len(all) != 3 || all[0].N != 0 || all[2].N != 2 {
		t.Errorf("%v: %+v", err, got)
	}
	if got := check(t, s, "audit", "show", "0123456789abcdefghjkmn9990"); got.code == 0 || got.out != "" {
		t.Errorf("%+v", got)
	}
}

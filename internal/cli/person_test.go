//go:build unix

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

const (
	unlockPass   = "correct horse battery staple"
	presencePass = "an entirely different sentence"
)

func TestInit(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpInit: {{Values: [][]byte{bytes.Repeat([]byte{7}, 20)}}}}))
	s.Empty()
	who := &person{answers: []string{unlockPass, unlockPass, presencePass, presencePass, "", "yes"}}
	got := runCLI(t, s, who, "", "init")
	if got.code != 0 || !strings.HasPrefix(got.err, "WARNING: THUMBTURN_HOME is set") {
		t.Fatalf("%+v", got)
	}
	var in api.Init
	call := s.Calls()[0]
	call.Into(t, &in)
	want := [][]byte{[]byte(unlockPass), []byte(presencePass)}
	if diff := cmp.Diff(want, call.Values); diff != "" || in.Source != "terminal" || in.TestHome {
		t.Error(diff, in)
	}
	// The recovery code and the suggestions reach the terminal alone.
	code := who.asked[len(who.asked)-1]
	if !strings.Contains(code, "0w3g-") || strings.Contains(got.out+got.err, "0w3g") || len(who.asked) != 6 {
		t.Errorf("%q\n%+v", who.asked, got)
	}
	if !strings.Contains(who.asked[0], "would be: ") || strings.Contains(got.err, "would be") {
		t.Errorf("%q", who.asked[0])
	}
}

func TestInitRefuses(t *testing.T) {
	tests := []struct {
		name    string
		answers []string
	}{
		{"weak", []string{"password1234"}},
		{"typed differently", []string{unlockPass, unlockPass + "x"}},
		{"both the same", []string{unlockPass, unlockPass, unlockPass}},
		{"nothing typed", nil},
	}
	for _, tt := range tests {
		s := sdktest.Start(t, answers(nil))
		s.Empty()
		if got := runCLI(t, s, &person{answers: tt.answers}, "", "init"); got.code == 0 || len(s.Calls()) != 0 {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	s := sdktest.Start(t, answers(nil))
	if got := runCLI(t, s, &person{}, "", "init"); got.code != 1 || !strings.Contains(got.err, "account already") {
		t.Errorf("%+v", got)
	}
	if got := runCLI(t, s, nil, "", "init"); got.code != 1 || !strings.Contains(got.err, "there is none") {
		t.Errorf("%+v", got)
	}
}

// files writes passphrase files for a test home and returns their folder.
func files(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{"u": unlockPass, "p": presencePass, "n": "a third one, rather long"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir + "/"
}

func TestTestHomeByFiles(t *testing.T) {
	code := bytes.Repeat([]byte{9}, 20)
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpInit: {{Values: [][]byte{code}}}, api.OpRecover: {{Values: [][]byte{code}}},
		api.OpUnlock: {{}}, api.OpPassphrase: {{}}, api.OpRestore: one(api.Restored{From: "a", To: "b"}), api.OpStatus: one(api.Status{State: api.StateHeld})}))
	s.Empty()
	d := files(t)
	both := " --test-home --passphrase-file " + d + "u --presence-passphrase-file " + d + "p --recovery-file " + d
	for _, line := range []string{
		"init" + both + "r",
		"recover" + both + "r2 --code-file " + d + "r",
		"unlock --passphrase-file " + d + "u",
		"passphrase change --passphrase-file " + d + "u --presence-passphrase-file " + d + "p --new-passphrase-file " + d + "n",
		"passphrase change --presence --presence-passphrase-file " + d + "p --new-passphrase-file " + d + "n",
		"restore --yes --passphrase-file " + d + "p",
	} {
		if got := runCLI(t, s, nil, "", strings.Fields(line)...); got.code != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
	values := func(vs ...string) (out [][]byte) {
		for _, v := range vs {
			out = append(out, []byte(v))
		}
		return out
	}
	want := [][][]byte{
		values(unlockPass, presencePass),
		values(string(code), unlockPass, presencePass),
		values(unlockPass),
		values(presencePass, unlockPass, "a third one, rather long"),
		values(presencePass, presencePass, "a third one, rather long"),
		values(presencePass),
	}
	var got [][][]byte
	for _, c := range s.Calls() {
		if c.Op == api.OpStatus {
			continue
		}
		var a api.Auth
		c.Into(t, &a)
		if a.Source != "file" {
			t.Errorf("%s: source %q", c.Op, a.Source)
		}
		got = append(got, c.Values)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func exampleRequest(t *testing.T) (canon.Request, api.Pending) {
	r := canon.Request{V: 1, ID: "00000000000000000000000000", Nonce: make([]byte, 32), Action: "reveal",
		Caller:   canon.Asker{Kind: "agent", Label: "claude", Root: "pid 1", UID: 1000},
		Place:    canon.Place{Sink: "reveal", Grade: canon.GradeReveal, Program: "/bin/sh"},
		Subjects: []canon.Subject{{Ref: "op://team/github/token", Tier: canon.TierStandard, Revision: 1, Writer: "person"}},
		Purpose:  canon.Fact{Value: "deploy\nenforced by thumbturn"}, Uses: 1, Issued: 1, Expires: 1_700_000_000_000}
	raw := canon.Encode(r)
	return r, api.Pending{ID: r.ID, State: "pending", Raw: raw, Code: canon.ShortCode(canon.RequestDigest(raw))}
}

func TestApprove(t *testing.T) {
	r, p := exampleRequest(t)
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpRequest: one(p), api.OpApprove: {{}}}))
	who := &person{answers: []string{presencePass}}
	got := runCLI(t, s, who, "", "approve", "--yes", r.ID)
	if got.code != 0 || got.out != "approved "+r.ID+"\n" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{string(canon.Enforced), string(canon.Reported), string(canon.Claimed), "op://team/github/token",
		"code: " + p.Code, `deploy\u{a}enforced by thumbturn`} {
		if !strings.Contains(got.err, want) {
			t.Errorf("%q is not shown:\n%s", want, got.err)
		}
	}
	call := s.Calls()[2] // behind request and status
	if string(call.Values[0]) != presencePass || who.asked[0] != "presence passphrase: " {
		t.Errorf("%q, %q", call.Values, who.asked)
	}
}

// What a lease gives is shown before the passphrase is asked for, and sent as it
// was shown; one that the policy does not give is refused without asking.
func TestApproveLease(t *testing.T) {
	r, p := exampleRequest(t)
	p.Lease = (30 * time.Minute).Milliseconds()
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpRequest: one(p), api.OpApprove: {{}}}))
	who := &person{answers: []string{presencePass}}
	got := runCLI(t, s, who, "", "approve", "--lease", "30m", "--uses", "7", r.ID)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	var sent api.RequestID
	s.Calls()[2].Into(t, &sent)
	if sent.Lease == nil || sent.Lease.Uses != 7 || sent.Lease.Until != time.Unix(1_800_000_000, 0).Add(30*time.Minute).UnixMilli() {
		t.Fatalf("sent %+v", sent.Lease)
	}
	enforced, _, _ := strings.Cut(got.err, string(canon.Reported))
	for _, want := range []string{"7 times at most", time.UnixMilli(sent.Lease.Until).UTC().Format(time.RFC3339)} {
		if !strings.Contains(enforced, want) {
			t.Errorf("%q is not shown as enforced:\n%s", want, got.err)
		}
	}
	for _, c := range []struct {
		args    string
		longest time.Duration
		code    int
	}{
		{"--lease 30m", 0, 3}, {"--lease 30m1s", 30 * time.Minute, 3}, {"--lease -1m", 30 * time.Minute, 2},
		{"--lease 1m --uses 0", 30 * time.Minute, 2}, {"--uses 3", 30 * time.Minute, 2},
	} {
		p.Lease = c.longest.Milliseconds()
		s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpRequest: one(p)}))
		who := &person{}
		if got := runCLI(t, s, who, "", strings.Fields("approve "+c.args+" "+r.ID)...); got.code != c.code || len(who.asked) > 0 {
			t.Errorf("%s: %+v, asked %q", c.args, got, who.asked)
		}
	}
}

// Nobody is asked for a passphrase over bytes that do not hold together.
func TestApproveRefuses(t *testing.T) {
	r, good := exampleRequest(t)
	other := r
	other.ID = "11111111111111111111111111"
	invalid := r
	invalid.Uses = 0
	spoil := map[string]func(*api.Pending){
		"spaces": func(p *api.Pending) { p.Raw = append([]byte(" "), p.Raw...) },
		"another request": func(p *api.Pending) {
			p.Raw = canon.Encode(other)
			p.Code = canon.ShortCode(canon.RequestDigest(p.Raw))
		},
		"not a request": func(p *api.Pending) {
			p.Raw = canon.Encode(invalid)
			p.Code = canon.ShortCode(canon.RequestDigest(p.Raw))
		},
		"another code": func(p *api.Pending) { p.Code = "0000-0000" },
		"no bytes":     func(p *api.Pending) { p.Raw = nil },
		"answered":     func(p *api.Pending) { p.State = "denied" },
		"no state":     func(p *api.Pending) { p.State = "" },
	}
	for name, f := range spoil {
		p := good
		f(&p)
		s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpRequest: one(p), api.OpApprove: {{}}}))
		who := &person{answers: []string{presencePass}}
		if got := runCLI(t, s, who, "", "approve", r.ID); got.code != 1 || len(who.asked) != 0 || len(s.Calls()) != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRequestsAndDeny(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpDeny: {{}}, api.OpRequests: one([]api.Pending{{ID: "r1", Code: "c", State: "pending", Action: "reveal", Caller: "agent", Label: "x\x1b"}})}))
	if got := runCLI(t, s, nil, "", "deny", "r1"); got != (result{0, "denied r1\n", ""}) {
		t.Errorf("%+v", got)
	}
	if got := runCLI(t, s, nil, "", "requests", "--all"); got.code != 0 || strings.Contains(got.out, "\x1b") || !strings.HasPrefix(got.out, "r1  c  pending") {
		t.Errorf("%+v", got)
	}
	leased := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpRequests: one([]api.Pending{
		{ID: "r2", Code: "c", State: "leased", Action: "hold", Caller: "agent", Refs: []string{"op://a/b/c"}, Expires: 1_800_000_000_000, Left: 7, Root: "3.4.boot"},
		{ID: "r3", State: "leased", Action: "reveal", Caller: "person", Root: "5.6.boot"}})}))
	got := runCLI(t, leased, nil, "", "requests")
	for _, want := range []string{"leased    until 2027-01-15T08:00:00Z  hold by agent  op://a/b/c  7 uses left  session 3.4.boot\n", "reveal by person    session 5.6.boot\n"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("%q is not in %+v", want, got)
		}
	}
	muted := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpDeny: {{}}, api.OpUnmute: {{}}, api.OpRequests: one([]api.Pending{
		{ID: "r4", State: "muted", Action: "hold", Caller: "agent", Refused: 3, Root: "3.4.boot"}})}))
	for line, want := range map[string]string{"deny --mute 10m r4": "denied r4\n", "requests --unmute r4": "unmuted r4\n"} {
		if got := runCLI(t, muted, nil, "", strings.Fields(line)...); got != (result{0, want, ""}) {
			t.Errorf("%s: %+v", line, got)
		}
	}
	for _, c := range muted.Calls() {
		var id api.RequestID
		if c.Into(t, &id); id.ID != "r4" || (c.Op == api.OpDeny) != (id.Mute == 600_000) {
			t.Errorf("%s: %+v", c.Op, id)
		}
	}
	if got := runCLI(t, muted, nil, "", "requests"); !strings.Contains(got.out, "3 refused since  session 3.4.boot\n") {
		t.Errorf("%+v", got)
	}
	if got := runCLI(t, muted, nil, "", "deny", "--mute", "0s", "r4"); got.code != 2 {
		t.Errorf("%+v", got)
	}
	var in api.RequestList
	s.Calls()[1].Into(t, &in)
	if !in.All {
		t.Error("--all was not sent")
	}
}

func TestUnlockNeedsTerminal(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpUnlock: {{}},
		api.OpStatus: one(api.Status{}), api.OpWhoami: one(api.Whoami{Kind: "agent"})}))
	if got := runCLI(t, s, nil, unlockPass+"\n", "unlock"); got.code != 1 || len(s.Calls()) != 0 {
		t.Errorf("a passphrase came from standard input: %+v", got)
	}
	if got := runCLI(t, s, &person{answers: []string{unlockPass}}, "", "unlock"); got.code != 0 || got.out != "unlocked\n" {
		t.Errorf("%+v", got)
	}
}

func TestUnlockIsRefusedBeforeThePrompt(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpStatus: one(api.Status{}), api.OpWhoami: one(api.Whoami{UnderAgent: "claude"})}))
	p := &person{answers: []string{unlockPass}}
	if got := runCLI(t, s, p, "", "unlock"); got.code != 3 || len(p.answers) != 1 {
		t.Errorf("asked under an agent: %+v", got)
	}
}

//go:build unix

package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

func exampleGrant() api.Grant {
	uid := 1000
	return api.Grant{ID: "00000000000000000000000001", Name: "nightly", State: "live", Created: 1_700_000_000_000, Until: 1_702_592_000_000, Uses: 30,
		Refs: []string{"op://dev/db/password"}, UID: &uid, Program: &api.Program{Path: "/srv/\x1bjob.sh", Hash: "aa", Interpreter: "/bin/sh", IntHash: "bb",
			Argv: []string{"/srv/job.sh", "--full\x1b"}, Dir: "/srv"}}
}

// A grant is asked for with the program as run would report it.
func TestGrantCreate(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpGrantCreate: one(exampleGrant())}))
	dir := t.TempDir()
	job := filepath.Join(dir, "job.sh")
	text := "#!/bin/sh\ntrue\n"
	if err := os.WriteFile(job, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	got := runCLI(t, s, nil, "", "grant", "create", "--name", "nightly", "--until", "30d", "--uses", "7", "--dir", "/srv",
		"--ref", "op://dev/db/password", "--ref", "op://dev/db/user", "--", job, "--full", "--until", "x")
	if got.code != 0 || !strings.Contains(got.out, "nightly") || strings.Contains(got.out, "\x1b") {
		t.Fatalf("%+v", got)
	}
	var in api.GrantCreate
	s.Calls()[0].Into(t, &in)
	p := in.Program
	if p.Hash != hex.EncodeToString(sum[:]) || p.Interpreter != "/bin/sh" || len(p.IntHash) != 64 || !p.Writable {
		t.Errorf("%+v", p)
	}
	p.Hash, p.Interpreter, p.IntHash, p.File, p.IntFile, p.Writable = "", "", "", "", "", false
	in.Program = p
	want := api.GrantCreate{Name: "nightly", Refs: []string{"op://dev/db/password", "op://dev/db/user"}, Life: (30 * 24 * time.Hour).Milliseconds(), Uses: 7,
		Program: api.Program{Path: job, Argv: []string{job, "--full", "--until", "x"}, Dir: "/srv"}}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
	runCLI(t, s, nil, "", "grant", "create", "--name", "n", "--until", "2027-01-31T00:00:00Z", "--ref", "op://a/b/c", "--", job)
	s.Calls()[1].Into(t, &in)
	cwd, _ := os.Getwd()
	if in.Until != time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC).UnixMilli() || in.Program.Dir != cwd {
		t.Errorf("%+v", in)
	}
}

func TestGrantCreateRefuses(t *testing.T) {
	s := sdktest.Start(t, answers(nil))
	good := []string{"grant", "create", "--name", "n", "--until", "30d", "--ref", "op://a/b/c", "--", "/bin/true"}
	for _, line := range []string{
		"grant", "grant nonsense", "grant create", "grant create --name n", "grant create --until 30d --ref op://a/b/c -- /bin/true",
		"grant create --name n --ref op://a/b/c -- /bin/true", "grant create --name n --until 30d -- /bin/true",
		"grant create --name n --until 30d --ref op://a/b/c", "grant create --name n --until 30d --ref op://a/b/c /bin/true",
		"grant create --name n --until 0d --ref op://a/b/c -- /bin/true", "grant create --name n --until -3h --ref op://a/b/c -- /bin/true",
		"grant create --name n --until tomorrow --ref op://a/b/c -- /bin/true", "grant create --name n --until 30d --uses -1 --ref op://a/b/c -- /bin/true",
		"grant create --name n --until 99999d --ref op://a/b/c -- /bin/true", "grant list x", "grant revoke", "grant revoke a b",
	} {
		if got := runCLI(t, s, nil, "", strings.Fields(line)...); got.code != 2 || got.out != "" {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := runCLI(t, s, nil, "", append(good[:len(good)-1:len(good)-1], "/no/such/program")...); got.code != 1 {
		t.Errorf("no program: %+v", got)
	}
	if n := len(s.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestGrantListAndRevoke(t *testing.T) {
	bare := api.Grant{ID: "00000000000000000000000002", Name: "other", State: "expired", Until: 1_700_000_000_000}
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{
		api.OpGrantList: one([]api.Grant{exampleGrant(), bare}), api.OpGrantRevoke: {{}}}))
	got := runCLI(t, s, nil, "", "grant", "list", "--all")
	golden(t, "grant-list.txt", got.out)
	golden(t, "grant-list.json", runCLI(t, s, nil, "", "grant", "list", "--format", "json").out)
	if got := runCLI(t, s, nil, "", "grant", "revoke", "nightly"); got != (result{0, "revoked nightly\n", ""}) {
		t.Errorf("%+v", got)
	}
	var in api.GrantList
	s.Calls()[0].Into(t, &in)
	var name api.GrantName
	s.Calls()[2].Into(t, &name)
	if !in.All || name.Name != "nightly" {
		t.Errorf("%+v %+v", in, name)
	}
	none := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpGrantList: one([]api.Grant{})}))
	if got := runCLI(t, none, nil, "", "grant", "list"); got != (result{0, "no grants\n", ""}) {
		t.Errorf("%+v", got)
	}
}

// A grant that waits for a person leaves the id with which to come back.
func TestGrantParks(t *testing.T) {
	s := sdktest.Start(t, answers(map[api.Op][]sdktest.Message{api.OpGrantCreate: {{Error: &api.Error{Kind: "pending", Ref: "r1", Msg: "waits for a person"}}}}))
	got := runCLI(t, s, nil, "", "grant", "create", "--no-wait", "--name", "n", "--until", "1h", "--ref", "op://a/b/c", "--", "/bin/sh")
	if got.code != 5 || got.out != "r1\n" {
		t.Errorf("%+v", got)
	}
}

//go:build linux

package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/archive"
)

// backedUp writes a backup and returns its path and manifest.
func (h *home) backedUp(name string) (string, archive.Manifest) {
	h.t.Helper()
	var out struct {
		Path string `json:"path"`
		archive.Manifest
	}
	if err := json.Unmarshal([]byte(h.ok("backup", "--to", h.file(name), "--format", "json")), &out); err != nil {
		h.t.Fatal(err)
	}
	return out.Path, out.Manifest
}

// A backup holds data and config, and nothing of the device. It is made in any
// state that has an account, by an agent too, and is recorded.
func TestBackup(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	draft := []byte("@id(\"a draft\")\nforbid (principal, action, resource);\n")
	if err := os.WriteFile(filepath.Join(h.dir, "config", "policy.cedar"), draft, 0o600); err != nil {
		t.Fatal(err)
	}
	path, m := h.backedUp("one.tar")
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
	s := h.status()
	if m.Account != s.Account || m.Device != s.Device || !m.TestHome || m.Statements != s.Statements || m.Events == 0 || m.Events > s.Events {
		t.Errorf("%+v\n%+v", m, s)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(h.dir, "device", "keys"))
	if err != nil {
		t.Fatal(err)
	}
	var secret struct {
		Share []byte
		Sign  []byte `json:"sign_seed"`
		KEM   []byte `json:"kem_seed"`
	}
	if err := json.Unmarshal(keys, &secret); err != nil || len(secret.Share) != 32 {
		t.Fatalf("%v", err)
	}
	for name, x := range map[string][]byte{"the value": []byte(canary), "the share": secret.Share, "the signing key": secret.Sign,
		"the sealing key": secret.KEM, "the keys": keys, "the unlock passphrase": []byte(unlockPhrase)} {
		if bytes.Contains(b, x) {
			t.Errorf("the backup holds %s", name)
		}
	}
	if !bytes.Contains(b, draft) {
		t.Error("the draft is missing")
	}
	wantCode(t, h.person("backup", "--to", path), 1) // it exists
	h.ok("backup", "--to", path, "--force")
	if out := h.ok("audit", "list", "--format", "json"); strings.Count(out, `"backup"`) != 2 {
		t.Errorf("the backups are not recorded:\n%s", out)
	}

	h.ok("lock")
	folder := h.file("folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.agent("backup", "--to", folder), 0)
	list, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(list) != 1 || !strings.Contains(list[0], m.Account) {
		t.Errorf("%q", list)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "data", ".copy-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	wantCode(t, h.person("backup"), 2)
	wantCode(t, h.person("backup", "--to", h.file("no/such/folder/x")), 1)
}

func TestBackupOfNothing(t *testing.T) {
	t.Parallel()
	h := bare(t)
	wantCode(t, h.person("backup", "--to", h.file("x.tar")), 1)
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(h.dir), "*tar*")); len(list) != 0 {
		t.Errorf("%q", list)
	}
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(h.dir), ".thumbturn-*")); len(list) != 0 {
		t.Errorf("%q", list)
	}
}

// Whom the policy refuses names, it refuses a backup, as long as it is in force.
func TestBackupUnderPolicy(t *testing.T) {
	t.Parallel()
	h := founded(t)
	policy := h.ok("policy", "show") + "\n@id(\"no-names\")\nforbid (principal, action == Action::\"list\", resource);\n"
	file := h.write("mine.cedar", policy)
	r := h.person("policy", "apply", "--no-wait", file)
	wantCode(t, r, 5)
	id := strings.TrimSpace(r.Out)
	h.approve(id)
	h.person("policy", "apply", "--request", id, file) // the new policy hides its own text too
	wantSaid(t, h.person("vault", "list"), "policy does not allow it")
	wantCode(t, h.person("backup", "--to", h.file("x.tar")), 3)
}

// What is not sound becomes no backup.
func TestBackupOfDamage(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	h.halt()
	h.database(func(db *sql.DB) {
		b := column(t, db, "SELECT bytes FROM blob WHERE kind = 2")
		exec1(t, db, "UPDATE blob SET bytes = ? WHERE kind = 2", flip(b))
	})
	r := h.person("backup", "--to", h.file("x.tar"))
	wantCode(t, r, 1)
	wantSaid(t, r, "not the one the manifest names")
	if _, err := os.Stat(h.file("x.tar")); err == nil {
		t.Error("it was written")
	}
}

// lose deletes the whole data folder, as a slip of the hand does.
func (h *home) lose() {
	h.t.Helper()
	h.halt()
	if err := os.RemoveAll(filepath.Join(h.dir, "data")); err != nil {
		h.t.Fatal(err)
	}
}

// putBack restores as the person.
func (h *home) putBack(path, presence string) result {
	h.t.Helper()
	return h.person("restore", "--yes", "--from", path, "--passphrase-file", h.file(presence))
}

// uses reports whether a program gets a value.
func (h *home) uses(ref, value string) bool {
	r := h.do(command{Argv: []string{program("thumbturn"), "run", "--", "sh", "-c", `test "$KEY" = "` + value + `"`}, Env: append(h.env(), "KEY="+ref)})
	return r.Code == 0
}

// All of data is lost; the backup brings it back, and says so in the ledger.
func TestRestoreLost(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	draft := filepath.Join(h.dir, "config", "policy.cedar")
	if err := os.WriteFile(draft, []byte("// a draft\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, m := h.backedUp("one.tar")
	h.set("op://dev/late/key", "written after the backup")
	h.lose()
	if err := os.Remove(draft); err != nil {
		t.Fatal(err)
	}
	if s := h.status(); s.State != "held" || !strings.Contains(s.Held, "the database is empty") {
		t.Errorf("%+v", s)
	}
	wantCode(t, h.putBack(path, "unlock"), 3)
	wantCode(t, h.putBack(path, "presence"), 0)
	if s := h.status(); s.State != "locked" || s.Statements != m.Statements+1 {
		t.Errorf("%+v\n%+v", s, m)
	}
	h.unlock()
	if s := h.status(); s.Items != 1 || s.Vaults != 2 {
		t.Errorf("%+v", s)
	}
	if !h.uses("op://dev/api/key", canary) || h.uses("op://dev/late/key", "written after the backup") {
		t.Error("the values are not those of the backup")
	}
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
	wantSaid(t, h.person("audit", "list", "--format", "json"), "a backup put back: from")
	h.set("op://dev/late/key", "again")
	if b, err := os.ReadFile(draft); err != nil || string(b) != "// a draft\n" {
		t.Errorf("%q, %v", b, err)
	}
	export := h.file("export")
	h.ok("audit", "export", "-o", export)
	wantSaid(t, h.person("audit", "verify", "--export", export, "--root", h.status().Root), "everything agrees")
	// A second time is no restore: the home is newer now.
	r := h.putBack(path, "presence")
	wantCode(t, r, 1)
	wantSaid(t, r, "newer than the backup")
	if !h.uses("op://dev/late/key", "again") {
		t.Error("the refused restore did harm")
	}
}

// A backup goes over an older state of the same home, and over no newer one.
func TestRestoreOver(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", "the first")
	h.halt()
	old := h.snapshot("data")
	h.set2("op://dev/api/key", "the second")
	path, _ := h.backedUp("two.tar")
	h.halt()
	h.put(old)
	if s := h.status(); s.State != "held" {
		t.Fatalf("%+v", s)
	}
	wantCode(t, h.putBack(path, "presence"), 0)
	h.unlock()
	if !h.uses("op://dev/api/key", "the second") {
		t.Error("not the newer value")
	}
	beside := filepath.Join(h.dir, "data", "replaced.db")
	if _, err := os.Stat(beside); err != nil {
		t.Error(err)
	}
	// An erased value may be in it still, and that is said.
	wantCode(t, h.decided("item", "delete", "--yes", "api", "--vault", "dev"), 0)
	wantSaid(t, h.decided("item", "purge", "--yes", "api", "--vault", "dev"), "erased", beside)

	// A home that was accepted as old and went on is no older state any more.
	h.halt()
	h.put(old)
	h.ok("restore", "--yes", "--passphrase-file", h.file("presence"))
	h.unlock()
	r := h.putBack(path, "presence")
	wantCode(t, r, 1)
	if !strings.Contains(r.Err, "went another way") && !strings.Contains(r.Err, "newer than") {
		t.Errorf("%v", r)
	}
	if s := h.status(); s.State != "unlocked" {
		t.Errorf("%+v", s)
	}
}

// set2 unlocks first: the daemon was stopped.
func (h *home) set2(ref, value string) { h.t.Helper(); h.unlock(); h.set(ref, value) }

// What is not this home's backup, whole, is not put back, and harms nothing.
func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	h, other := founded(t), founded(t)
	h.set("op://dev/api/key", canary)
	mine, _ := h.backedUp("mine.tar")
	theirs, _ := other.backedUp("theirs.tar")
	b, err := os.ReadFile(mine)
	if err != nil {
		t.Fatal(err)
	}
	cut := h.write("cut.tar", string(b[:len(b)/2]))
	bit := h.write("bit.tar", string(flip(b)))
	check := func(state string) {
		t.Helper()
		for _, tt := range []struct{ path, said string }{
			{theirs, "another"}, {cut, "not a whole one"}, {bit, "not the one that the manifest names"}, {h.file("unlock"), "not a Thumbturn backup"}, {h.file("no"), "no such file"},
		} {
			r := h.putBack(tt.path, "presence")
			if r.Code == 0 {
				t.Errorf("%s: %v", tt.path, r)
			}
			wantSaid(t, r, tt.said)
		}
		if s := h.status(); s.State != state {
			t.Errorf("%s: %+v", state, s)
		}
		if left, _ := filepath.Glob(filepath.Join(h.dir, "data", ".copy-*")); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	check("unlocked")
	h.set("op://dev/api/more", "still written")
	h.lose()
	check("held")
	wantCode(t, bare(t).putBack(mine, "presence"), 3) // a new device has no share
}

// The digests of a manifest are no defence; the ledger inside is.
func TestRestoreForged(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	path, m := h.backedUp("one.tar")
	h.lose()
	dir := t.TempDir()
	forge := func(name string, spoil func(*sql.DB)) string {
		t.Helper()
		db := filepath.Join(dir, name+".db")
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = archive.Read(f, func(p archive.Part, r io.Reader) error {
			if p.Name != archive.Database {
				return nil
			}
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			return os.WriteFile(db, b, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		d, err := sql.Open("sqlite", db)
		if err != nil {
			t.Fatal(err)
		}
		spoil(d)
		if _, err := d.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(db)
		if err != nil {
			t.Fatal(err)
		}
		part, _ := archive.Sum(archive.Database, bytes.NewReader(b))
		n := m
		n.Parts = []archive.Part{part}
		var out bytes.Buffer
		if err := archive.Write(&out, n, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }); err != nil {
			t.Fatal(err)
		}
		return h.write(name+".tar", out.String())
	}
	for name, spoil := range map[string]func(*sql.DB){
		"a value": func(db *sql.DB) {
			exec1(t, db, "UPDATE blob SET bytes = ? WHERE kind = 2", flip(column(t, db, "SELECT bytes FROM blob WHERE kind = 2")))
		},
		"a leaf": func(db *sql.DB) {
			exec1(t, db, "UPDATE event SET leaf = ? WHERE n = 1", flip(column(t, db, "SELECT leaf FROM event WHERE n = 1")))
		},
		"a statement": func(db *sql.DB) {
			exec1(t, db, "UPDATE statement SET body = ? WHERE n = 1", flip(column(t, db, "SELECT body FROM statement WHERE n = 1")))
		},
		"the head": func(db *sql.DB) {
			exec1(t, db, "UPDATE head SET note = ?", flip(column(t, db, "SELECT note FROM head")))
		},
	} {
		if r := h.putBack(forge(name, spoil), "presence"); r.Code == 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	wantCode(t, h.putBack(forge("nothing", func(*sql.DB) {}), "presence"), 0) // the test's own ground
	h.unlock()
	if !h.uses("op://dev/api/key", canary) {
		t.Error("not put back")
	}
}

// Passphrases that were replaced do not come back with a backup.
func TestRestoreOldPassphrases(t *testing.T) {
	t.Parallel()
	h := founded(t)
	path, _ := h.backedUp("one.tar")
	h.write("new", "a new unlock passphrase of some length\n")
	h.ok("passphrase", "change", "--passphrase-file", h.file("unlock"), "--presence-passphrase-file", h.file("presence"), "--new-passphrase-file", h.file("new"))
	h.lose()
	r := h.putBack(path, "presence")
	wantCode(t, r, 3)
	wantSaid(t, r, "must not come back")
}

// beside reads the home's database while the daemon runs.
func (h *home) beside(do func(*sql.DB)) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "data", "thumbturn.db")+"?mode=ro")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	do(db)
}

// decided is approved for commands with subcommands.
func (h *home) decided(args ...string) result {
	h.t.Helper()
	r := h.person(append(args, "--no-wait")...)
	wantCode(h.t, r, 5)
	id := strings.TrimSpace(r.Out)
	h.approve(id)
	return h.person(append(args, "--request", id)...)
}

// A purged item's ciphertext is in no file of the home, all else is, and the
// ledger verifies here and elsewhere.
func TestPurge(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/gone/key", "the first value")
	h.set("op://dev/gone/key", "the second value")
	h.set("op://dev/stays/key", canary)
	records := func() (all [][]byte) {
		h.beside(func(db *sql.DB) {
			rows, err := db.Query("SELECT bytes FROM blob WHERE kind = 2 ORDER BY id")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var b []byte
				if err := rows.Scan(&b); err != nil {
					t.Fatal(err)
				}
				all = append(all, b)
			}
		})
		return all
	}
	all := records()
	if len(all) != 3 {
		t.Fatalf("%d records", len(all))
	}
	// holds looks for any piece of the erased: pages cut a record anywhere.
	holds := func() string {
		for name, b := range h.snapshot("data") {
			for _, x := range all[:2] {
				for at := 3; at+48 <= len(x); at += 48 {
					if bytes.Contains(b, x[at:at+48]) {
						return name
					}
				}
			}
		}
		return ""
	}
	if holds() == "" {
		t.Fatal("the test looks in the wrong place")
	}
	wantCode(t, h.person("item", "purge", "--yes", "gone", "--vault", "dev"), 1) // it is not deleted
	wantCode(t, h.decided("item", "delete", "--yes", "gone", "--vault", "dev"), 0)
	wantCode(t, h.agent("item", "purge", "--yes", "--no-wait", "gone", "--vault", "dev"), 3)
	r := h.decided("item", "purge", "--yes", "gone", "--vault", "dev")
	wantCode(t, r, 0)
	wantSaid(t, r, "erased")
	if n := len(records()); n != 1 {
		t.Errorf("%d records are left", n)
	}
	if name := holds(); name != "" {
		t.Errorf("%s holds a piece of an erased record", name)
	}
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
	if !h.uses("op://dev/stays/key", canary) {
		t.Error("another item was harmed")
	}
	export := h.file("export")
	h.ok("audit", "export", "-o", export)
	wantSaid(t, h.person("audit", "verify", "--export", export, "--root", h.status().Root), "everything agrees")
	h.halt()
	if name := holds(); name != "" {
		t.Errorf("after the end %s holds a piece of an erased record", name)
	}
	h.unlock()
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
	h.backedUp("after.tar")
	again := h.decided("item", "purge", "--yes", "gone", "--vault", "dev") // does no harm
	wantCode(t, again, 0)
	if strings.Contains(again.Out, "replaced.db") {
		t.Errorf("it names what is not there: %v", again)
	}
}

// An export reveals: a person approves it, for each vault, and an agent gets
// nothing.
func TestExport(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	h.set("op://prod/api/key", canary+" of prod")
	many := []string{"item", "create", "--vault", "dev", "--title", "many"}
	for i := range 150 { // more than one request asks for
		many = append(many, fmt.Sprintf("key%d=%s %d", i, canary, i))
	}
	h.ok(many...)
	out := h.file("out.json")
	wantCode(t, h.agent("export", "--yes", "--plain", "--to", out), 3)
	if _, err := os.Stat(out); err == nil {
		t.Fatal("an agent has an export")
	}
	end := h.sh.start(command{Argv: []string{program("thumbturn"), "export", "--yes", "--plain", "--to", out}})
	for range 2 { // dev, whose second request comes in the ten minutes of the first, and prod
		h.approve(h.pending())
	}
	r := h.heard(<-end)
	wantCode(t, r, 0)
	b, err := os.ReadFile(out)
	if err != nil || bytes.Count(b, []byte(canary)) != 152 || !bytes.Contains(b, []byte(canary+" of prod")) || strings.Contains(r.String(), canary) {
		t.Errorf("%s, %v\n%v", b, err, r)
	}
	if fi, err := os.Stat(out); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
	list := h.ok("audit", "list", "--type", "intent", "--format", "json")
	if strings.Count(list, "op://dev/api/key") == 0 || strings.Count(list, "op://prod/api/key") == 0 {
		t.Errorf("not on record:\n%s", list)
	}
}

// The process is gone after the files were swapped and before the pin was set:
// the home is held, and can be accepted.
func TestRestoreCutShort(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	path, _ := h.backedUp("one.tar")
	h.set("op://dev/late/key", "written after the backup")
	h.lose()
	pin, err := os.ReadFile(filepath.Join(h.dir, "device", "pin"))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.putBack(path, "presence"), 0)
	h.halt()
	if err := os.WriteFile(filepath.Join(h.dir, "device", "pin"), pin, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := h.status(); s.State != "held" {
		t.Errorf("%+v", s)
	}
	h.ok("restore", "--yes", "--passphrase-file", h.file("presence"))
	h.unlock()
	if !h.uses("op://dev/api/key", canary) {
		t.Error("not put back")
	}
}

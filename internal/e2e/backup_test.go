//go:build linux

package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
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
	var secret struct{ Share, Sign_seed, Kem_seed []byte }
	if err := json.Unmarshal(keys, &secret); err != nil || len(secret.Share) != 32 {
		t.Fatalf("%v", err)
	}
	for name, x := range map[string][]byte{"the value": []byte(canary), "the share": secret.Share, "the signing key": secret.Sign_seed,
		"the sealing key": secret.Kem_seed, "the keys": keys, "the unlock passphrase": []byte(unlockPhrase)} {
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

//go:build linux

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// A vault moves to another computer: two files and one passphrase, and nothing of
// it stays usable where it was. What may go wrong in between leaves either the old
// home or the new one, and a way on.
func TestDeviceMove(t *testing.T) {
	t.Parallel()
	old, fresh := founded(t), bare(t)
	old.set("op://dev/api/key", canary)
	card, vault := fresh.file("new.json"), fresh.file("vault.tar")

	var shown struct{ Device, Code string }
	if err := json.Unmarshal([]byte(fresh.ok("device", "show", "--out", card, "--format", "json")), &shown); err != nil || len(shown.Code) != 24 {
		t.Fatalf("%+v, %v", shown, err)
	}
	r := old.person("device", "move", "--to", old.write("junk", "{}"), "--out", vault, "--yes", "--passphrase-file", old.file("presence"))
	wantCode(t, r, 2)
	wantSaid(t, r, "not the public half of a device", "device show --out FILE")
	r = old.person("device", "move", "--to", card, "--out", filepath.Join(old.dir, "nowhere", "x"), "--yes", "--passphrase-file", old.file("presence"))
	if r.Code == 0 || old.status().State != "unlocked" {
		t.Fatalf("a file that cannot be written: %v, %s", r, old.status().State)
	}
	wantCode(t, old.person("device", "move", "--again", "--out", vault), 2)
	r = old.person("device", "move", "--to", card, "--out", vault, "--yes", "--passphrase-file", old.file("presence"))
	wantCode(t, r, 0)
	if s := old.status(); s.State != "held" || !strings.Contains(s.Held, shown.Device) || !strings.Contains(s.Held, shown.Code) {
		t.Errorf("%+v", s)
	}
	r = old.person("item", "list")
	if r.Code == 0 {
		t.Error("it still writes")
	}
	wantSaid(t, r, "has moved to device", "--cancel")
	old.stop()
	old.ok("device", "move", "--again", "--out", vault, "--force")

	wantSaid(t, old.person("restore", "--from", vault, "--yes"), "moved to another computer", "device accept")
	wantSaid(t, fresh.person("device", "accept", vault, "--yes"), "the vault is here")
	wantCode(t, fresh.person("device", "accept", vault, "--yes"), 1)
	fresh.unlock()
	if !fresh.uses("op://dev/api/key", canary) {
		t.Error("the value is not used")
	}
	wantSaid(t, fresh.person("audit", "verify"), "everything agrees")
	export := fresh.file("export")
	fresh.ok("audit", "export", "-o", export)
	root := fresh.status().Root
	wantSaid(t, fresh.person("audit", "verify", "--export", export, "--root", root), fresh.status().Device)
	wantSaid(t, fresh.person("audit", "verify", "--approvals", "--root", root), "everything agrees")

	// Nobody at the other end: the move is taken back, and this one goes on.
	wantCode(t, old.person("device", "move", "--cancel", "--yes", "--passphrase-file", old.file("unlock")), 3)
	old.ok("device", "move", "--cancel", "--yes", "--passphrase-file", old.file("presence"))
	old.unlock()
	if !old.uses("op://dev/api/key", canary) {
		t.Error("the value is not used where it was")
	}
	wantSaid(t, old.person("audit", "verify"), "everything agrees")
}

// The lost computer: its backup and the recovery code are enough on a new one.
func TestRecoverOnNewComputer(t *testing.T) {
	t.Parallel()
	lost, fresh := founded(t), bare(t)
	lost.set("op://dev/api/key", canary)
	path, _ := lost.backedUp("one.tar")
	fresh.write("new1", "a new unlock passphrase of some length\n")
	fresh.write("new2", "a new presence passphrase of some length\n")
	args := func(code string) []string {
		return []string{"recover", "--from", path, "--test-home", "--code-file", code, "--passphrase-file", fresh.file("new1"),
			"--presence-passphrase-file", fresh.file("new2"), "--recovery-file", fresh.file("next")}
	}
	r := fresh.person("restore", "--from", path, "--yes", "--passphrase-file", lost.file("presence"))
	if r.Code == 0 {
		t.Fatal("restored without the device")
	}
	wantSaid(t, r, "recover --from FILE")
	r = fresh.person(args(lost.file("recovery"))...)
	wantCode(t, r, 0)
	fresh.ok("unlock", "--passphrase-file", fresh.file("new1"))
	if !fresh.uses("op://dev/api/key", canary) {
		t.Error("the value is not used")
	}
	wantSaid(t, fresh.person("audit", "verify"), "everything agrees")
	wantSaid(t, fresh.person("audit", "verify", "--approvals"), "everything agrees")
	if list := fresh.ok("audit", "list", "--format", "json"); !strings.Contains(list, "recovered from device") || !strings.Contains(list, `"init"`) {
		t.Errorf("the ledger does not go on:\n%s", list)
	}
	wantCode(t, fresh.person(args(fresh.file("next"))...), 1) // it has an account now
}

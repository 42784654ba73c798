//go:build linux

package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A job without a terminal, in a session of its own, uses its grant twice
// without a prompt; with another argument, in another directory, or as another
// program it waits for a person; and no row of the database brings a revoked
// grant back.
func TestGrantedJob(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/db/password", canary)
	dir := filepath.Join(filepath.Dir(h.dir), "job")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	job := filepath.Join(dir, "backup.sh")
	script := func(text string) {
		t.Helper()
		if err := os.WriteFile(job, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const text = `printf '%s' "$PASSWORD" | wc -c; echo "$1" >>ran` + "\n"
	script(text)
	cron := func(dir string, args ...string) result {
		t.Helper()
		return h.do(command{Argv: append([]string{program("thumbturn"), "run", "--no-wait", "--"}, args...), Dir: dir, Setsid: true,
			Env: []string{"PASSWORD=op://dev/db/password"}})
	}
	create := []string{"create", "--name", "nightly", "--until", "30d", "--uses", "3", "--dir", dir, "--ref", "op://dev/db/password", "--", job, "--full"}
	grant := func(run func(...string) result, more ...string) result {
		return run(append(append([]string{"grant", create[0]}, more...), create[1:]...)...)
	}

	wantCode(t, cron(dir, job, "--full"), 5)
	if r := grant(h.agent); r.Code != 3 {
		t.Errorf("an agent makes a grant: %v", r)
	}
	r := grant(h.person, "--no-wait")
	wantCode(t, r, 5)
	id := strings.TrimSpace(r.Out)
	h.approve(id)
	r = grant(h.person, "--request", id)
	wantCode(t, r, 0)
	wantSaid(t, r, "nightly", "op://dev/db/password", job)

	for range 2 {
		r := cron(dir, job, "--full")
		wantCode(t, r, 0)
		if want := strings.TrimSpace(r.Out); want != "29" || strings.Contains(r.Err, "waiting") {
			t.Errorf("the job: %v", r)
		}
	}
	wantCode(t, cron(dir, job, "--all"), 5)
	wantCode(t, cron("/", job, "--full"), 5)
	wantCode(t, cron(dir, "/bin/sh", job, "--full"), 5)
	wantCode(t, h.do(command{Argv: []string{program("thumbturn"), "read", "op://dev/db/password"}, Setsid: true}), 3)
	script(text + "# changed\n")
	wantCode(t, cron(dir, job, "--full"), 5)
	script(text)
	if b, _ := os.ReadFile(filepath.Join(dir, "ran")); string(b) != "--full\n--full\n" {
		t.Errorf("what ran: %q", b)
	}

	h.halt() // the third use is counted across a start
	h.unlock()
	wantCode(t, cron(dir, job, "--full"), 0)
	r = cron(dir, job, "--full")
	wantCode(t, r, 3)
	wantSaid(t, r, "used up")
	r = h.agent("grant", "list")
	wantSaid(t, r, "nightly")
	if strings.Contains(r.Out, job) {
		t.Errorf("an agent sees what a grant pins: %v", r)
	}
	wantCode(t, h.agent("grant", "revoke", "nightly"), 0)
	wantCode(t, cron(dir, job, "--full"), 5)
	h.ok("audit", "verify")
	wantSaid(t, h.person("audit", "verify", "--approvals"), "presence-passphrase")
	h.ok("audit", "export", "-o", h.file("export"))
	h.ok("audit", "verify", "--export", h.file("export"), "--root", h.status().Root)

	const made = `CAST(body AS TEXT) LIKE '{"type":"grant"%"version":1,%' AND sig IS NOT NULL`
	h.halt()
	h.database(func(db *sql.DB) {
		exec1(t, db, `INSERT INTO statement SELECT n+2, link, body, sig FROM statement WHERE `+made)
	})
	h.unlock()
	wantCode(t, cron(dir, job, "--full"), 5) // a row beyond the head is nothing
	h.halt()
	h.database(func(db *sql.DB) {
		exec1(t, db, `DELETE FROM statement WHERE n = (SELECT max(n) FROM statement)`)
		exec1(t, db, `UPDATE statement SET (body, sig) = (SELECT body, sig FROM statement WHERE `+made+`) WHERE n = (SELECT max(n) FROM statement)`)
	})
	if r := h.person("unlock", "--passphrase-file", h.file("unlock")); r.Code == 0 || h.status().State != "held" {
		t.Errorf("a copied row in place of the end passes: %v", r)
	}
	if r := cron(dir, job, "--full"); r.Code == 0 || strings.Contains(r.Out, "29") {
		t.Errorf("a copied row revives the grant: %v", r)
	}
}

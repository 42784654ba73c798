//go:build linux

package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// snapshot is the content of a home's files; the folders stay, since a home
// knows its inode.
type snapshot map[string][]byte

func (h *home) snapshot(dirs ...string) snapshot {
	h.t.Helper()
	s := snapshot{}
	for _, d := range dirs {
		list, err := os.ReadDir(filepath.Join(h.dir, d))
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range list {
			p := filepath.Join(d, e.Name())
			if s[p], err = os.ReadFile(filepath.Join(h.dir, p)); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return s
}

func (h *home) put(s snapshot) {
	h.t.Helper()
	dirs := map[string]bool{}
	for p := range s {
		dirs[filepath.Dir(p)] = true
	}
	for d := range dirs {
		list, _ := os.ReadDir(filepath.Join(h.dir, d))
		for _, e := range list {
			if _, ok := s[filepath.Join(d, e.Name())]; !ok {
				_ = os.Remove(filepath.Join(h.dir, d, e.Name()))
			}
		}
	}
	for p, b := range s {
		if err := os.WriteFile(filepath.Join(h.dir, p), b, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
}

// halt stops the daemon and waits for its end.
func (h *home) halt() {
	h.t.Helper()
	pid := h.pid()
	h.ok("daemon", "stop")
	if pid != 0 && !gone(pid, waitLong) {
		h.t.Fatal("the daemon does not stop")
	}
}

// database opens the home's database beside the product.
func (h *home) database(do func(*sql.DB)) {
	h.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "data", "thumbturn.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	do(db)
	if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		h.t.Fatal(err)
	}
}

func exec1(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	r, err := db.Exec(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		t.Fatalf("%s: changed nothing", query)
	}
}

func column(t *testing.T, db *sql.DB, query string, args ...any) []byte {
	t.Helper()
	var b []byte
	if err := db.QueryRow(query, args...).Scan(&b); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return b
}

func flip(b []byte) []byte {
	c := bytes.Clone(b)
	c[len(c)/2] ^= 1
	return c
}

// insertSigned appends a statement with a given signature, as a thief could who
// has the database and no key.
func insertSigned(t *testing.T, db *sql.DB, s canon.Statement, sig []byte) {
	t.Helper()
	body := s.Body()
	var n int64
	if err := db.QueryRow("SELECT max(n) FROM statement").Scan(&n); err != nil {
		t.Fatal(err)
	}
	var prev canon.Hash
	copy(prev[:], column(t, db, "SELECT link FROM statement WHERE n = ?", n))
	link := canon.Link(prev, n+1, body, sig)
	exec1(t, db, "INSERT INTO statement (n, link, body, sig) VALUES (?, ?, ?, ?)", n+1, link[:], body, sig)
}

// last finds the newest statement of a type.
func last(t *testing.T, db *sql.DB, typ canon.Type) (n int64, s canon.Statement) {
	t.Helper()
	rows, err := db.Query("SELECT n, body FROM statement ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n = -1
	for rows.Next() {
		var at int64
		var body []byte
		if err := rows.Scan(&at, &body); err != nil {
			t.Fatal(err)
		}
		if x, err := canon.ParseStatement(body); err == nil && x.Type == typ {
			n, s = at, x
		}
	}
	if n < 0 {
		t.Fatalf("no statement of type %s", typ)
	}
	return n, s
}

// follow is what a next statement of the same subject looks like.
func follow(s canon.Statement, payload []byte) canon.Statement {
	next := s
	next.Version, next.Parent, next.Payload = s.Version+1, canon.HashBody(s.Body()), payload
	return next
}

// A thief of the database's file changes it; each change has a name, nothing is
// released, and the state is the right one.
func TestTampering(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", "an older value of the key")
	h.halt()
	old := h.snapshot("data")
	var oldHead []byte
	var oldCounts [2]int64
	h.database(func(db *sql.DB) {
		oldHead = column(t, db, "SELECT note FROM head")
		if err := db.QueryRow("SELECT statements, events FROM head").Scan(&oldCounts[0], &oldCounts[1]); err != nil {
			t.Fatal(err)
		}
	})
	h.unlock()
	h.set("op://dev/api/key", canary)
	h.set("op://dev/other/key", canary+"2")
	h.halt()
	good := h.snapshot("data", "device")
	foreign := founded(t)
	foreign.set("op://dev/api/key", "of another home")
	foreign.halt()
	const record = "kind = (SELECT min(kind) FROM blob WHERE item != '')"
	blobs := func(db *sql.DB) (kinds [][2]any) {
		rows, err := db.Query("SELECT id, kind FROM blob WHERE item != '' ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var id, kind int64
			if err := rows.Scan(&id, &kind); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, [2]any{id, kind})
		}
		return kinds
	}
	flipBlobs := func(kind func(k, lowest int64) bool) func(*testing.T, *sql.DB) {
		return func(t *testing.T, db *sql.DB) {
			all := blobs(db)
			lowest := all[0][1].(int64)
			for _, b := range all {
				lowest = min(lowest, b[1].(int64))
			}
			for _, b := range all {
				if kind(b[1].(int64), lowest) {
					exec1(t, db, "UPDATE blob SET bytes = ? WHERE id = ?", flip(column(t, db, "SELECT bytes FROM blob WHERE id = ?", b[0])), b[0])
				}
			}
		}
	}
	_, other, _ := ed25519.GenerateKey(nil)
	tests := []struct {
		name  string
		spoil func(*testing.T, *sql.DB)
		files func()
		said  string // by status, unlock, read or verify
		held  bool
	}{
		{"nothing", func(*testing.T, *sql.DB) {}, nil, "everything agrees", false},
		{"byte in a record", flipBlobs(func(k, lowest int64) bool { return k == lowest }), nil, "record is not the one|is not what|problem", false},
		{"byte in metadata", flipBlobs(func(k, lowest int64) bool { return k != lowest }), nil, "not the one|is not what|problem", false},
		{"byte in a statement", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "UPDATE statement SET body = ? WHERE n = 5", flip(column(t, db, "SELECT body FROM statement WHERE n = 5")))
		}, nil, "statement", true},
		{"byte in the genesis", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "UPDATE statement SET body = ? WHERE n = 0", flip(column(t, db, "SELECT body FROM statement WHERE n = 0")))
		}, nil, "statement", true},
		{"byte in an event", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "UPDATE event SET sealed = ? WHERE n = 1", flip(column(t, db, "SELECT sealed FROM event WHERE n = 1")))
		}, nil, "event", false},
		{"byte in a leaf", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "UPDATE event SET leaf = ? WHERE n = 1", flip(column(t, db, "SELECT leaf FROM event WHERE n = 1")))
		}, nil, "event", false},
		{"two records swapped", func(t *testing.T, db *sql.DB) {
			rows := blobs(db)
			a, b := rows[len(rows)-1][0], rows[len(rows)-3][0]
			x, y := column(t, db, "SELECT bytes FROM blob WHERE id = ?", a), column(t, db, "SELECT bytes FROM blob WHERE id = ?", b)
			exec1(t, db, "UPDATE blob SET bytes = ? WHERE id = ?", y, a)
			exec1(t, db, "UPDATE blob SET bytes = ? WHERE id = ?", x, b)
		}, nil, "not the one|is not what|problem", false},
		{"two statements swapped", func(t *testing.T, db *sql.DB) {
			x, y := column(t, db, "SELECT body FROM statement WHERE n = 5"), column(t, db, "SELECT body FROM statement WHERE n = 6")
			exec1(t, db, "UPDATE statement SET body = ? WHERE n = 5", y)
			exec1(t, db, "UPDATE statement SET body = ? WHERE n = 6", x)
		}, nil, "statement", true},
		{"old record in the place of the new", func(t *testing.T, db *sql.DB) {
			// the records of op://dev/api/key, old and new, in order of arrival
			rows, err := db.Query("SELECT id FROM blob WHERE " + record + " AND item = (SELECT item FROM blob WHERE item != '' ORDER BY id LIMIT 1) ORDER BY id")
			if err != nil {
				t.Fatal(err)
			}
			var ids []int64
			for rows.Next() {
				var id int64
				_ = rows.Scan(&id)
				ids = append(ids, id)
			}
			rows.Close()
			if len(ids) < 2 {
				t.Fatalf("%d records", len(ids))
			}
			exec1(t, db, "UPDATE blob SET bytes = ? WHERE id = ?", column(t, db, "SELECT bytes FROM blob WHERE id = ?", ids[0]), ids[len(ids)-1])
		}, nil, "not the one|is not what|problem", false},
		{"newest statement deleted", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "DELETE FROM statement WHERE n = (SELECT max(n) FROM statement)")
		}, nil, "statement", true},
		{"newest event deleted", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "DELETE FROM event WHERE n = (SELECT max(n) FROM event)")
		}, nil, "event", false},
		{"older head", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "UPDATE head SET note = ?, statements = ?, events = ?", oldHead, oldCounts[0], oldCounts[1])
		}, nil, "rolled back", true},
		{"older note", func(t *testing.T, db *sql.DB) {
			exec1(t, db, "UPDATE head SET note = ?", oldHead)
		}, nil, "head and its counts disagree", true},
		{"policy without signature, counted", func(t *testing.T, db *sql.DB) {
			_, s := last(t, db, canon.TypePolicy)
			insertSigned(t, db, follow(s, canon.Encode(canon.Policy{V: 1, Text: "permit (principal, action, resource);"})), []byte{})
			exec1(t, db, "UPDATE head SET statements = statements + 1")
		}, nil, "head and its counts disagree", true},
		{"roster signed by another key", func(t *testing.T, db *sql.DB) {
			_, s := last(t, db, canon.TypeRoster)
			f := follow(s, s.Payload)
			insertSigned(t, db, f, ed25519.Sign(other, canon.SigningBytes(f.Body())))
			exec1(t, db, "UPDATE head SET statements = statements + 1")
		}, nil, "head and its counts disagree", true},
		{"vault's public key replaced", func(t *testing.T, db *sql.DB) {
			n, s := last(t, db, canon.TypeVault)
			var v canon.Vault
			if err := canon.Decode(s.Payload, &v); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte("another key"))
			spoilt := bytes.Clone(v.Public)
			copy(spoilt, sum[:])
			v.Public = spoilt
			s.Payload = canon.Encode(v)
			exec1(t, db, "UPDATE statement SET body = ? WHERE n = ?", s.Body(), n)
		}, nil, "statement", true},
		{"whole database rolled back", nil, func() { h.put(old) }, "rolled back", true},
		{"database of another home", nil, func() { h.put(foreign.snapshot("data")) }, "not signed by this device", true},
		{"no database", nil, func() { h.put(snapshot{"data/x": nil}) }, "the database is empty", true},
		{"pin replaced by zeros", nil, func() {
			h.put(snapshot{"device/pin": make([]byte, 8192), "device/keys": good["device/keys"], "device/device.pub": good["device/device.pub"]})
		}, "pin", false},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			h.halt()
			h.put(good)
			if tt.files != nil {
				tt.files()
			} else {
				h.database(func(db *sql.DB) { tt.spoil(t, db) })
			}
			status := h.person("status")
			unlock := h.person("unlock", "--passphrase-file", h.file("unlock"))
			set := h.do(command{Argv: []string{program("thumbturn"), "item", "list"}})
			read := h.person("read", "--no-wait", "op://dev/api/key")
			if read.Code == 5 {
				h.approve(strings.TrimSpace(read.Out))
				read = h.person("read", "--request", strings.TrimSpace(read.Out), "op://dev/api/key")
			}
			held := strings.Contains(h.person("status").Out, "held")
			verify := h.person("audit", "verify")
			all := status.String() + unlock.String() + set.String() + read.String() + verify.String()
			found := false
			for _, s := range strings.Split(tt.said, "|") {
				found = found || strings.Contains(all, s)
			}
			if !found {
				t.Errorf("%q is not said:\n%s", tt.said, all)
			}
			if held != tt.held {
				t.Errorf("held %v, want %v:\n%s", held, tt.held, all)
			}
			if tt.name == "nothing" {
				if verify.Code != 0 || !strings.Contains(read.Out, canary) {
					t.Errorf("the test's own ground: %s", all)
				}
				return
			}
			if verify.Code == 0 {
				t.Errorf("verify found nothing:\n%s", all)
			}
			if strings.Contains(all, "an older value") {
				t.Errorf("an old value was released:\n%s", all)
			}
			// A harm to the record of events leaves the values sound.
			if strings.Contains(all, canary) && !strings.Contains(tt.name, "event") && !strings.Contains(tt.name, "leaf") {
				t.Errorf("released:\n%s", all)
			}
		})
	}
}

// A statement that lies beyond the signed head is none: it changes nothing, and
// does not stand in the way of the next one.
func TestStatementBeyondHead(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	h.halt()
	h.database(func(db *sql.DB) {
		_, s := last(t, db, canon.TypePolicy)
		insertSigned(t, db, follow(s, canon.Encode(canon.Policy{V: 1, Text: "@id(\"x\") @ask(\"none\") permit (principal, action, resource);"})), []byte{})
	})
	h.unlock()
	if r := h.agent("read", "--no-wait", "op://dev/api/key"); r.Code != 3 || strings.Contains(r.String(), canary) {
		t.Errorf("the policy counts: %v", r)
	}
	verify := h.person("audit", "verify")
	r := h.do(command{Argv: []string{program("thumbturn"), "set", "op://dev/other/key"}, Stdin: []byte("x")})
	if r.Code != 0 || verify.Code == 0 && !strings.Contains(verify.Out, "everything agrees") {
		t.Errorf("a row beyond the head is not noticed by verify (%d), and then no write succeeds: %v", verify.Code, r)
	}
}

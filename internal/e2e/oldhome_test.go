//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Each release leaves a home of its own in testdata/homes/<version>, made by
//
//	go test ./internal/e2e -run TestOldHomes -update
//
// What is there is never made again: it is what users have.
var update = flag.Bool("update", false, "add a home of this release to testdata/homes")

// oldSecrets lie beside the folders of an old home.
var oldSecrets = []string{"unlock", "presence", "recovery"}

// keyFile is device/keys (spec/record.md §10), in the order of its members.
type keyFile struct {
	V     int             `json:"v"`
	ID    string          `json:"id"`
	Share []byte          `json:"share"`
	Sign  []byte          `json:"sign_seed"`
	KEM   []byte          `json:"kem_seed"`
	Home  json.RawMessage `json:"home"`
}

// bindTo says in a device's keys which data folder they belong to: a home that
// was copied is refused, and this one was copied on purpose.
func bindTo(t *testing.T, keys []byte, path string, inode uint64) []byte {
	t.Helper()
	var k keyFile
	d := json.NewDecoder(bytes.NewReader(keys))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		t.Fatal(err)
	}
	var err error
	k.Home, err = json.Marshal(struct {
		Path  string `json:"path"`
		Dev   uint64 `json:"dev"`
		Inode uint64 `json:"inode"`
	}{path, 0, inode})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// copyFiles copies the plain files of a folder.
func copyFiles(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), b, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// generate makes a home of this release: every kind of thing that a later one
// must still read.
func generate(t *testing.T, to string) {
	h := founded(t)
	h.set("op://dev/api/key", "the first value")
	h.set("op://dev/api/key", "a value of old")
	h.set("op://prod/api/key", "a value of old, of prod")
	h.set("op://dev/large/key", strings.Repeat("large ", 12_000))
	h.set("op://dev/gone/key", "a deleted value")
	h.ok("item", "create", "--vault", "dev", "--title", "site", "--url", "https://example.com", "--tags", "a,b", "username=ada")
	wantCode(t, h.agent("set", "op://dev/api/key"), 2) // an empty value
	r := h.do(command{Argv: []string{program("thumbturn"), "set", "op://dev/api/key"}, Stdin: []byte("a proposal"), Setsid: true})
	wantCode(t, r, 0)
	r = h.person("item", "delete", "--yes", "--no-wait", "gone", "--vault", "dev")
	wantCode(t, r, 5)
	id := strings.TrimSpace(r.Out)
	h.approve(id)
	h.ok("item", "delete", "--yes", "--request", id, "gone", "--vault", "dev")
	h.halt()
	for _, d := range []string{"data", "device"} {
		copyFiles(t, filepath.Join(h.dir, d), filepath.Join(to, d), 0o600)
	}
	keys := filepath.Join(to, "device", "keys")
	b, err := os.ReadFile(keys)
	if err == nil {
		err = os.WriteFile(keys, bindTo(t, b, "/home/of/somebody/data", 0), 0o600)
	}
	for _, name := range oldSecrets {
		if err == nil {
			b, err = os.ReadFile(h.file(name))
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Homes of all releases so far open, verify and give their values.
func TestOldHomes(t *testing.T) {
	homes := filepath.Join("testdata", "homes")
	if *update {
		version := strings.TrimSpace(bare(t).ok("version"))
		to := filepath.Join(homes, version)
		if _, err := os.Stat(to); err == nil {
			t.Fatalf("there is a home of %s already, and it must stay as it was released", version)
		}
		generate(t, to)
	}
	list, err := os.ReadDir(homes)
	if err != nil || len(list) == 0 {
		t.Fatalf("no home of any release: %v", err)
	}
	for _, e := range list {
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			old(t, filepath.Join(homes, e.Name()))
		})
	}
}

func old(t *testing.T, from string) {
	h := bare(t)
	for _, d := range []string{"data", "device"} {
		copyFiles(t, filepath.Join(from, d), filepath.Join(h.dir, d), 0o600)
	}
	copyFiles(t, from, filepath.Dir(h.dir), 0o600)
	data, err := filepath.EvalSymlinks(filepath.Join(h.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(data, &st); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(h.dir, "device", "keys")
	b, err := os.ReadFile(keys)
	if err == nil {
		err = os.WriteFile(keys, bindTo(t, b, data, st.Ino), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := h.status(); s.State != "locked" || !s.TestHome {
		t.Fatalf("%+v", s)
	}
	h.unlock()
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
	export := h.file("export")
	h.ok("audit", "export", "-o", export)
	wantSaid(t, h.person("audit", "verify", "--export", export, "--root", h.status().Root), "everything agrees")
	if !h.uses("op://dev/api/key", "a value of old") || !h.uses("op://dev/large/key", strings.Repeat("large ", 12_000)) {
		t.Error("a value of a standard vault is not what it was")
	}
	r := h.approved(h.person, "read", "op://prod/api/key")
	if r.Code != 0 || strings.TrimSpace(r.Out) != "a value of old, of prod" {
		t.Errorf("%v", r)
	}
	wantSaid(t, h.person("item", "get", "site", "--vault", "dev"), "https://example.com", "ada", "a, b")
	wantSaid(t, h.person("item", "get", "api", "--vault", "dev"), "a proposed value waits")
	h.set("op://dev/new/key", "written today")
	h.write("new1", "a new unlock passphrase of some length\n")
	h.write("new2", "a new presence passphrase of some length\n")
	h.ok("recover", "--test-home", "--code-file", h.file("recovery"), "--passphrase-file", h.file("new1"),
		"--presence-passphrase-file", h.file("new2"), "--recovery-file", h.file("next"))
	if !h.uses("op://dev/new/key", "written today") {
		t.Error("a new value is not used")
	}
	wantSaid(t, h.person("audit", "verify"), "everything agrees")
}

//go:build unix

package device

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, k fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v (%s), want %s with %q", err, fault.KindOf(err), k, text)
	}
}

func seeded(b byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{b}) }

// create makes a home with a device; the directories are siblings.
func create(t testing.TB) (d *Device, dir, data string) {
	t.Helper()
	root := t.TempDir()
	dir, data = filepath.Join(root, "device"), filepath.Join(root, "data")
	must(t, os.Mkdir(data, 0o700))
	d, err := Create(dir, data, seeded(1))
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d, dir, data
}

func reopen(t testing.TB, dir, data string) *Device {
	t.Helper()
	d, err := Open(dir, data)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func share(t testing.TB, d *Device) []byte {
	t.Helper()
	var out []byte
	must(t, d.LendShare(func(b []byte) error { out = bytes.Clone(b); return nil }))
	return out
}

func TestCreateAndOpen(t *testing.T) {
	d, dir, data := create(t)
	for name, mode := range map[string]fs.FileMode{".": 0o700 | fs.ModeDir, "keys": 0o600, "pin": 0o600, "device.pub": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if !canon.IsID(d.ID()) || len(d.ID()) != 26 || len(share(t, d)) != 32 {
		t.Errorf("id %q", d.ID())
	}
	if !ed25519.Verify(d.Public(), []byte("m"), d.Sign([]byte("m"))) {
		t.Error("signature does not verify")
	}
	if _, err := hpke.MLKEM768X25519().NewPublicKey(d.KEMPublic()); err != nil {
		t.Error(err)
	}
	again := reopen(t, dir, data)
	if again.ID() != d.ID() || !again.Public().Equal(d.Public()) || !bytes.Equal(again.KEMPublic(), d.KEMPublic()) ||
		!bytes.Equal(share(t, again), share(t, d)) {
		t.Error("opened another device than was created")
	}
	if p, err := again.Pin(); err != nil || p != (Pin{}) {
		t.Errorf("first pin %v, %v", p, err)
	}
	var pub struct {
		V   int
		ID  string
		Key []byte `json:"device_key"`
		KEM []byte `json:"device_kem"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "device.pub"))
	must(t, err)
	must(t, json.Unmarshal(b, &pub))
	if pub.V != 1 || pub.ID != d.ID() || !bytes.Equal(pub.Key, d.Public()) || !bytes.Equal(pub.KEM, d.KEMPublic()) {
		t.Errorf("device.pub %s", b)
	}
	// What callers get is theirs.
	d.Public()[0] ^= 1
	d.KEMPublic()[0] ^= 1
	must(t, d.LendShare(func(b []byte) error { clear(b); return nil }))
	if !again.Public().Equal(d.Public()) || !bytes.Equal(again.KEMPublic(), d.KEMPublic()) || !bytes.Equal(share(t, again), share(t, d)) {
		t.Error("a caller changed the device")
	}
	_, err = Create(dir, data, seeded(2))
	wantKind(t, err, fault.Exists, "this home has a device")
}

// TestCreateCutShort: what Create writes before the keys does not hinder another
// Create; a pin that has seen a ledger does.
func TestCreateCutShort(t *testing.T) {
	_, dir, data := create(t)
	keys := filepath.Join(dir, "keys")
	must(t, os.Remove(keys))
	_, err := Open(dir, data)
	wantKind(t, err, fault.Empty, "no device")
	must(t, os.WriteFile(filepath.Join(dir, ".keys.1.tmp"), []byte("half"), 0o600))
	d, err := Create(dir, data, seeded(2))
	must(t, err)
	must(t, d.SetPin(Pin{Statements: 1}, true))
	must(t, d.Close())
	must(t, os.Remove(keys))
	_, err = Create(dir, data, seeded(3))
	wantKind(t, err, fault.Exists, "pin")
	_, err = Create(filepath.Join(t.TempDir(), "x"), filepath.Join(data, "none"), seeded(3))
	wantKind(t, err, fault.Unavailable, "no such file")
	_, err = Create(filepath.Join(t.TempDir(), "x"), data, strings.NewReader("too little"))
	wantKind(t, err, fault.Unavailable, "no randomness")
}

func TestMovedHome(t *testing.T) {
	d, dir, data := create(t)
	must(t, d.Close())
	root := filepath.Dir(dir)
	moved := func(dir, data string) {
		t.Helper()
		_, err := Open(dir, data)
		wantKind(t, err, fault.Denied, "this home was copied or moved")
		if e, _ := errors.AsType[*fault.Error](err); !strings.Contains(e.Hint, root) {
			t.Errorf("hint %q does not say where it belongs", e.Hint)
		}
	}
	clone := filepath.Join(t.TempDir(), "clone")
	must(t, os.CopyFS(clone, os.DirFS(root)))
	must(t, os.Chmod(filepath.Join(clone, "device"), 0o700))
	for _, name := range []string{"keys", "pin", "device.pub"} {
		must(t, os.Chmod(filepath.Join(clone, "device", name), 0o600))
	}
	moved(filepath.Join(clone, "device"), filepath.Join(clone, "data"))
	// The same inode under another name.
	must(t, os.Rename(data, data+"2"))
	moved(dir, data+"2")
	// Another inode under the same name.
	must(t, os.Mkdir(data, 0o700))
	moved(dir, data)
	must(t, os.Remove(data))
	_, err := Open(dir, data)
	wantKind(t, err, fault.Unavailable, "no such file")
	must(t, os.Rename(data+"2", data))
	reopen(t, dir, data)
	// Another way to the same directory is no move.
	link := filepath.Join(root, "link")
	must(t, os.Symlink(data, link))
	reopen(t, dir, link)
	t.Chdir(root)
	reopen(t, "device", "data")
	// A volume that has another number after a reboot is no move either.
	rewrite(t, dir, func(k *keyFile) { k.Home.Dev++ })
	reopen(t, dir, data)
}

func rewrite(t *testing.T, dir string, change func(*keyFile)) {
	t.Helper()
	k, err := readKeys(dir)
	must(t, err)
	change(k)
	must(t, k.write(dir))
}

func TestLooseFiles(t *testing.T) {
	d, dir, data := create(t)
	must(t, d.Close())
	for _, name := range []string{"", "keys", "pin", "device.pub"} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		must(t, err)
		must(t, os.Chmod(path, info.Mode().Perm()|0o040))
		_, err = Open(dir, data)
		wantKind(t, err, fault.Denied, "is open to others")
		want := fmt.Sprintf("run: chmod %o %s", info.Mode().Perm(), path)
		if e, _ := errors.AsType[*fault.Error](err); filepath.Clean(e.Hint) != filepath.Clean(want) || filepath.Clean(e.Ref) != filepath.Clean(path) {
			t.Errorf("%s: ref %q, hint %q", name, e.Ref, e.Hint)
		}
		must(t, os.Chmod(path, info.Mode().Perm()))
	}
	reopen(t, dir, data)
}

func TestPublicFile(t *testing.T) {
	_, dir, data := create(t)
	path := filepath.Join(dir, "device.pub")
	want, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Remove(path))
	reopen(t, dir, data)
	if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
		t.Errorf("device.pub is %q", got)
	}
	must(t, os.WriteFile(path, append(want, ' '), 0o600))
	_, err = Open(dir, data)
	wantKind(t, err, fault.Tampered, "public keys")
}

func TestKeysStrict(t *testing.T) {
	_, dir, data := create(t)
	path := filepath.Join(dir, "keys")
	good, err := os.ReadFile(path)
	must(t, err)
	s := string(good)
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, bad := range map[string]string{
		"empty":          "",
		"cut":            s[:len(s)/2],
		"behind":         s + "{}",
		"space":          " " + s,
		"no newline":     strings.TrimSuffix(s, "\n"),
		"unknown member": strings.Replace(s, `{"v":1,`, `{"v":1,"x":1,`, 1),
		"twice":          strings.Replace(s, `{"v":1,`, `{"v":1,"v":1,`, 1),
		"other case":     strings.Replace(s, `"v":`, `"V":`, 1),
		"version":        strings.Replace(s, `"v":1`, `"v":2`, 1),
		"id":             strings.Replace(s, `"id":"`, `"id":"i`, 1),
		"short share":    strings.Replace(s, `"sign_seed"`, `"next_share":"`+b64(31)+`","sign_seed"`, 1),
		"empty next":     strings.Replace(s, `"sign_seed"`, `"next_share":"","sign_seed"`, 1),
		"null":           "null\n",
		"relative home":  strings.Replace(s, `"path":"/`, `"path":"`, 1),
		"large":          s + strings.Repeat(" ", maxKeys),
	} {
		if bad == s {
			t.Fatalf("%s changes nothing", name)
		}
		must(t, os.WriteFile(path, []byte(bad), 0o600))
		d, err := Open(dir, data)
		if d != nil || !fault.Is(err, fault.Tampered) && name != "large" {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.WriteFile(path, good, 0o600))
	reopen(t, dir, data)
}

func FuzzParseKeys(f *testing.F) {
	k, err := newKeys(home{Path: "/home/x/data", Dev: 1, Inode: 2}, seeded(1))
	must(f, err)
	b, err := k.encode()
	must(f, err)
	f.Add(b)
	k.Next = make([]byte, secret)
	b, err = k.encode()
	must(f, err)
	f.Add(b)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := parseKeys(in)
		if err != nil {
			return
		}
		if out, err := k.encode(); err != nil || !bytes.Equal(out, in) {
			t.Errorf("accepted another spelling: %q", in)
		}
	})
}

// TestNothingPrints formats, encodes and walks a Device, and looks for its
// secrets in every common spelling.
func TestNothingPrints(t *testing.T) {
	d, dir, _ := create(t)
	r, _, err := d.NextShare(seeded(9))
	must(t, err)
	must(t, r.Prepare())
	k, err := readKeys(dir)
	must(t, err)
	secrets := [][]byte{k.Share, k.Next, k.Sign, k.KEM}
	look := func(where, text string) {
		t.Helper()
		for i, s := range secrets {
			for _, form := range []string{string(s[:8]), hex.EncodeToString(s[:8]), strings.ToUpper(hex.EncodeToString(s[:8])),
				base64.StdEncoding.EncodeToString(s[:9]), strings.Trim(fmt.Sprint(s[:8]), "[]"), strings.Trim(fmt.Sprintf("%#v", s[:8]), "[]byte{}")} {
				if strings.Contains(text, form) {
					t.Errorf("%s shows secret %d", where, i)
				}
			}
		}
	}
	for _, v := range []any{d, *d, r, *r, d.pins, []any{d}, map[string]any{"d": d}} {
		for c := byte('A'); c <= 'z'; c++ {
			for _, flag := range []string{"", "+", "#", " ", "0"} {
				look("%"+flag+string(c), fmt.Sprintf("%"+flag+string(c), v))
			}
		}
		b, _ := json.Marshal(v)
		look("json", string(b))
		var buf bytes.Buffer
		_ = gob.NewEncoder(&buf).Encode(v)
		look("gob", buf.String())
	}
	seen := map[uintptr]bool{}
	for _, v := range []any{d, r} {
		walk(reflect.ValueOf(v), seen, func(b []byte) { look("reflect", string(b)) })
	}
	if len(seen) == 0 {
		t.Error("the walk saw nothing")
	}
}

// walk visits every run of bytes that reflection reaches, unexported fields too.
func walk(v reflect.Value, seen map[uintptr]bool, visit func([]byte)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		walk(v.Elem(), seen, visit)
	case reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), seen, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), seen, visit)
		}
	case reflect.String:
		visit([]byte(v.String()))
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			var b []byte
			for i := range v.Len() {
				b = append(b, byte(v.Index(i).Uint()))
			}
			visit(b)
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), seen, visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walk(v.MapIndex(key), seen, visit)
		}
	}
}

func TestRotateShare(t *testing.T) {
	d, dir, data := create(t)
	old := share(t, d)
	must(t, d.RotateShare(seeded(5)))
	now := share(t, d)
	if bytes.Equal(old, now) || !bytes.Equal(now, share(t, reopen(t, dir, data))) {
		t.Error("the share was not replaced, or not on the disk")
	}
	b, err := os.ReadFile(filepath.Join(dir, "keys"))
	must(t, err)
	if bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(old))) || bytes.Contains(b, []byte("next_share")) {
		t.Error("the old share is still on the disk")
	}
	wantKind(t, d.RotateShare(strings.NewReader("short")), fault.Unavailable, "no randomness")
	if !bytes.Equal(now, share(t, d)) {
		t.Error("a failed rotation changed the share")
	}
}

// opens is a slot that only one share opens.
func opens(want []byte, calls *int) func([]byte) error {
	return func(b []byte) error {
		*calls++
		if !bytes.Equal(b, want) {
			return fault.New(fault.Passphrase, "unlock", "", "wrong passphrase")
		}
		return nil
	}
}

// TestRotationAcrossCrash stops a rotation at each step and opens the device
// anew, with the database before and after its commit.
func TestRotationAcrossCrash(t *testing.T) {
	for _, step := range []string{"lent", "prepared", "committed"} {
		for _, slotsNew := range []bool{false, true} {
			d, dir, data := create(t)
			old := share(t, d)
			r, lend, err := d.NextShare(seeded(7))
			must(t, err)
			var next []byte
			must(t, lend(func(b []byte) error { next = bytes.Clone(b); return nil }))
			if !bytes.Equal(share(t, d), old) || bytes.Equal(next, old) {
				t.Fatal("the share changed before its time")
			}
			if step != "lent" {
				must(t, r.Prepare())
				if !bytes.Equal(share(t, d), old) {
					t.Fatal("the share changed before its time")
				}
			}
			if step == "committed" {
				must(t, r.Commit())
				wantKind(t, r.Commit(), fault.Conflict, "replaced")
				wantKind(t, r.Prepare(), fault.Conflict, "replaced")
			}
			must(t, d.Close())

			d = reopen(t, dir, data)
			want := old
			if slotsNew {
				want = next
			}
			calls := 0
			err = d.LendShare(opens(want, &calls))
			// The order Prepare, database, Commit leaves these; the others must fail.
			if ok := step == "prepared" || slotsNew == (step == "committed"); ok != (err == nil) {
				t.Errorf("%s, new slots %v: %v", step, slotsNew, err)
			}
			if err == nil && !bytes.Equal(share(t, reopen(t, dir, data)), want) {
				t.Errorf("%s, new slots %v: the share that opened is not the first on the disk", step, slotsNew)
			}
			if step == "prepared" && slotsNew {
				b, _ := os.ReadFile(filepath.Join(dir, "keys"))
				if calls != 2 || bytes.Contains(b, []byte("next_share")) {
					t.Errorf("%d calls; the dead share is still there", calls)
				}
			}
		}
	}
}

// TestWrongPassphraseWithTwoShares: an answer that opens neither changes nothing,
// and other errors do not lead to a second try.
func TestWrongPassphraseWithTwoShares(t *testing.T) {
	d, dir, _ := create(t)
	r, _, err := d.NextShare(seeded(7))
	must(t, err)
	must(t, r.Prepare())
	before, _ := os.ReadFile(filepath.Join(dir, "keys"))
	calls := 0
	wantKind(t, d.LendShare(opens(nil, &calls)), fault.Passphrase, "wrong")
	boom, others := errors.New("boom"), 0
	if err := d.LendShare(func([]byte) error { others++; return boom }); err != boom || calls != 2 || others != 1 {
		t.Errorf("%v after %d and %d calls", err, calls, others)
	}
	after, _ := os.ReadFile(filepath.Join(dir, "keys"))
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Error("the keys changed")
	}
}

func TestClosed(t *testing.T) {
	d, _, _ := create(t)
	r, _, err := d.NextShare(seeded(7))
	must(t, err)
	must(t, d.Close())
	lent := false
	wantKind(t, d.LendShare(func([]byte) error { lent = true; return nil }), fault.Unavailable, "closed")
	wantKind(t, d.RotateShare(seeded(7)), fault.Unavailable, "closed")
	wantKind(t, r.Commit(), fault.Conflict, "replaced")
	if lent {
		t.Error("a share was lent after Close")
	}
}

func TestNewID(t *testing.T) {
	id, err := canon.NewID(bytes.NewReader(make([]byte, 16)))
	if err != nil || id != strings.Repeat("0", 26) {
		t.Errorf("%q, %v", id, err)
	}
	for _, bad := range []string{"", "0", strings.Repeat("0", 27), strings.Repeat("z", 26), strings.Repeat("O", 26), strings.Repeat("0", 25) + "\n"} {
		if canon.IsID(bad) {
			t.Errorf("%q is an id", bad)
		}
	}
}

// A data directory that was made anew at its old place, and is empty, is taken;
// every other one is refused and leaves the binding as it is.
func TestRehome(t *testing.T) {
	d, dir, data := create(t)
	must(t, d.Close())
	wantKind(t, Rehome(filepath.Join(dir, "none"), data), fault.Unavailable, "no such file")
	must(t, os.Rename(data, data+".old"))
	must(t, os.Mkdir(data, 0o700))
	file := filepath.Join(data, "thumbturn.db")
	must(t, os.WriteFile(file, nil, 0o600))
	wantKind(t, Rehome(dir, data), fault.Denied, "not the empty place")
	must(t, os.Mkdir(data+".else", 0o700))
	wantKind(t, Rehome(dir, data+".else"), fault.Denied, "not the empty place")
	_, err := Open(dir, data)
	wantKind(t, err, fault.Denied, "this home was copied or moved")
	must(t, os.Remove(file))
	must(t, Rehome(dir, data))
	again, err := Open(dir, data)
	must(t, err)
	if again.ID() != d.ID() {
		t.Error("another device")
	}
	must(t, again.Close())
	_, err = Open(dir, data+".old")
	wantKind(t, err, fault.Denied, "this home was copied or moved")
}

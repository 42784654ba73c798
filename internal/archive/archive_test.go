package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// pack writes a backup of parts in the order of names.
func pack(t interface{ Fatal(...any) }, parts map[string][]byte, names ...string) (Manifest, []byte) {
	m := Manifest{V: Version, Account: "a", Device: "d", Head: "h", Time: 1}
	for _, n := range names {
		p, err := Sum(n, bytes.NewReader(parts[n]))
		if err != nil {
			t.Fatal(err)
		}
		m.Parts = append(m.Parts, p)
	}
	var b bytes.Buffer
	err := Write(&b, m, func(name string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(parts[name])), nil })
	if err != nil {
		t.Fatal(err)
	}
	return m, b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := map[string][]byte{
			Database:                rapid.SliceOf(rapid.Byte()).Draw(t, "database"),
			Config + "policy.cedar": rapid.SliceOf(rapid.Byte()).Draw(t, "policy"),
		}
		m, b := pack(t, parts, Database, Config+"policy.cedar")
		got := map[string][]byte{}
		back, err := Read(bytes.NewReader(b), func(p Part, r io.Reader) error {
			c, err := io.ReadAll(r)
			got[p.Name] = c
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatal(diff)
		}
		for n := range parts {
			if !bytes.Equal(parts[n], got[n]) {
				t.Fatalf("%s differs", n)
			}
		}
		if _, again := pack(t, parts, Database, Config+"policy.cedar"); !bytes.Equal(b, again) {
			t.Fatal("equal parts give other bytes")
		}
	})
}

// A cut file, and one with a bit changed anywhere that means something, are
// refused.
func TestDamage(t *testing.T) {
	_, b := pack(t, map[string][]byte{Database: bytes.Repeat([]byte("x"), 1500), Config + "p": []byte("y")}, Database, Config+"p")
	at := bytes.Index(b, bytes.Repeat([]byte("x"), 1500))
	for n := 0; n < len(b)-1024-512; n += 97 { // what comes last is padding
		if _, err := Read(bytes.NewReader(b[:n]), nil); !fault.Is(err, fault.Tampered) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	// What a taker makes of a file that ends early does not hide that it does.
	_, err := Read(bytes.NewReader(b[:at+700]), func(p Part, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return fault.Wrap(fault.Unavailable, "take", p.Name, err)
	})
	if !fault.Is(err, fault.Tampered) {
		t.Errorf("cut under a taker: %v", err)
	}
	for _, i := range []int{at, at + 700, at + 1499, bytes.Index(b, []byte(`"size"`)) + 7} {
		c := bytes.Clone(b)
		c[i] ^= 1
		if _, err := Read(bytes.NewReader(c), nil); !fault.Is(err, fault.Tampered) {
			t.Errorf("changed at %d: %v", i, err)
		}
	}
}

func TestRefused(t *testing.T) {
	sum := strings.Repeat("0", 64)
	good := Part{Name: Database, SHA256: sum}
	for name, m := range map[string]Manifest{
		"no parts":         {V: 1},
		"no database":      {V: 1, Parts: []Part{{Name: Config + "x", SHA256: sum}}},
		"out of its place": {V: 1, Parts: []Part{good, {Name: Config + "../device/keys", SHA256: sum}}},
		"absolute":         {V: 1, Parts: []Part{good, {Name: "/etc/passwd", SHA256: sum}}},
		"hidden":           {V: 1, Parts: []Part{good, {Name: Config + ".profile", SHA256: sum}}},
		"a folder deeper":  {V: 1, Parts: []Part{good, {Name: Config + "a/b", SHA256: sum}}},
		"device":           {V: 1, Parts: []Part{good, {Name: "device/keys", SHA256: sum}}},
		"twice":            {V: 1, Parts: []Part{good, {Name: Config + "a", SHA256: sum}, {Name: Config + "a", SHA256: sum}}},
		"negative":         {V: 1, Parts: []Part{{Name: Database, Size: -1, SHA256: sum}}},
		"short digest":     {V: 1, Parts: []Part{{Name: Database, SHA256: "00"}}},
		"huge":             {V: 1, Parts: []Part{good, {Name: Config + "a", Size: 1 << 30, SHA256: sum}}},
	} {
		if err := m.check(); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s: %v", name, err)
		}
		b, _ := json.Marshal(m)
		if _, err := Read(bytes.NewReader(rawTar(t, b)), nil); !fault.Is(err, fault.Tampered) {
			t.Errorf("%s, read: %v", name, err)
		}
	}
	if _, err := Read(bytes.NewReader(rawTar(t, []byte(`{"v":2,"more":1}`))), nil); !fault.Is(err, fault.Protocol) {
		t.Errorf("a later form: %v", err)
	}
	if _, err := Read(bytes.NewReader(rawTar(t, []byte(`{"v":1,"more":1}`))), nil); !fault.Is(err, fault.Tampered) {
		t.Errorf("an unknown member: %v", err)
	}
	if _, err := Read(strings.NewReader("not a tar at all"), nil); !fault.Is(err, fault.Tampered) {
		t.Errorf("no tar: %v", err)
	}
}

// A file that changes while it is written does not become a backup.
func TestChangedMeanwhile(t *testing.T) {
	m, _ := pack(t, map[string][]byte{Database: []byte("before")}, Database)
	for _, now := range []string{"behind", "short"} {
		err := Write(io.Discard, m, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(now)), nil })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%q: %v", now, err)
		}
	}
}

// More than the manifest names is refused.
func TestExtra(t *testing.T) {
	m, _ := pack(t, map[string][]byte{Database: []byte("x")}, Database)
	b, _ := json.Marshal(m)
	if _, err := Read(bytes.NewReader(rawTar(t, b, Database, "x", Config+"y", "y")), nil); !fault.Is(err, fault.Tampered) {
		t.Error(err)
	}
	if _, err := Read(bytes.NewReader(rawTar(t, b, Database, "x")), nil); err != nil {
		t.Error(err)
	}
}

// rawTar makes a tar of a manifest and pairs of name and content.
func rawTar(t *testing.T, manifest []byte, rest ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := put(w, manifestName, int64(len(manifest)), bytes.NewReader(manifest))
	for i := 0; i+1 < len(rest) && err == nil; i += 2 {
		err = put(w, rest[i], int64(len(rest[i+1])), strings.NewReader(rest[i+1]))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzRead(f *testing.F) {
	_, b := pack(f, map[string][]byte{Database: []byte("x")}, Database)
	f.Add(b)
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(bytes.NewReader(b), nil)
		if err == nil && m.check() != nil {
			t.Fatal("a manifest that does not hold was read")
		}
	})
}

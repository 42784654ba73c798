//go:build unix

package device

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestBlobs(t *testing.T) {
	d, dir, data := create(t)
	one, err := canon.NewID(seeded(1))
	must(t, err)
	two, err := canon.NewID(seeded(2))
	must(t, err)
	has := func(slot, want string) {
		t.Helper()
		if b, err := d.Blob(slot); err != nil || string(b) != want || want == "" && b != nil {
			t.Errorf("%s: %q, %v", slot, b, err)
		}
	}
	has(one, "")
	must(t, d.KeepBlob(""))
	must(t, d.SetBlob(one, []byte("first")))
	must(t, d.SetBlob(two, []byte("second")))
	has(one, "first")
	has(two, "second")
	must(t, d.Close())
	d, err = Open(dir, data) // nothing there is in the way of the device
	must(t, err)
	must(t, d.KeepBlob(two))
	has(one, "")
	has(two, "second")
	for _, name := range []string{keysName, pubName, pinName} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "../keys", strings.Repeat("1", 25)} {
		if _, err := d.Blob(bad); !fault.Is(err, fault.Internal) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := d.SetBlob(bad, nil); err == nil {
			t.Errorf("%q is written", bad)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, blobPrefix+one), bytes.Repeat([]byte{1}, maxBlob+1), 0o600))
	if _, err := d.Blob(one); err == nil {
		t.Error("a file of any length is read")
	}
	must(t, d.KeepBlob(""))
	has(two, "")
}

package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/cli/audit"
)

// An export is read through the watcher, whole, and checked all the same.
func TestVerifyOfflineIsWatched(t *testing.T) {
	const root = "875cf0dec756a6e2b60f2b4bf9ad0bcc8ebaa7e0daa1a59ee03789800b543b96"
	path := filepath.Join("..", "..", "spec", "vectors", "ledger", "ok.jsonl")
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, watched := range []bool{true, false} {
		var out, seen bytes.Buffer
		c := audit.Check{Export: path, Root: root}
		if watched {
			c.Watch = func(r io.Reader, size int64) io.Reader {
				if size != fi.Size() {
					t.Errorf("a size of %d, want %d", size, fi.Size())
				}
				return io.TeeReader(r, &seen)
			}
		}
		if err := verifyOffline(t.Context(), c, &out); err != nil || !strings.Contains(out.String(), "everything agrees") {
			t.Errorf("%q, %v", out.String(), err)
		}
		if watched && int64(seen.Len()) != fi.Size() {
			t.Errorf("the watcher saw %d bytes of %d", seen.Len(), fi.Size())
		}
	}
}

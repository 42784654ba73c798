package console

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestAttached(t *testing.T) {
	dir := t.TempDir()
	sized := func(name string, n int64) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(p, n); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := Attached{}
	defer a.Close()
	for _, n := range []int64{0, 1, api.MaxValue} {
		if b, err := a.Add("f", sized("short", n)); err != nil || b == nil || int64(len(b)) != n {
			t.Errorf("%d bytes: %d, %v", n, len(b), err)
		}
	}
	if len(a) != 0 {
		t.Errorf("%d files are open", len(a))
	}
	for field, n := range map[string]int64{"one": api.MaxValue + 1, "most": api.MaxStream} {
		if b, err := a.Add(field, sized(field, n)); err != nil || b != nil {
			t.Errorf("%d bytes: %d, %v", n, len(b), err)
		}
	}
	if _, err := a.Add("f", sized("over", api.MaxStream+1)); !fault.Is(err, fault.Usage) {
		t.Errorf("over the limit: %v", err)
	}
	for _, name := range []string{dir, filepath.Join(dir, "none"), os.DevNull} {
		if _, err := a.Add("f", name); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long, err := a.Long(&Console{Getenv: func(string) string { return "" }}, []string{"one"})
	if err != nil || len(long) != 1 || long[0].Size != api.MaxValue+1 {
		t.Fatalf("%v, %v", long, err)
	}
	if n, err := io.Copy(io.Discard, long[0].From); err != nil || n != api.MaxValue+1 {
		t.Errorf("%d bytes: %v", n, err)
	}
}

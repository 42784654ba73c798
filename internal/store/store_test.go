package store

import (
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestParseHash(t *testing.T) {
	h := Sum([]byte("x"))
	if got, err := ParseHash(h.String()); err != nil || got != h {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "00", h.String() + "00", strings.ToUpper(h.String()), h.String()[:63] + "g", h.String()[:63]} {
		if got, err := ParseHash(s); !fault.Is(err, fault.Usage) || got != (Hash{}) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(Sum(nil).String())
	f.Add(strings.Repeat("0", 64))
	f.Add(strings.Repeat("F", 64))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := ParseHash(s); err == nil && h.String() != s {
			t.Errorf("%q has a second spelling %q", h, s)
		}
	})
}

// TestCheckZero says what the zero batch is: nothing to write to an empty store.
// The suite in storetest goes through what Check refuses.
func TestCheckZero(t *testing.T) {
	if err := new(Batch).Check(); err != nil {
		t.Error(err)
	}
	if err := (&Batch{Blobs: make([]Blob, 1)}).Check(); !fault.Is(err, fault.Internal) {
		t.Errorf("the zero blob: %v", err)
	}
}

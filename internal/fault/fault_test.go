package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestStrangerLearnsNoCause(t *testing.T) {
	cause := errors.New("open /home/ann/secret: permission denied")
	for _, err := range []error{cause, Wrap(Internal, "read", "x", cause), fmt.Errorf("deep: %w", Wrap(Internal, "read", "", cause))} {
		s := Stranger(err)
		if strings.Contains(s.Error()+s.Hint, "ann") || s.Kind != Internal {
			t.Errorf("a stranger reads %q", s)
		}
	}
	kept := Stranger(New(Denied, "read", "op://v/i/f", "no").WithHint("ask"))
	if kept.Kind != Denied || kept.Hint != "ask" || kept.Ref == "" {
		t.Errorf("a stranger reads %+v", kept)
	}
}

func TestKindsAndExitCodes(t *testing.T) {
	if KindOf(errors.New("x")) != Internal || KindOf(nil) != Internal || Is(nil, Internal) {
		t.Error("an unclassified error is internal, and no error is none")
	}
	for k, want := range map[Kind]int{Internal: 1, Usage: 2, Denied: 3, Passphrase: 3, Locked: 4, Pending: 5, NotFound: 1, Tampered: 1, Held: 1} {
		if got := ExitCode(fmt.Errorf("w: %w", New(k, "op", "", ""))); got != want {
			t.Errorf("%q exits %d, want %d", k, got, want)
		}
	}
	if ExitCode(nil) != 0 {
		t.Error("success exits 0")
	}
}

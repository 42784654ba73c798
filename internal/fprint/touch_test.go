//go:build linux || darwin

package fprint

import (
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Whatever LocalAuthentication says, none of its numbers lets anybody in, and what it
// has in common with fprintd is said in the same words.
func TestTouched(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]error{
		laFailed: mismatch(), laUserCancel: gaveUp(), laUserFallback: gaveUp(), laSystemCancel: gaveUp(), laAppCancel: gaveUp(),
		laInvalidContext: gaveUp(), laNoPasscode: noReader(), laNotAvailable: noReader(), laNotPaired: noReader(),
		laDisconnected: unplugged(), laNotInteractive: noScreen(), 0: failed(""), 1: failed(""), -999: failed(""),
	} {
		if got := touched(code); got == nil || got.Error() != want.Error() {
			t.Errorf("%d: %v, want %v", code, got, want)
		}
	}
	for code, said := range map[int]string{laNotEnrolled: "no finger is enrolled", laLockout: "locked after too many wrong fingers"} {
		if got := touched(code); !fault.Is(got, fault.Denied) || !strings.Contains(got.Error(), said) {
			t.Errorf("%d: %v, want %q", code, got, said)
		}
	}
	for code := -1100; code <= 100; code++ {
		if touched(code) == nil {
			t.Errorf("%d is a yes", code)
		}
	}
	if err := foreign(); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

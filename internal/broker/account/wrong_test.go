//go:build unix

package account_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Every wrong passphrase costs the whole derivation, and from the first on each
// try waits before it is looked at, longer each time; a right one makes it good.
func TestWrongPassphraseIsSlowed(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	var slept []time.Duration
	h.reopen(account.Options{Sleep: func(d time.Duration) { slept = append(slept, d) }})
	unlock := func(pass string) error { return h.acc.Unlock(context.Background(), h.who, "file", []byte(pass)) }
	wrong := func() {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := unlock("not the unlock passphrase"); !fault.Is(err, fault.Passphrase) {
			t.Fatalf("a wrong passphrase: %v", err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n < 64<<20 {
			t.Errorf("a wrong passphrase took %d bytes of memory, which is no Argon2id of 64 MiB", n)
		}
	}
	for range 8 { // locked
		wrong()
	}
	const ms = time.Millisecond
	want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 8000 * ms}
	if diff := cmp.Diff(want, slept); diff != "" {
		t.Errorf("the waits: %s", diff)
	}
	right := func() {
		t.Helper()
		if err := unlock(unlockPass); err != nil && !fault.Is(err, fault.Denied) { // a session without a leader here cannot be marked
			t.Fatal(err)
		}
	}
	right() // it waits too
	slept = nil
	right()
	wrong() // unlocked
	wrong()
	if diff := cmp.Diff(want[:1], slept); diff != "" {
		t.Errorf("the waits after a right one: %s", diff)
	}
}

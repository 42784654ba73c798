package slot

import (
	"crypto/rand"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/broker/internal/arena"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// ways is a maker, with a place for its slots and a device's share.
func ways(t *testing.T, free func()) (*Maker, Place, Lend) {
	t.Helper()
	a, err := arena.New(fault.New(fault.Locked, "test", "", "forgotten"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewMaker(rand.Reader, a, free)
	if err != nil {
		t.Fatal(err)
	}
	return k, Place{Account: newID(t), Device: newID(t)}, func(use func([]byte) error) error { return use(make([]byte, 32)) }
}

// What stretching a passphrase took goes back whatever comes of it, once each time;
// where nothing was stretched, there is nothing to give.
func TestFreedEachTime(t *testing.T) {
	n := 0
	k, at, share := ways(t, func() { n++ })
	var freed []int
	did := func(err error, want bool) {
		t.Helper()
		if (err == nil) != want {
			t.Errorf("after %v: %v", freed, err)
		}
		freed, n = append(freed, n), 0
	}
	s, err := k.New(Way{Kind: canon.SlotUnlock}, "session", []byte("right"), share, at)
	did(err, true)
	h, err := Header(s)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]bool{"right": true, "wrong": false} {
		_, forget, err := k.Open(s, h, []byte(secret), share, at, 1)
		did(err, want)
		if err == nil {
			forget()
		}
		same, err := k.Matches(s, h, []byte(secret), share)
		did(err, true)
		if same != want {
			t.Errorf("%s: %v", secret, same)
		}
	}
	_, err = k.New(Way{Kind: canon.SlotRecovery}, "recovery", []byte("random"), nil, at)
	did(err, true)
	if d := cmp.Diff([]int{1, 1, 1, 1, 1, 0}, freed); d != "" {
		t.Error(d)
	}
}

// As it is really done, the system has the memory back, zeroed, when a slot is open.
func TestMemoryGivenBack(t *testing.T) {
	k, at, share := ways(t, nil)
	held := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapSys - m.HeapReleased)
	}
	debug.FreeOSMemory()
	before := held()
	for range 2 {
		if _, err := k.New(Way{Kind: canon.SlotUnlock}, "session", []byte("right"), share, at); err != nil {
			t.Fatal(err)
		}
		if more := held() - before; more > 16<<20 {
			t.Errorf("%d MiB of 64 were kept", more>>20)
		}
	}
}

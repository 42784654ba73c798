package pace

import (
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// A lock does not wait for whoever guesses, and lets none of the guesses through.
func TestHurry(t *testing.T) {
	var p Pace
	wrong := func() error { return fault.New(fault.Passphrase, "test", "", "wrong") }
	for range 3 {
		if err := p.Check(wrong); !fault.Is(err, fault.Passphrase) {
			t.Fatal(err)
		}
	}
	p.wrong = 20 // eight seconds
	began, ended := time.Now(), make(chan error)
	go func() {
		ended <- p.Check(func() error { t.Error("a guess was looked at while a lock waited"); return nil })
	}()
	time.Sleep(10 * time.Millisecond)
	done := p.Hurry()
	if err := <-ended; !fault.Is(err, fault.Locked) {
		t.Errorf("the guess: %v", err)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("a lock waited for %v", d)
	}
	done()
	p.Sleep = func(d time.Duration) {
		if d != 8*time.Second {
			t.Errorf("the hurry forgave: %v", d)
		}
	}
	if err := p.Check(func() error { return nil }); err != nil {
		t.Error(err)
	}
	p.Sleep = func(time.Duration) { t.Error("a right one did not make it good") }
	_ = p.Check(wrong)
}

// Package pace makes whoever guesses passphrases wait, and nobody else.
package pace

import (
	"sync/atomic"
	"time"

	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Pace counts wrong passphrases in a row. Its checks come one at a time: the
// caller sees to that.
type Pace struct {
	Sleep func(time.Duration) // nil is a real one, which Hurry cuts short

	wrong   int
	hurried atomic.Int32
}

// Check runs a check of a passphrase and makes the next one wait after a wrong
// one: a quarter of a second, doubled each time up to eight seconds.
func (p *Pace) Check(check func() error) error {
	if p.wrong > 0 {
		p.sleep(min(250*time.Millisecond<<min(p.wrong-1, 5), 8*time.Second))
		if p.hurried.Load() > 0 {
			return open.ErrLocked
		}
	}
	err := check()
	switch {
	case err == nil:
		p.wrong = 0
	case fault.Is(err, fault.Passphrase):
		p.wrong++
	}
	return err
}

// Hurry lets nobody wait, and checks nothing, until done is called: a lock comes,
// and whoever types must not hold it up until the machine sleeps.
func (p *Pace) Hurry() (done func()) {
	p.hurried.Add(1)
	return func() { p.hurried.Add(-1) }
}

func (p *Pace) sleep(d time.Duration) {
	if p.Sleep != nil {
		p.Sleep(d)
		return
	}
	const step = 50 * time.Millisecond
	for ; d > 0 && p.hurried.Load() == 0; d -= step {
		time.Sleep(min(d, step))
	}
}

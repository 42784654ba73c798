// Package latch is what falls into place at a lock. While the vaults are open
// deliveries pass it; it knows when the vaults were last used, by two clocks;
// and it shuts behind a delivery, never in front of one that is on its way.
package latch

import (
	"context"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
)

// Latch is open, and never due, until Begin says how long it may stay unused.
// Its methods may be called from any goroutine.
type Latch struct {
	Clock approve.Clock

	mu    sync.Mutex
	after time.Duration // 0: never
	wall  time.Time     // of the last use
	boot  time.Duration
	out   int           // deliveries on their way
	shut  int           // who holds it shut
	none  chan struct{} // closed when the last of out is through; nil if nobody waits
}

// Begin counts from now: the vaults were opened. Zero is never.
func (l *Latch) Begin(after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after = after
	l.mark()
}

func (l *Latch) mark() { l.wall, l.boot = l.Clock.Now(), l.Clock.SinceBoot() }

// Use notes a use. It comes too late when the latch is due already.
func (l *Latch) Use() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left() > 0 {
		l.mark()
	}
}

// left is what remains until the vaults have been unused for too long, on the
// clock that has less: one set back prolongs nothing, and what passes in suspend
// counts. Caller holds mu.
func (l *Latch) left() time.Duration {
	if l.after == 0 || l.out > 0 {
		return time.Hour // look again then
	}
	return min(l.after-l.Clock.Now().Sub(l.wall), l.after-(l.Clock.SinceBoot()-l.boot))
}

// Left is the time until the latch is due, unless it is used.
func (l *Latch) Left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left()
}

// After is how long the vaults may stay unused; zero is for ever.
func (l *Latch) After() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.after
}

// Out lets one delivery begin, and counts as a use; done ends it. It is refused
// while the latch is shut, or due.
func (l *Latch) Out() (done func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut > 0 || l.left() <= 0 {
		return nil, false
	}
	l.out++
	return l.through, true
}

func (l *Latch) through() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark()
	if l.out--; l.out == 0 && l.none != nil {
		close(l.none)
		l.none = nil
	}
}

// Shut lets no delivery begin any more, and waits until those on their way are
// through or ctx ends. The returned function opens it again: by then the keys
// are gone, and nothing else is.
func (l *Latch) Shut(ctx context.Context) (open func()) {
	l.mu.Lock()
	l.shut++
	if l.out > 0 && l.none == nil {
		l.none = make(chan struct{})
	}
	none := l.none
	l.mu.Unlock()
	if none != nil {
		select {
		case <-none:
		case <-ctx.Done():
		}
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.shut--
	}
}

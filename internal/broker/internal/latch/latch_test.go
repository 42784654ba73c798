package latch

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type hand struct {
	mu   sync.Mutex
	wall time.Time
	boot time.Duration
}

func (h *hand) Now() time.Time           { h.mu.Lock(); defer h.mu.Unlock(); return h.wall }
func (h *hand) SinceBoot() time.Duration { h.mu.Lock(); defer h.mu.Unlock(); return h.boot }
func (h *hand) move(wall, boot time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wall, h.boot = h.wall.Add(wall), h.boot+boot
}

func latch(after time.Duration) (*Latch, *hand) {
	h := &hand{wall: time.Unix(1e9, 0), boot: time.Hour}
	l := &Latch{Clock: h}
	l.Begin(after)
	return l, h
}

// The earlier of two clocks decides.
func TestDue(t *testing.T) {
	const m = time.Minute
	for name, c := range map[string]struct {
		after, wall, boot time.Duration
		due               bool
	}{
		"before its time":        {15 * m, 14 * m, 14 * m, false},
		"in time":                {15 * m, 15 * m, 15 * m, true},
		"clock set back":         {15 * m, -60 * m, 15 * m, true},
		"clock set back, early":  {15 * m, -60 * m, 14 * m, false},
		"clock set forward":      {15 * m, 15 * m, 0, true},
		"suspended":              {15 * m, 8 * 60 * m, 8 * 60 * m, true},
		"boot clock stood still": {15 * m, 8 * 60 * m, m, true},
		"never":                  {0, 9000 * m, 9000 * m, false},
	} {
		l, h := latch(c.after)
		h.move(c.wall, c.boot)
		if got := l.Left() <= 0; got != c.due {
			t.Errorf("%s: due %v, %v left", name, got, l.Left())
		}
		if _, ok := l.Out(); ok == c.due {
			t.Errorf("%s: a delivery began: %v", name, ok)
		}
	}
}

func TestUse(t *testing.T) {
	l, h := latch(time.Minute)
	h.move(59*time.Second, 59*time.Second)
	l.Use()
	h.move(59*time.Second, 59*time.Second)
	if l.Left() != time.Second {
		t.Errorf("a use did not begin it anew: %v left", l.Left())
	}
	h.move(time.Second, time.Second)
	l.Use()
	if l.Left() > 0 {
		t.Error("a use came too late and counted")
	}
	l.Begin(time.Minute)
	if l.Left() != time.Minute {
		t.Errorf("opened anew: %v left", l.Left())
	}
	done, ok := l.Out()
	h.move(time.Hour, time.Hour)
	if !ok || l.Left() <= 0 {
		t.Error("due in the middle of a delivery")
	}
	done()
	if l.Left() != time.Minute {
		t.Errorf("the end of a delivery is a use: %v left", l.Left())
	}
}

func TestShut(t *testing.T) {
	l, _ := latch(0)
	a, _ := l.Out()
	b, _ := l.Out()
	through := make(chan func())
	go func() { through <- l.Shut(context.Background()) }()
	for ok := true; ok; { // until it is shut
		var c func()
		if c, ok = l.Out(); ok {
			c()
		}
	}
	a()
	select {
	case <-through:
		t.Fatal("it did not wait for the second")
	case <-time.After(20 * time.Millisecond):
	}
	b()
	open := <-through
	if _, ok := l.Out(); ok {
		t.Error("shut, and a delivery began")
	}
	late, cancel := context.WithCancel(context.Background())
	cancel()
	other := l.Shut(late)
	open()
	if _, ok := l.Out(); ok {
		t.Error("shut twice, opened once, and a delivery began")
	}
	other()
	c, ok := l.Out()
	if !ok {
		t.Fatal("it stays shut")
	}
	defer c()
	l.Shut(late)() // does not wait for ever
}

// Whatever comes together: nothing is on its way when Shut has waited.
func TestRace(t *testing.T) {
	l, _ := latch(0)
	var on atomic.Int64
	var users, lockers sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if done, ok := l.Out(); ok {
					on.Add(1)
					l.Use()
					on.Add(-1)
					done()
				}
			}
		})
	}
	for range 4 {
		lockers.Go(func() {
			for range 500 {
				open := l.Shut(context.Background())
				if on.Load() != 0 {
					t.Error("a delivery was on its way behind the lock")
				}
				open()
			}
		})
	}
	lockers.Wait()
	close(stop)
	users.Wait()
}

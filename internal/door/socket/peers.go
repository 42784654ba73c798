package socket

import (
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/local"
)

// peers are the connections being served, and whether more are let in.
type peers struct {
	mu    sync.Mutex
	conns map[*local.Conn]bool
	quiet bool // nobody is let in any more
	done  bool
	wg    sync.WaitGroup
}

func (p *peers) track(c *local.Conn, in bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = map[*local.Conn]bool{}
	}
	if !in {
		delete(p.conns, c)
		p.wg.Done()
		return true
	}
	if p.done || p.quiet {
		return false
	}
	p.conns[c] = true
	p.wg.Add(1)
	return true
}

// Quiet lets nobody in any more. The deadline of a listener does not do that by
// itself: who comes after it, and before the goroutine that it wakes runs, is
// accepted all the same. Such a one is sent away unanswered, and dials again.
func (p *peers) Quiet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
}

func (p *peers) leaving() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet
}

// Shut lets every connection give the answer that it is about to give, cuts what
// is not done by then, and waits until all are served out.
func (p *peers) Shut() {
	p.each(func(c *local.Conn) {
		_ = c.SetReadDeadline(time.Now())
		_ = c.CloseRead()
	})
	served := make(chan struct{})
	go func() { p.wg.Wait(); close(served) }()
	select {
	case <-served:
	case <-time.After(parting):
		p.each(func(c *local.Conn) { _ = c.Close() })
		<-served
	}
}

// each does what ends a connection to all; nobody is let in any more.
func (p *peers) each(end func(*local.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	for c := range p.conns {
		end(c)
	}
}

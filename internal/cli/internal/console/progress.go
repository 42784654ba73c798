package console

import (
	"fmt"
	"io"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// What takes less than patience shows no progress; what is shown changes no
// more often than every refresh.
const (
	patience = time.Second
	refresh  = 100 * time.Millisecond
)

// Progress is one line on stderr that tells how far something long has come.
// It shows itself on terminals only, after a second; the zero Progress shows
// nothing. It is not for several goroutines at once.
type Progress struct {
	w     io.Writer // nil: shows nothing
	now   func() time.Time
	label string
	total int64 // 0: unknown
	began time.Time
	next  time.Time // no sooner than this
	done  int64
	shown bool
}

// Progress begins to tell about label; total is what Step counts up to, 0 where
// nobody knows. End it with Done before anything else is printed.
func (c *Console) Progress(label string, total int64) *Progress {
	p := &Progress{label: canon.Escape(label), total: total, now: c.Now}
	if c.ErrIsTerminal && c.Getenv("TERM") != "dumb" {
		p.w, p.began = c.Err, c.Now()
		p.next = p.began.Add(patience)
	}
	return p
}

// Step says that n more are done; 0 only lets time pass.
func (p *Progress) Step(n int64) {
	p.done += n
	if p.w == nil {
		return
	}
	now := p.now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(refresh), true
	fmt.Fprintf(p.w, "\r\x1b[K%s %s", p.label, p.state(now))
}

func (p *Progress) state(now time.Time) string {
	switch {
	case p.total > 0:
		return fmt.Sprintf("%d%%", 100*min(p.done, p.total)/p.total)
	case p.done > 0:
		return fmt.Sprint(p.done)
	}
	return fmt.Sprintf("%.0fs", now.Sub(p.began).Seconds())
}

// Done takes the line away.
func (p *Progress) Done() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.w, p.shown = nil, false
}

// Reader is r with what is read from it counted.
func (p *Progress) Reader(r io.Reader) io.Reader { return &counted{r, p} }

// Writer is w with what is written to it counted.
func (p *Progress) Writer(w io.Writer) io.Writer { return &written{w, p} }

type written struct {
	w io.Writer
	p *Progress
}

func (c *written) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.p.Step(int64(n))
	return n, err
}

type counted struct {
	r io.Reader
	p *Progress
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.p.Step(int64(n))
	return n, err
}

// Await runs f, which says nothing about how far it has come, and tells how
// long it takes. f must print nothing.
func (c *Console) Await(label string, f func() error) error {
	p := c.Progress(label, 0)
	if p.w == nil {
		return f()
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(patience / 2)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.Step(0)
			}
		}
	}()
	err := f()
	close(stop)
	<-ended
	p.Done()
	return err
}

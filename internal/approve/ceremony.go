package approve

import (
	"io"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Limits of the ceremonies that wait for a passkey.
const (
	ceremonyLife = 2 * time.Minute
	ceremonies   = 32 // at once
)

// Ceremony is a challenge that waits for a passkey's signature.
type Ceremony struct {
	ID        string
	Challenge canon.Hash
	Raw       []byte     // what the challenge is the digest of, for answers
	Plan      [][]string // compartments whose salts are evaluated, by touch
	For       any        // what it is for; its maker knows
	end       deadline
}

// Ceremonies are those under way. Each is finished once, or not at all.
type Ceremonies struct {
	Clock Clock
	Rand  io.Reader

	mu   sync.Mutex
	open map[string]Ceremony
}

// Begin puts a ceremony on the list and gives it an id. Of too many, the one that
// ends first makes room: a page that is reloaded must not shut itself out.
func (c *Ceremonies) Begin(x Ceremony) (Ceremony, error) {
	id, err := canon.NewID(c.Rand)
	if err != nil {
		return x, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]Ceremony{}
	}
	c.sweep()
	for len(c.open) >= ceremonies {
		var first string
		for id, x := range c.open {
			if first == "" || x.end.boot < c.open[first].end.boot {
				first = id
			}
		}
		delete(c.open, first)
	}
	x.ID, x.end = id, deadline{c.Clock.Now().Add(ceremonyLife), c.Clock.SinceBoot() + ceremonyLife}
	c.open[id] = x
	return x, nil
}

// Get returns a ceremony without ending it.
func (c *Ceremonies) Get(id string) (Ceremony, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	x, ok := c.open[id]
	if !ok {
		return x, errOver
	}
	return x, nil
}

var errOver = fault.New(fault.NotFound, "approve", "", "this page's question is over").
	WithHint("it was answered, or is older than two minutes: begin again")

// Take hands out a ceremony, once.
func (c *Ceremonies) Take(id string) (Ceremony, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	x, ok := c.open[id]
	if !ok {
		return x, errOver
	}
	delete(c.open, id)
	return x, nil
}

// Clear ends all: at lock.
func (c *Ceremonies) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.open)
}

// sweep drops what is over, by either clock. Caller holds mu.
func (c *Ceremonies) sweep() {
	for id, x := range c.open {
		if !c.Clock.Now().Before(x.end.wall) || c.Clock.SinceBoot() >= x.end.boot {
			delete(c.open, id)
		}
	}
}

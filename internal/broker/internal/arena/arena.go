// Package arena is the one place where seeds and small values lie: a mapping
// outside the Go heap that is locked, not dumped and wiped when given back. What
// is kept there is held by closures, so that no formatter, encoder or reflection
// finds bytes.
package arena

import (
	"errors"
	"sync"
)

const (
	pageSize = 4096
	size     = 4 << 20 // under the usual limit of 8 MiB of locked memory
)

// ErrFull is returned when more is open at once than an arena holds.
var ErrFull = errors.New("arena: secret memory is exhausted")

// Arena is one such mapping; New makes it.
type Arena struct {
	mu     sync.Mutex
	mem    func(from, to int) []byte // a closure, so that nothing that walks structs finds the bytes
	unmap  func()
	used   []bool // by page
	gone   error
	locked bool
}

// New maps an arena. gone is what whoever asks for something forgotten is told.
func New(gone error) (*Arena, error) {
	mem, locked, err := mapLocked(size)
	if err != nil {
		return nil, err
	}
	return &Arena{gone: gone, mem: func(from, to int) []byte { return mem[from:to:to] }, unmap: func() { unmap(mem) },
		used: make([]bool, size/pageSize), locked: locked}, nil
}

// Locked tells whether the system let the arena be locked into RAM.
func (a *Arena) Locked() bool { return a.locked }

// InUse is the number of pages that are taken.
func (a *Arena) InUse() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, u := range a.used {
		if u {
			n++
		}
	}
	return n
}

// Take returns n zeroed bytes and the function that wipes and gives them back.
func (a *Arena) Take(n int) ([]byte, func(), error) {
	pages := max(1, (n+pageSize-1)/pageSize)
	a.mu.Lock()
	defer a.mu.Unlock()
	run := 0
	for i := range a.used {
		if a.used[i] {
			run = 0
			continue
		}
		if run++; run < pages {
			continue
		}
		first := i + 1 - pages
		for j := first; j <= i; j++ {
			a.used[j] = true
		}
		b := a.mem(first*pageSize, first*pageSize+n)
		return b, sync.OnceFunc(func() { a.give(first, pages) }), nil
	}
	return nil, nil, ErrFull
}

func (a *Arena) give(first, pages int) {
	clear(a.mem(first*pageSize, (first+pages)*pageSize))
	a.mu.Lock()
	defer a.mu.Unlock()
	for j := first; j < first+pages; j++ {
		a.used[j] = false
	}
}

// Close wipes and unmaps everything. Slices taken before are dead.
func (a *Arena) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used != nil {
		clear(a.mem(0, size))
		a.unmap()
		a.used = nil
	}
}

// Lend is how a secret is held: a closure that lends the bytes for the time of a
// call. No field of any struct holds them, so neither fmt nor reflect nor an
// encoder finds any.
type Lend func(use func(secret []byte) error) error

// Keep moves secret into the arena, wiping the original, and returns the
// closure that lends it and the one that forgets it.
func (a *Arena) Keep(secret []byte) (Lend, func(), error) {
	b, free, err := a.Take(len(secret))
	if err != nil {
		clear(secret)
		return nil, nil, err
	}
	copy(b, secret)
	clear(secret)
	var mu sync.RWMutex
	dead := false
	return func(use func([]byte) error) error {
			mu.RLock()
			defer mu.RUnlock()
			if dead {
				return a.gone
			}
			return use(b)
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			dead = true
			free()
		}, nil
}

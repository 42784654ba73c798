package open

import (
	"errors"
	"sync"
)

const (
	pageSize  = 4096
	arenaSize = 4 << 20 // under the usual limit of 8 MiB of locked memory
)

// errArena is returned when more is open at once than the arena holds.
var errArena = errors.New("open: secret memory is exhausted")

// arena is the one place where seeds and small values lie: a mapping outside
// the Go heap that is locked, not dumped and wiped when given back.
type arena struct {
	mu     sync.Mutex
	mem    func(from, to int) []byte // a closure, so that nothing that walks structs finds the bytes
	unmap  func()
	used   []bool // by page
	Locked bool
}

func newArena() (*arena, error) {
	mem, locked, err := mapLocked(arenaSize)
	if err != nil {
		return nil, err
	}
	return &arena{mem: func(from, to int) []byte { return mem[from:to:to] }, unmap: func() { unmap(mem) },
		used: make([]bool, arenaSize/pageSize), Locked: locked}, nil
}

// take returns n zeroed bytes and the function that wipes and gives them back.
func (a *arena) take(n int) ([]byte, func(), error) {
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
	return nil, nil, errArena
}

func (a *arena) give(first, pages int) {
	clear(a.mem(first*pageSize, (first+pages)*pageSize))
	a.mu.Lock()
	defer a.mu.Unlock()
	for j := first; j < first+pages; j++ {
		a.used[j] = false
	}
}

// close wipes and unmaps everything. Slices taken before are dead.
func (a *arena) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used != nil {
		clear(a.mem(0, arenaSize))
		a.unmap()
		a.used = nil
	}
}

// lend is how every secret in this package is held: a closure that lends the
// bytes for the time of a call. No field of any struct holds them, so neither
// fmt nor reflect nor an encoder finds any.
type lend func(use func(secret []byte) error) error

// keep moves secret into the arena, wiping the original, and returns the
// closure that lends it and the one that forgets it.
func (a *arena) keep(secret []byte) (lend, func(), error) {
	b, free, err := a.take(len(secret))
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
				return ErrLocked
			}
			return use(b)
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			dead = true
			free()
		}, nil
}

// Package fault has one of everything that the limits forbid.
package fault

import (
	"errors"
	"sync"
)

var count int
var lock = sync.Mutex{}
var held = make(map[string]int)
var errFine = errors.New("fine")
var table = map[string]int{"fine": 1}
var _ = count

type wide struct{ a, b, c, d int }

type many interface {
	A()
	B()
	C()
}

func init() { count = 1 }

func long() {
	count++
	count++
	count++
}

// The end.

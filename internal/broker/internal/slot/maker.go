package slot

import (
	"errors"
	"io"
	"runtime/debug"

	"github.com/thumbturn/thumbturn/internal/broker/internal/arena"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Lend is how every secret is held: it is lent for the time of a call.
type Lend = arena.Lend

// Share lends the device's 32-byte share.
type Share func(use func(share []byte) error) error

// Maker makes slots and opens them. New makes one.
type Maker struct {
	rand    io.Reader
	arena   *arena.Arena
	stretch *stretcher
	page    page
}

// NewMaker returns a maker whose secrets lie in an arena. rand is the source of
// every key it makes; free gives back to the system what stretching a passphrase
// took, and nil is how it is really done.
func NewMaker(rand io.Reader, a *arena.Arena, free func()) (*Maker, error) {
	if free == nil {
		free = debug.FreeOSMemory
	}
	p, err := newPage(rand)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "open", "the page's key", err)
	}
	return &Maker{rand: rand, arena: a, stretch: &stretcher{free: free}, page: p}, nil
}

// Opened is how to forget what was opened on the way to something.
type Opened []func()

// Failed forgets it all where err says that nothing came of it.
func (o Opened) Failed(err error) {
	if err != nil {
		o.All()
	}
}

// All forgets it all.
func (o Opened) All() {
	for _, forget := range o {
		forget()
	}
}

// Matches reports whether a secret opens a slot, and opens nothing.
func (k *Maker) Matches(s canon.Slot, h canon.SlotHeader, secret []byte, share Lend) (bool, error) {
	kek, _, err := k.stretch.kek(h, s.Header, secret, share, commits(s))
	clear(kek)
	if errors.Is(err, ErrWrong) {
		return false, nil
	}
	return err == nil, err
}

// Fresh makes a random seed in the arena.
func (k *Maker) Fresh() (Lend, func(), error) {
	b := make([]byte, sealed.SeedSize)
	if _, err := io.ReadFull(k.rand, b); err != nil {
		return nil, nil, err
	}
	return k.arena.Keep(b)
}

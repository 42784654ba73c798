package account

import (
	"context"
	"errors"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// Idle is the reason of a lock because nobody used the vaults, as the ledger has it.
const Idle = "idle"

// patience is how long a lock waits for deliveries under way. A machine that is
// about to sleep grants five seconds for all.
const patience = 3 * time.Second

// Lock ends every lease and waiting request, lets deliveries under way finish,
// records why, and forgets the keys. The daemon then replaces its own process,
// which wipes what Go may have left.
func (a *Account) Lock(ctx context.Context, why string) error {
	a.hurry()
	defer a.mu.Unlock()
	return a.lock(ctx, why)
}

// LockFor is Lock for a reason that nobody asked for, and reports whether there
// was anything to lock. Idle counts only where the vaults have been unused for so
// long as this is decided.
func (a *Account) LockFor(ctx context.Context, why string) (bool, error) {
	if why == Idle && !a.due() { // nobody is hurried for nothing
		return false, nil
	}
	a.hurry()
	defer a.mu.Unlock()
	if why == Idle {
		return a.lockDue(ctx)
	}
	return a.book.Keys.Unlocked(), a.lock(ctx, why)
}

// hurry takes mu, and lets nobody sleep who holds it.
func (a *Account) hurry() {
	defer a.pace.Hurry()()
	a.mu.Lock()
}

// due reports whether the vaults are open and were unused for too long.
func (a *Account) due() bool { return a.book.Keys.Unlocked() && a.latch.Left() <= 0 }

// lockDue locks what was unused for too long. The caller holds mu.
func (a *Account) lockDue(ctx context.Context) (bool, error) {
	if !a.due() {
		return false, nil
	}
	return true, a.lock(ctx, Idle)
}

// ended is broker.Ended for no longer than patience.
func (a *Account) ended(ctx context.Context) (gone func()) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.broker.Ended(ctx)
}

// lock is Lock for a caller that holds mu.
func (a *Account) lock(ctx context.Context, why string) error {
	defer a.ended(ctx)()
	var err error
	if a.book.Keys.Unlocked() && a.ledger.Held() == "" {
		_, err = a.ledger.Append(ctx, ledger.Entry{Events: []canon.Event{{Type: canon.EventLock, Action: "lock", Outcome: "done", Reason: why}}})
	}
	a.GiveUp()
	a.who.Unmark()
	a.book.Keys.Lock()
	a.book.Close()
	a.loaded = false
	return err
}

// Close locks and ends the ledger.
func (a *Account) Close(ctx context.Context, why string) error {
	err := a.Lock(ctx, why)
	if a.ledger.Held() == "" && !a.ledger.Empty() {
		a.ledger.Later(canon.Event{Type: canon.EventStop, Outcome: "done", Reason: why})
	}
	return errors.Join(err, a.ledger.Close())
}

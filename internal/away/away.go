// Package away hears from macOS and Windows when the machine is about to sleep, and
// when the screen of the session that this process belongs to is locked, or handed to
// somebody else; on macOS also when that session ends. On Linux that is logind's part.
//
// Sleep is told by the system, which waits for the lock. That the screen is locked is
// looked at every two seconds: an event could be missed, a state cannot. So are the
// clocks, by which a sleep that nobody told of is known afterwards. Nothing here can
// open anything. It compiles for both systems and was tried on neither.
package away

import (
	"sync"
	"time"
)

// The reasons to lock, in the words of package logind.
const (
	Suspend    = "suspend"
	ScreenLock = "screen lock"
	Logout     = "logout"
)

// State is how the watch goes. The zero State says that nothing is heard yet.
type State struct {
	Sleep  bool   // a sleep is told before it comes
	Screen bool   // a locked screen is seen
	Logout bool   // the end of the session is seen
	Note   string // what is missing, and why
}

// On lists the reasons that are heard.
func (s State) On() []string {
	var on []string
	for _, r := range []struct {
		heard bool
		why   string
	}{{s.Sleep, Suspend}, {s.Screen, ScreenLock}, {s.Logout, Logout}} {
		if r.heard {
			on = append(on, r.why)
		}
	}
	return on
}

// Watch is whom to tell. Lock may be called by two at once, and by nobody once Run has
// returned.
type Watch struct {
	Lock func(why string) // the machine sleeps when it has returned
	Say  func(State)      // at each change
}

// look is what one look at the session says.
type look struct {
	there  bool // there is a session at a screen
	locked bool // the screen is locked, or shows another's session
}

const (
	every = 2 * time.Second // between two looks
	slack = 5 * time.Second // the clocks may drift apart so far from one look to the next
)

// follower is one Watch, with what it knows.
type follower struct {
	Watch

	mu    sync.RWMutex  // held for reading while a reason is passed on
	over  bool          // Run returns
	last  look          // of the looks that told anything
	gap   time.Duration // how much longer ago the machine started than it was awake
	began bool          // gap is known
}

// lock passes a reason on, until the end.
func (f *follower) lock(why string) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.over {
		f.Lock(why)
	}
}

// end waits for a lock under way; after it there is none.
func (f *follower) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

// saw takes a look in. What was so before the first look is no reason: whoever unlocks
// the vaults then does it from elsewhere.
func (f *follower) saw(now look) {
	was := f.last
	f.last = now
	switch {
	case was.there && !now.there:
		f.lock(Logout)
	case was.there && !was.locked && now.locked:
		f.lock(ScreenLock)
	}
}

// clocks compares the time since the machine started with that in which it was awake:
// where the first has run away from the second, the machine slept.
func (f *follower) clocks(boot, awake time.Duration) {
	gap := boot - awake
	slept := f.began && gap-f.gap > slack
	f.gap, f.began = gap, true
	if slept {
		f.lock(Suspend)
	}
}

// told is what one says who was told of a sleep, or was not.
func told(why error, screen, logout bool) State {
	s := State{Sleep: why == nil, Screen: screen, Logout: logout}
	if !screen {
		s.Note = "no session at a screen of this machine: screen lock and logout are not heard"
	}
	if why != nil {
		sleep := "a sleep is known only afterwards: " + why.Error()
		if s.Note != "" {
			sleep += "; " + s.Note
		}
		s.Note = sleep
	}
	return s
}

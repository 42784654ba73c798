package daemon

import (
	"strings"
	"testing"
	"time"
)

// What Go adds to a time, and compares by, stops in suspend and cannot be set back:
// deadlines on the wall clock must not be compared by it.
func TestWallClock(t *testing.T) {
	if s := (clock{}).Now().String(); strings.Contains(s, "m=") {
		t.Errorf("%s has a running time", s)
	}
}

// A deadline is what this clock says and what lasts: the sum must not overflow, nor
// the clock stand still.
func TestSinceBoot(t *testing.T) {
	was := (clock{}).SinceBoot()
	if was <= 0 || was+365*24*time.Hour < was {
		t.Errorf("%v since the machine started", was)
	}
	for (clock{}).SinceBoot() == was { // a coarse one counts in steps
		time.Sleep(time.Millisecond)
	}
	if now := (clock{}).SinceBoot(); now < was {
		t.Errorf("%v, then %v", was, now)
	}
}

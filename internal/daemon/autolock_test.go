package daemon

import (
	"strings"
	"testing"
	"time"
)

// What Go adds to a time, and compares by, stops in suspend and cannot be set back:
// deadlines on the wall clock must not be compared by it.
func TestWallClock(t *testing.T) {
	if s := (clock{time.Now()}).Now().String(); strings.Contains(s, "m=") {
		t.Errorf("%s has a running time", s)
	}
}

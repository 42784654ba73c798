package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/away"
	"github.com/thumbturn/thumbturn/internal/logind"
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

// The reasons have the same words on every system.
func TestReasons(t *testing.T) {
	if diff := cmp.Diff(logind.Reasons(), away.State{Sleep: true, Screen: true, Logout: true}.On()); diff != "" {
		t.Error(diff)
	}
}

// What is not heard is said: before anything is known, where nothing is heard, and
// beside what is.
func TestLocksSaid(t *testing.T) {
	o := &outside{}
	for _, tt := range []struct {
		on   []string
		note string
		want api.AutoLock
	}{
		{nil, "", api.AutoLock{Why: "the system has not been heard yet"}},
		{nil, "no bus", api.AutoLock{Why: "no bus"}},
		{[]string{away.Suspend}, "no screen", api.AutoLock{On: []string{away.Suspend}, Why: "no screen"}},
		{logind.Reasons(), "", api.AutoLock{On: logind.Reasons()}},
	} {
		o.set(tt.on, tt.note)
		if diff := cmp.Diff(tt.want, o.locks()); diff != "" {
			t.Error(diff)
		}
	}
}

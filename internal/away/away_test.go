package away

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// follow is a follower that writes down what it locks for.
func follow() (*follower, *[]string) {
	var why []string
	return &follower{Watch: Watch{Lock: func(w string) { why = append(why, w) }}}, &why
}

func TestLooks(t *testing.T) {
	t.Parallel()
	open, locked, none := look{there: true}, look{there: true, locked: true}, look{}
	for name, tt := range map[string]struct {
		looks []look
		want  []string
	}{
		"nothing happens":         {[]look{open, open, open}, nil},
		"locked":                  {[]look{open, locked, locked}, []string{ScreenLock}},
		"locked twice":            {[]look{open, locked, open, locked}, []string{ScreenLock, ScreenLock}},
		"locked before":           {[]look{locked, locked, open}, nil},
		"no screen":               {[]look{none, none}, nil},
		"a screen comes":          {[]look{none, open, locked}, []string{ScreenLock}},
		"a locked screen comes":   {[]look{none, locked}, nil},
		"the session ends":        {[]look{open, none, none}, []string{Logout}},
		"ends while it is locked": {[]look{open, locked, none}, []string{ScreenLock, Logout}},
	} {
		f, why := follow()
		for _, l := range tt.looks {
			f.saw(l)
		}
		if diff := cmp.Diff(tt.want, *why); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A sleep that nobody told of is known by the clocks, once.
func TestClocks(t *testing.T) {
	t.Parallel()
	f, why := follow()
	at := func(boot, awake time.Duration) { f.clocks(boot, awake) }
	at(90*time.Hour, 10*time.Hour) // it slept before we came
	at(90*time.Hour+2*time.Second, 10*time.Hour+2*time.Second)
	at(91*time.Hour, 11*time.Hour-time.Second)
	if len(*why) != 0 {
		t.Errorf("awake: %q", *why)
	}
	at(92*time.Hour, 11*time.Hour)
	at(92*time.Hour+2*time.Second, 11*time.Hour+2*time.Second)
	if diff := cmp.Diff([]string{Suspend}, *why); diff != "" {
		t.Error(diff)
	}
}

// Whoever is told on another thread, when all is over, is not passed on.
func TestEnd(t *testing.T) {
	t.Parallel()
	f, why := follow()
	f.lock(Suspend)
	f.end()
	f.lock(Suspend)
	f.saw(look{there: true})
	f.saw(look{})
	if len(*why) != 1 {
		t.Errorf("%q", *why)
	}
}

func TestTold(t *testing.T) {
	t.Parallel()
	const screen = "no session at a screen of this machine: screen lock and logout are not heard"
	refused := errors.New("refused")
	for name, tt := range map[string]struct {
		got  State
		want State
		on   []string
	}{
		"all":     {told(nil, true, true), State{true, true, true, ""}, []string{Suspend, ScreenLock, Logout}},
		"windows": {told(nil, true, false), State{true, true, false, ""}, []string{Suspend, ScreenLock}},
		"ssh":     {told(nil, false, false), State{true, false, false, screen}, []string{Suspend}},
		"refused": {told(refused, true, true), State{false, true, true, "a sleep is known only afterwards: refused"}, []string{ScreenLock, Logout}},
		"nothing": {told(refused, false, false), State{Note: "a sleep is known only afterwards: refused; " + screen}, nil},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(tt.on, tt.got.On()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The offsets are those of wtsapi32.h and winuser.h, on every 64-bit system.
func TestLayout(t *testing.T) {
	t.Parallel()
	var i sessionInfo
	var s subscription
	for name, n := range map[string][2]uintptr{
		"WTSINFOEXW.Data":             {unsafe.Offsetof(i.Session), 8},
		"SessionState":                {unsafe.Offsetof(i.State), 12},
		"SessionFlags":                {unsafe.Offsetof(i.Flags), 16},
		"what is read of it":          {unsafe.Sizeof(i), sessionInfoSize},
		"DEVICE_NOTIFY_SUBSCRIBE_...": {unsafe.Sizeof(s), 16},
		"its context":                 {unsafe.Offsetof(s.Context), 8},
	} {
		if unsafe.Sizeof(uintptr(0)) == 8 && n[0] != n[1] {
			t.Errorf("%s: %d, want %d", name, n[0], n[1])
		}
	}
	for name, tt := range map[string]struct {
		info sessionInfo
		want look
	}{
		"unlocked":          {sessionInfo{Level: 1, Session: 2, Flags: 1}, look{there: true}},
		"locked":            {sessionInfo{Level: 1, Session: 2, Flags: 0}, look{true, true}},
		"unknown":           {sessionInfo{Level: 1, Session: 2, Flags: 0xFFFFFFFF}, look{true, true}},
		"another is there":  {sessionInfo{Level: 1, Session: 2, State: 4, Flags: 1}, look{true, true}},
		"that of services":  {sessionInfo{Level: 1, State: 4, Flags: 0xFFFFFFFF}, look{}},
		"of another layout": {sessionInfo{Level: 2, Session: 2, Flags: 1}, look{}},
	} {
		if got := tt.info.look(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

package approve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestMute(t *testing.T) {
	d, h := desk()
	for _, x := range []struct{ id, owner string }{{"a", "me"}, {"b", "me"}, {"c", "other"}} {
		if err := d.Park(ticket(x.id, x.owner)); err != nil {
			t.Fatal(err)
		}
	}
	for id, life := range map[string]time.Duration{"a": 0, "b": -time.Second, "c": maxMute + 1, "none": time.Minute} {
		if _, err := d.Mute(id, life); err == nil {
			t.Errorf("%s was muted for %s", id, life)
		}
	}
	refused, err := d.Mute("a", 10*time.Minute)
	if err != nil || fmt.Sprint(refused) != "[a b]" {
		t.Fatalf("%v, %v", refused, err)
	}
	if _, err := d.Mute("a", time.Minute); !fault.Is(err, fault.Conflict) {
		t.Errorf("muted twice: %v", err)
	}
	for n := range told + 5 {
		changed := d.Changed()
		err := d.Park(ticket("again", "me"))
		if woken(changed) != (n < told) {
			t.Fatalf("%d: whoever watches is woken: %v", n, woken(changed))
		}
		if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "wants no more") || Repeated(err) != (n >= told) {
			t.Fatalf("%d: %v, repeated %v", n, err, Repeated(err))
		}
	}
	if err := d.Park(ticket("d", "other")); err != nil {
		t.Errorf("another session: %v", err)
	}
	if m := d.Muted(); len(m) != 1 || m[0].ID != "a" || m[0].Refused != told+5 {
		t.Errorf("%+v", m)
	}
	if err := d.Unmute("c"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unmuted by another id: %v", err)
	}
	if err := d.Unmute("a"); err != nil {
		t.Error(err)
	}
	if err := d.Park(ticket("e", "me")); err != nil {
		t.Errorf("unmuted: %v", err)
	}
	for name, end := range map[string]func(){
		"its time":          func() { h.move(time.Minute, time.Minute) },
		"suspend":           func() { h.move(-time.Hour, time.Minute) },
		"a lock":            d.Clear,
		"a clock set ahead": func() { h.move(time.Minute, 0) },
	} {
		if err := d.Park(ticket(name, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Mute(name, time.Minute); err != nil {
			t.Fatal(err)
		}
		if end(); len(d.Muted()) != 0 {
			t.Errorf("%s: still muted", name)
		}
		if err := d.Park(ticket(name+"2", name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// So many sessions at once and no more; those that are muted count once each.
func woken(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

func TestMutesAreBounded(t *testing.T) {
	d, _ := desk()
	for n := range mutes + 1 {
		id := fmt.Sprint(n)
		if err := d.Park(ticket(id, id)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Mute(id, time.Hour); (err == nil) != (n < mutes) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

package console

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{8 * time.Hour: "8h", 90 * time.Minute: "1h30m", 15 * time.Minute: "15m", 3 * time.Second: "3s",
		time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m", 48 * time.Hour: "48h"} {
		if got := Span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "36h": 36 * time.Hour, "0d": 0, "1h30m": 90 * time.Minute} {
		if got, err := Duration(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "d", "-3d", "-3h", "1.5d", "36501d", "99999999d", "1000000h", "soon"} {
		if got, err := Duration(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestArray(t *testing.T) {
	for _, lines := range []bool{true, false} {
		for n := range 3 {
			var out bytes.Buffer
			a := Array{Out: &out, Lines: lines}
			for i := range n {
				if err := a.Add(map[string]int{"i": i}); err != nil {
					t.Fatal(err)
				}
			}
			if cut := json.Valid(out.Bytes()); cut && n > 0 {
				t.Errorf("cut short it passes for whole: %s", out.String())
			}
			var got []map[string]int
			if err := a.End(); err != nil || json.Unmarshal(out.Bytes(), &got) != nil || len(got) != n {
				t.Errorf("%d elements: %v, %s", n, err, out.String())
			}
		}
	}
}

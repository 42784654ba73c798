package console

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestInk(t *testing.T) {
	for _, tt := range []struct {
		name     string
		terminal bool
		getenv   func(string) string
		want     string
	}{
		{"terminal", true, env("TERM", "xterm"), "\x1b[31ma\x1b[0m\x1b[33mb\x1b[0m\x1b[32mc\x1b[0m"},
		{"no terminal", false, env("TERM", "xterm"), "abc"},
		{"NO_COLOR", true, env("TERM", "xterm", "NO_COLOR", "0"), "abc"},
		{"NO_COLOR empty", true, env("NO_COLOR", ""), "\x1b[31ma\x1b[0m\x1b[33mb\x1b[0m\x1b[32mc\x1b[0m"},
		{"dumb", true, env("TERM", "dumb"), "abc"},
	} {
		i := NewInk(tt.terminal, tt.getenv)
		if got := i.Red("a") + i.Yellow("b") + i.Green("c"); got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
	if got := Ink(true).Red(""); got != "" {
		t.Errorf("nothing became %q", got)
	}
}

func TestFailColours(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var b bytes.Buffer
		c := &Console{Err: &b, Getenv: env(), ErrIsTerminal: terminal}
		if code := c.Fail(errors.New("broken")); code != 1 {
			t.Errorf("status %d", code)
		}
		if strings.Contains(b.String(), "\x1b") != terminal || !strings.HasSuffix(b.String(), " broken\n") {
			t.Errorf("terminal %v: %q", terminal, b.String())
		}
		b.Reset()
		c.Format = "json"
		if c.Fail(errors.New("broken")); strings.Contains(b.String(), "\x1b") {
			t.Errorf("JSON in colour: %q", b.String())
		}
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	c := &Console{Err: &b, Getenv: env(), ErrIsTerminal: true, Now: func() time.Time { return now }}
	p := c.Progress("reading", 200)
	step := func(after time.Duration, n int64) string {
		b.Reset()
		now = now.Add(after)
		p.Step(n)
		return b.String()
	}
	got := []string{
		step(999*time.Millisecond, 10), // too soon
		step(time.Millisecond, 90),     // a second
		step(99*time.Millisecond, 50),  // shown a moment ago
		step(time.Millisecond, 0),
		step(time.Minute, 500), // more than was announced
	}
	if diff := cmp.Diff([]string{"", "\r\x1b[Kreading 50%", "", "\r\x1b[Kreading 75%", "\r\x1b[Kreading 100%"}, got); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	p.Done()
	p.Done()
	p.Step(1)
	if b.String() != "\r\x1b[K" {
		t.Errorf("at the end: %q", b.String())
	}

	p = c.Progress("counting", 0)
	if got := step(time.Second, 0) + step(time.Second, 7); got != "\r\x1b[Kcounting 1s\r\x1b[Kcounting 7" {
		t.Errorf("without a total: %q", got)
	}
	p = c.Progress("short", 1)
	b.Reset()
	p.Step(1)
	p.Done()
	if b.Len() != 0 {
		t.Errorf("what was short showed %q", b.String())
	}
}

// Where there is no terminal nothing is ever shown, and what is counted passes.
func TestProgressElsewhere(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	later := func() time.Time { now = now.Add(time.Hour); return now }
	for _, c := range []*Console{
		{Err: &b, Getenv: env(), Now: later},
		{Err: &b, Getenv: env("TERM", "dumb"), Now: later, ErrIsTerminal: true},
	} {
		p := c.Progress("x", 3)
		text, err := io.ReadAll(p.Reader(strings.NewReader("abc")))
		if string(text) != "abc" || err != nil || p.done != 3 {
			t.Errorf("%q, %v, %d", text, err, p.done)
		}
		p.Done()
	}
	if b.Len() != 0 {
		t.Errorf("shown: %q", b.String())
	}
}

func TestAwait(t *testing.T) {
	want := errors.New("x")
	for _, terminal := range []bool{false, true} {
		var b bytes.Buffer
		c := &Console{Err: &b, Getenv: env(), ErrIsTerminal: terminal, Now: time.Now}
		ran := 0
		if err := c.Await("waiting", func() error { ran++; return want }); err != want || ran != 1 {
			t.Errorf("%v, ran %d times", err, ran)
		}
	}
}

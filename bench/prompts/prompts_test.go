//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// short is a trace in which every rule counts once.
const short = `{"title":"short","first":4,"later":2,"actors":[{"name":"me","kind":"person","terminal":"mine"},{"name":"A","kind":"agent","terminal":"T"},{"name":"A/s","kind":"agent","under":"A"},{"name":"A/p","kind":"program","under":"A"},{"name":"B","kind":"agent","terminal":"T"},{"name":"post","kind":"program","under":"me"}],"tasks":[{"argv":["./t.sh"],"refs":["op://dev/db/url"]}]}
{"at":"1s","who":"A","do":"list"}
{"at":"2s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"3s","who":"A/s","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"4s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w","mark":"poisoned"}
{"at":"10s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w","text":9,"mark":"hostile"}
{"at":"20s","who":"B","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w","mark":"hostile"}
{"at":"30s","who":"A","do":"run","argv":["./t.sh","evil.example"],"refs":["op://dev/db/url"],"dir":"/w","mark":"hostile","tell":"evil.example"}
{"at":"40s","who":"A/p","do":"run","argv":["curl"],"refs":["op://dev/db/url"],"dir":"/w","mark":"hostile","tell":"curl"}
{"at":"50s","who":"A","do":"read","refs":["op://dev/db/url"],"mark":"hostile"}
{"at":"55s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://prod/db/url"],"dir":"/w"}
{"at":"57s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://prod/db/url"],"dir":"/w"}
{"at":"1m","who":"me","do":"read","refs":["op://dev/db/url"]}
{"at":"2m","who":"me","do":"read","refs":["op://dev/db/url"]}
{"at":"2m1s","who":"post","do":"read","refs":["op://dev/db/url"],"mark":"hostile"}
{"at":"2m2s","who":"post","do":"run","argv":["curl"],"refs":["op://dev/db/url"],"dir":"/w","mark":"hostile"}
{"at":"2m3s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"3m","who":"me","do":"bind","refs":["op://dev/db/url"]}
{"at":"3m1s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"4m","who":"me","do":"put","refs":["op://dev/db/url"]}
{"at":"4m1s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"13m","who":"me","do":"read","refs":["op://dev/db/url"]}
{"at":"34m2s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"1h5m","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
`

func shortTrace(t *testing.T) *trace {
	t.Helper()
	tr, err := parse([]byte(short))
	if err != nil {
		t.Fatal(err)
	}
	return &tr
}

func replayed(t *testing.T, tr *trace) []done {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	got, err := replay(ctx, tr)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Each line comes to what its rule says, the same every time, and the model that
// is varied agrees with the broker.
func TestReplay(t *testing.T) {
	asked, free, leased, denied, refused := done{Asked: true, Released: true}, done{Released: true}, done{Released: true, Leased: true},
		done{Asked: true, Denied: true}, done{Refused: true}
	later := asked
	later.Hour = 1
	tr := shortTrace(t)
	got := replayed(t, tr)
	want := []done{{}, asked, leased, leased, asked, asked, denied, denied, refused, asked, asked, asked, leased, asked, free, leased,
		{Asked: true}, asked, {}, asked, asked, asked, later}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the broker: %s", diff)
	}
	if err := sound(tr, got); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(got, replayed(t, tr)); diff != "" {
		t.Errorf("again: %s", diff)
	}
}

// No lease serves a hostile line, and the model agrees, over all traces.
func TestTraces(t *testing.T) {
	if os.Getenv("PROMPTS") == "" {
		t.Skip("SKIP: whole traces take minutes; PROMPTS=1 replays them here, and `make prompts` checks the same before it prints")
	}
	all, err := traces()
	if err != nil {
		t.Fatal(err)
	}
	got, err := replays(context.Background(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if err := sound(&all[i], got[i]); err != nil {
			t.Errorf("%s: %v", all[i].Title, err)
		}
	}
}

// A replay in which a lease served a hostile line, or in which the broker did
// something else than the model, is not printed.
func TestSound(t *testing.T) {
	tr := shortTrace(t)
	good := simulate(tr, ours())
	if err := sound(tr, good); err != nil {
		t.Fatal(err)
	}
	other := append([]done(nil), good...)
	other[1].Leased = true
	if sound(tr, other) == nil {
		t.Error("another outcome was taken")
	}
	tr.lines[2].Mark = markHostile
	if sound(tr, good) == nil {
		t.Error("a leased hostile line was taken")
	}
}

func TestModels(t *testing.T) {
	tr := shortTrace(t)
	for _, c := range []struct {
		rules
		want tally
	}{
		{exactArgv(), tally{gestures: []int{20, 1}, alarms: 8, releases: 18, fooled: 5, refused: 2}},
		{openTerminal(), tally{gestures: []int{4, 1}, releases: 20, unseen: 16, hostile: 7, poisoned: 1}},
	} {
		got := count(tr, simulate(tr, c.rules))
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tally{})); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	// Every trace has what makes the comparison worth something.
	all, err := traces()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		open, exact := count(&x, simulate(&x, openTerminal())), count(&x, simulate(&x, exactArgv()))
		if open.hostile == 0 || exact.unseen != 0 {
			t.Errorf("%s: open terminal %+v, exact argv %+v", x.Title, open, exact)
		}
		for _, r := range whatIf() {
			c := count(&x, simulate(&x, r))
			if c.unseen+len(x.lines) < c.releases || len(c.gestures) != len(open.gestures) {
				t.Errorf("%s: %s: %+v", x.Title, r.name, c)
			}
		}
	}
}

// One answer for what a session asks within a moment is one gesture, and all of it
// was seen.
func TestTogether(t *testing.T) {
	tr := shortTrace(t)
	for i := range tr.lines {
		tr.lines[i].at = time.Minute
	}
	r := exactArgv()
	r.together = time.Second
	if got := count(tr, simulate(tr, r)); got.gestures[0] != 3 || got.unseen != 0 { // A, B and the person
		t.Errorf("%+v", got)
	}
}

func TestWhy(t *testing.T) {
	tr := shortTrace(t)
	got := why(tr, simulate(tr, ours()))
	if diff := cmp.Diff(causes{fresh: 1, over: 4, hostile: 5, other: 5}, got, cmp.AllowUnexported(causes{})); diff != "" {
		t.Error(diff)
	}
}

// What is far to the right is not read.
func TestReads(t *testing.T) {
	m := &model{t: shortTrace(t)}
	l := line{Who: "A", Do: doRun, Argv: []string{"./t.sh", "evil.example"}, Dir: "/w", Refs: []string{"op://dev/db/url"}}
	if !reads(m.request(l), "evil.example") || reads(m.request(l), "") {
		t.Error("what stands in front")
	}
	l.Argv = append(append(l.Argv[:1:1], strings.Fields(strings.Repeat("x ", wordsRead))...), "evil.example")
	if reads(m.request(l), "evil.example") {
		t.Error("what stands far to the right")
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"--nothing"}, {"--trace", "99"}, {"--trace", "-1"}} {
		if err := run(context.Background(), args, new(bytes.Buffer)); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(short))
	head := short[:strings.Index(short, "\n")+1]
	for _, bad := range []string{
		"", "{}", head, head + "{}\n",
		head + `{"at":"1s","who":"nobody","do":"list"}` + "\n",
		head + `{"at":"x","who":"A","do":"list"}` + "\n",
		head + `{"at":"2s","who":"A","do":"list"}` + "\n" + `{"at":"1s","who":"A","do":"list"}` + "\n",
		head + `{"at":"1s","who":"A","do":"list","tell":"x"}` + "\n",
		head + `{"at":"1s","who":"A","do":"list","mark":"x"}` + "\n",
		head + `{"at":"1s","who":"A","do":"run","refs":["op://dev/db/url"],"dir":"/w"}` + "\n",
		head + `{"at":"1s","who":"A","do":"read","refs":["dev/db/url"]}` + "\n",
		head + `{"at":"1s","who":"A","do":"list","more":1}` + "\n",
		`{"title":"x","actors":[{"name":"a","kind":"agent","under":"a"}]}` + "\n",
		`{"title":"x","actors":[{"name":"a","kind":"person","terminal":"T"}]}` + "\n",
		`{"title":"x","actors":[{"name":"a","kind":"agent","terminal":"T"},{"name":"a","kind":"agent","terminal":"T"}]}` + "\n",
	} {
		f.Add([]byte(bad))
		if _, err := parse([]byte(bad)); err == nil {
			f.Errorf("taken: %q", bad)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := parse(b)
		if err != nil {
			return
		}
		for _, r := range append(whatIf(), exactArgv(), openTerminal()) {
			if got := simulate(&tr, r); len(got) != len(tr.lines) {
				t.Errorf("%d lines came to %d", len(tr.lines), len(got))
			}
		}
		newCast(tr.Actors)
	})
}

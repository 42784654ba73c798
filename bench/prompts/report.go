package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/thumbturn/thumbturn/bench/table"
)

// tally is what a policy came to over a trace.
type tally struct {
	gestures []int // by hour
	alarms   int   // of them, for lines that are not honest
	releases int
	unseen   int // released without a gesture of their own
	hostile  int // of these, hostile ones
	poisoned int // of these, poisoned ones
	fooled   int // hostile ones that a person was asked about and let pass
	refused  int // lines without a release, by policy or by the person
	wronged  int // of these, honest ones
}

func count(t *trace, of []done) tally {
	c := tally{gestures: make([]int, t.hours())}
	for n, d := range of {
		l := t.lines[n]
		if d.Asked {
			c.gestures[d.Hour]++
			if l.Mark != "" {
				c.alarms++
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

// rows are those of the one table of the benchmarks.
func rows(t *trace, got, exact, open tally) []table.Row {
	var out []table.Row
	for hour, g := range got.gestures {
		r := table.Row{fmt.Sprintf("prompts, %s: gestures in hour %d", t.Title, hour+1), fmt.Sprint(g),
			fmt.Sprintf("exact argv %d, open terminal %d", exact.gestures[hour], open.gestures[hour]),
			ratio(g, exact.gestures[hour]) + ", " + ratio(g, open.gestures[hour]), "", ""}
		if goal := t.goal(hour); goal > 0 {
			r[4], r[5] = fmt.Sprintf("<= %d", goal), table.Met(g <= goal)
		}
		out = append(out, r)
	}
	return append(out, table.Row{fmt.Sprintf("prompts, %s: hostile releases unseen", t.Title), fmt.Sprintf("%d of %d", got.hostile, got.unseen),
		fmt.Sprintf("exact argv %d of %d, open terminal %d of %d", exact.hostile, exact.unseen, open.hostile, open.unseen), "", "", ""})
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
}

func why(t *trace, of []done) (c causes) {
	m := &model{t: t}
	seen := map[string]bool{}
	for n, d := range of {
		l := t.lines[n]
		if !d.Asked {
			continue
		}
		about := fmt.Sprintf("%q %q %q", m.session(l.Who), l.Dir, l.Refs)
		name := fmt.Sprintf("first words %s %q", about, l.Argv[:min(2, len(l.Argv))])
		same := fmt.Sprintf("all words %s %q", about, l.Argv)
		exact := fmt.Sprintf("text %d %s", l.Text, same)
		switch {
		case l.Mark != "":
			c.hostile++
			continue
		case l.Do != doRun || guarded(l):
			c.other++
			continue
		case seen[exact]:
			c.over++
		case seen[same]:
			c.replaced++
		case seen[name]:
			c.varied++
		default:
			c.fresh++
		}
		seen[name], seen[same], seen[exact] = true, true, true
	}
	return c
}

func (c causes) String() string {
	return fmt.Sprintf("%d new command, %d other arguments, %d other program text, %d lease over, %d not honest, %d not leasable",
		c.fresh, c.varied, c.replaced, c.over, c.hostile, c.other)
}

// policy is a tally with the name of what came to it.
type policy struct {
	name string
	tally
}

// write prints policies beside each other.
func write(w io.Writer, all []policy) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  POLICY\tGESTURES BY HOUR\tNOT HONEST\tRELEASES\tUNSEEN\tHOSTILE UNSEEN\tPOISONED UNSEEN\tHOSTILE SEEN, LET PASS\tREFUSED\tHONEST REFUSED")
	for _, p := range all {
		fmt.Fprintf(t, "  %s\t%v\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", p.name, p.gestures, p.alarms, p.releases, p.unseen, p.hostile, p.poisoned, p.fooled, p.refused, p.wronged)
	}
	return t.Flush()
}

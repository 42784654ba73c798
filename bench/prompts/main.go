// Command prompts counts how often a person is asked. It replays traces of work
// through a real broker (account, ledger, database, policy, leases), in a temporary
// folder, with a scripted person and a clock moved by hand, and prints what the
// ledger says: where each command is asked about as it comes, and where the project
// asks once. Beside it stand models of two other policies over the same traces, and
// of changes to ours. The traces are made up after real work.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/bench/table"
)

// The longest a whole run may take.
const limit = 30 * time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prompts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	f := flag.NewFlagSet("prompts", flag.ContinueOnError)
	only := f.Bool("rows", false, "print only the rows of the common table, as JSON")
	part := f.Int("trace", 0, "the number of one trace; 0 is all")
	if err := f.Parse(args); err != nil {
		return err
	}
	all, err := traces()
	if err != nil {
		return err
	}
	all, err = some(all, *part)
	if err != nil {
		return err
	}
	got, err := replays(ctx, all)
	if err != nil {
		return err
	}
	var out []table.Row
	for i, t := range all {
		c, err := compare(&t, got[i])
		if err != nil {
			return fmt.Errorf("%s: %w", t.Title, err)
		}
		if out = append(out, rows(&t, c)...); *only {
			continue
		}
		if err := show(w, &t, got[i], c); err != nil {
			return err
		}
	}
	if *only {
		return json.NewEncoder(w).Encode(out)
	}
	return table.Print(w, out)
}

// compare tallies the replays of a trace, each held against its model.
func compare(t *trace, got [][]done) (compared, error) {
	c := compared{exact: count(t, simulate(t, exactArgv())), open: count(t, simulate(t, openTerminal()))}
	for i, s := range setups() {
		if err := sound(t, s, got[i]); err != nil {
			return c, fmt.Errorf("%s: %w", s.name, err)
		}
		c.replays = append(c.replays, policy{s.name, count(t, got[i])})
	}
	return c, nil
}

// show prints a trace's policies beside each other, and what the design wants.
func show(w io.Writer, t *trace, got [][]done, c compared) error {
	fmt.Fprintf(w, "%s: %d lines\n", t.Title, len(t.lines))
	var side []policy
	for _, p := range c.replays {
		side = append(side, policy{"by the ledger: " + p.name, p.tally})
	}
	side = append(side, policy{"model: exact argv each time", c.exact}, policy{"model: terminal open 10 min", c.open})
	for _, r := range whatIf() {
		side = append(side, policy{"model of ours: " + r.name, count(t, simulate(t, r))})
	}
	if err := write(w, side); err != nil {
		return err
	}
	for i, s := range setups() {
		fmt.Fprintf(w, "  why, %s: %v\n", s.name, why(t, got[i], s.project))
		for _, b := range budget(t, c.replays[i].tally) {
			fmt.Fprintf(w, "  budget, %s, %s\n", s.name, b)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// sound holds the model of ours, from which the variations come, against what the
// broker did, and refuses a replay in which a lease served a hostile line that a
// person had not given it for. Where the person left the arguments to the agent, it
// was given for that too, and is counted.
func sound(t *trace, s setup, got []done) error {
	for n, d := range simulate(t, ours(s)) {
		switch {
		case got[n] != d:
			return fmt.Errorf("line %d: the broker's ledger says %+v, the model %+v", n+2, got[n], d)
		case t.lines[n].Mark == markHostile && d.Leased && !d.Free:
			return fmt.Errorf("line %d: a lease served a hostile line", n+2)
		}
	}
	return nil
}

// some are the traces with a number, all for zero.
func some(all []trace, number int) ([]trace, error) {
	switch {
	case number == 0:
		return all, nil
	case number < 0 || number > len(all):
		return nil, fmt.Errorf("there are %d traces", len(all))
	}
	return all[number-1 : number], nil
}

// replays passes the traces each through brokers of their own, one for each setup,
// side by side: most of the time goes into the passphrases of the gestures.
func replays(ctx context.Context, all []trace) ([][][]done, error) {
	out, errs := make([][][]done, len(all)), make([]error, len(all))
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			for _, s := range setups() {
				got, err := replay(ctx, &all[i], s)
				if err != nil {
					errs[i] = fmt.Errorf("%s: %s: %w", all[i].Title, s.name, err)
					return
				}
				out[i] = append(out[i], got)
			}
		})
	}
	running.Wait()
	return out, errors.Join(errs...)
}

// Command prompts counts how often a person is asked. It replays traces of work
// through a real broker (account, ledger, database, policy, leases), in a temporary
// folder, with a scripted person and a clock moved by hand, and prints what the
// ledger says, beside models of two other policies over the same traces, and of
// what would come of changes to ours. The traces are made up after real work.
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
const limit = 10 * time.Minute

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
		if err := sound(&t, got[i]); err != nil {
			return fmt.Errorf("%s: %w", t.Title, err)
		}
		mine, exact, open := count(&t, got[i]), count(&t, simulate(&t, exactArgv())), count(&t, simulate(&t, openTerminal()))
		out = append(out, rows(&t, mine, exact, open)...)
		if *only {
			continue
		}
		side := []policy{{"ours, by the ledger", mine}, {"model: exact argv each time", exact}, {"model: terminal open 10 min", open}}
		for _, r := range whatIf() {
			side = append(side, policy{"model of ours: " + r.name, count(&t, simulate(&t, r))})
		}
		fmt.Fprintf(w, "%s: %d lines\n", t.Title, len(t.lines))
		if err := write(w, side); err != nil {
			return err
		}
		fmt.Fprintf(w, "  why ours asked: %v\n\n", why(&t, got[i]))
	}
	if *only {
		return json.NewEncoder(w).Encode(out)
	}
	return table.Print(w, out)
}

// sound holds the model of ours, from which the variations come, against what the
// broker did, and refuses a replay in which a lease served what it was not given for.
func sound(t *trace, got []done) error {
	for n, d := range simulate(t, ours()) {
		switch {
		case got[n] != d:
			return fmt.Errorf("line %d: the broker's ledger says %+v, the model %+v", n+2, got[n], d)
		case t.lines[n].Mark == markHostile && d.Leased:
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

// replays passes the traces each through a broker of its own, side by side: most
// of the time goes into the passphrases of the gestures.
func replays(ctx context.Context, all []trace) ([][]done, error) {
	out, errs := make([][]done, len(all)), make([]error, len(all))
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			if out[i], errs[i] = replay(ctx, &all[i]); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", all[i].Title, errs[i])
			}
		})
	}
	running.Wait()
	return out, errors.Join(errs...)
}

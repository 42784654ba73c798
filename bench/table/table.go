// Package table is what a benchmark prints: rows of ours beside a floor or peer.
package table

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Row is one line of the table: what, ours, floor or peer, ratio, goal, and
// whether it was met, which is empty where there is no goal.
type Row [6]string

// Met says whether a goal was met.
func Met(ok bool) string {
	if ok {
		return "yes"
	}
	return "NO"
}

// Print writes the table.
func Print(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tOURS\tFLOOR OR PEER\tRATIO\tGOAL\tMET")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r[0], r[1], r[2], r[3], r[4], r[5])
	}
	return t.Flush()
}

// Median does not change its argument. It is 0 for none.
func Median[T ~int64 | ~float64](all []T) T {
	if len(all) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

// Millis is a time in milliseconds.
func Millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }

// Seconds is a time in seconds.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// Rate is a number of calls a second.
func Rate(r float64) string { return fmt.Sprintf("%.0f/s", r) }

// Times is a ratio.
func Times(r float64) string { return fmt.Sprintf("%.2fx", r) }

// During calls f from n goroutines until d has passed and returns the calls per
// second. The first error ends it. f is told which goroutine calls it.
func During(d time.Duration, n int, f func(worker int) error) (float64, error) {
	type result struct {
		calls int
		err   error
	}
	results := make(chan result, n)
	began := time.Now()
	for w := range n {
		go func() {
			var r result
			for r.err == nil && time.Since(began) < d {
				if r.err = f(w); r.err == nil {
					r.calls++
				}
			}
			results <- r
		}()
	}
	var calls int
	var err error
	for range n {
		r := <-results
		calls += r.calls
		if err == nil {
			err = r.err
		}
	}
	return float64(calls) / time.Since(began).Seconds(), err
}

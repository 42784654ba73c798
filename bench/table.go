package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one line of the table. Met is empty where there is no goal.
type row struct {
	What  string `json:"what"`
	Ours  string `json:"ours"`
	Floor string `json:"floor"`
	Ratio string `json:"ratio"`
	Goal  string `json:"goal"`
	Met   string `json:"met"`
}

func met(ok bool) string {
	if ok {
		return "yes"
	}
	return "NO"
}

func printTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tOURS\tFLOOR OR PEER\tRATIO\tGOAL\tMET")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Ours, r.Floor, r.Ratio, r.Goal, r.Met)
	}
	return t.Flush()
}

// median does not change its argument. It is 0 for none.
func median[T ~int64 | ~float64](all []T) T {
	if len(all) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func rate(r float64) string { return fmt.Sprintf("%.0f/s", r) }

func times(r float64) string { return fmt.Sprintf("%.2fx", r) }

// during calls f from n goroutines until d has passed and returns the calls per
// second. The first error ends it. f is told which goroutine calls it.
func during(d time.Duration, n int, f func(worker int) error) (float64, error) {
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

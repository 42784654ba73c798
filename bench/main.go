// Command bench prints one table: what Thumbturn costs, each time beside a floor
// or a peer measured in the same run. Absolute figures belong to the machine;
// the ratios are what can be compared. It asserts nothing.
//
// It works in a temporary folder and on loopback only. Everything that asks the
// daemon runs in a session of its own, which a test home marks as a person's.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	if err := dispatch(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Package harden keeps other programs out of this process's memory as far as
// the system lets it.
package harden

import "errors"

// Process makes the calling process leave no core dump and, on Linux, refuse
// ptrace and /proc/<pid>/mem to programs of the same user. Call it first thing.
func Process() error { return errors.Join(noCore(), noDump()) }

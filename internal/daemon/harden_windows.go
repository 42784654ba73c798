package daemon

import "time"

// harden does nothing here yet: memory of this process is as readable as the
// system lets it be, and status says so.
func harden() {}

// sinceBoot is the time since start here; it may stop in suspend, so the wall
// clock alone bounds what lives through one.
func sinceBoot(start time.Time) time.Duration { return time.Since(start) }

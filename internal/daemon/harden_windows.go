package daemon

import (
	"time"

	"golang.org/x/sys/windows"
)

// harden does nothing here yet: memory of this process is as readable as the
// system lets it be, and status says so.
func harden() {}

// sinceBoot is GetTickCount64: it goes on in sleep and hibernation, and cannot be set.
func sinceBoot() time.Duration { return windows.DurationSinceBoot() }

// Package canon looks at the world.
package canon

import (
	"os"
	clock "time"
)

// Limit is a duration, which is no clock.
const Limit = clock.Second

func look() {
	_ = clock.Now()
	go os.Exit(1)
}

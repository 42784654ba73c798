// Thumbturnd is the daemon that holds the keys. It takes no arguments and
// serves one home; package daemon says how.
package main

import (
	"os"

	"github.com/thumbturn/thumbturn/internal/daemon"
)

func main() { os.Exit(daemon.Main(os.Args)) }

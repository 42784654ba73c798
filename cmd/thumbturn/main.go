// Command thumbturn is the program that people and agents call; see
// "thumbturn --help".
package main

import (
	"os"

	"github.com/thumbturn/thumbturn/internal/cli"
)

// version is that of the next or present release.
const version = "0.1.0"

func main() { os.Exit(cli.Main(version)) }

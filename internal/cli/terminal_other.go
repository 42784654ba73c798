//go:build !unix

package cli

// terminalPath names the console's input.
const terminalPath = "CONIN$"

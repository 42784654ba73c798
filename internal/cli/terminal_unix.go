//go:build unix

package cli

// terminalPath names the controlling terminal (tty(4)).
const terminalPath = "/dev/tty"

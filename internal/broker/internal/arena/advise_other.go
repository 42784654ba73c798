//go:build unix && !linux

package arena

// adviseSecret does nothing: this system has no counterpart that was tried.
func adviseSecret([]byte) {}

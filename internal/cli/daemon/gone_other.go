//go:build !unix

package daemon

// gone takes the answer to the request to stop for the end: this system tells no
// more.
func gone(int) bool { return true }

//go:build !unix

package socket

import "net"

// gone cannot tell on this platform; a request then waits until it is answered
// or its time is over.
func gone(*net.UnixConn) bool { return false }

//go:build !linux

package daemon

import "github.com/thumbturn/thumbturn/internal/fault"

// confine refuses: nothing here keeps a daemon from using what it may, and no
// service manager passes it a socket.
func confine() error {
	return fault.New(fault.Unavailable, "start", "", "system mode needs Linux")
}

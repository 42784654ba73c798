//go:build !unix

package sdk

import "github.com/thumbturn/thumbturn/api"

type folder struct{}

// checkFolder refuses: this platform has no file owners to go by.
func checkFolder(string) (folder, error) {
	return folder{}, &api.Error{Kind: kindUnavailable, Op: "connect",
		Msg: "this platform cannot tell who serves the socket"}
}

func (folder) allows(int) error { return nil }

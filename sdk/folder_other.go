//go:build !unix

package sdk

import (
	"os"

	"github.com/thumbturn/thumbturn/api"
)

type folder struct{}

// checkFolder refuses: this platform has no file owners to go by.
func checkFolder(string, bool) (folder, error) {
	return folder{}, &api.Error{Kind: kindUnavailable, Op: "connect",
		Msg: "this platform cannot tell who serves the socket"}
}

func (folder) allows(int) error { return nil }

func published(string, *os.File) bool { return false }

// FindHome resolves the home that programs speak to.
func FindHome(getenv func(string) string) (api.Home, error) { return api.FindHome(getenv) }

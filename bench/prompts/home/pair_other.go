//go:build !unix

package home

import (
	"errors"

	"github.com/thumbturn/thumbturn/internal/local"
)

// pair has no way here.
func pair(string) (client, server *local.Conn, err error) {
	return nil, nil, errors.New("the replay needs Unix sockets")
}

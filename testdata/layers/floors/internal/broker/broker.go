// Package broker breaks or serves a rule of the map.
package broker

import (
	_ "github.com/thumbturn/thumbturn/internal/broker/internal/open"
	_ "github.com/thumbturn/thumbturn/internal/door/socket"
	_ "github.com/thumbturn/thumbturn/internal/ledger"
)

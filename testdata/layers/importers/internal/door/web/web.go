// Package web breaks or serves a rule of the map.
package web

import (
	_ "github.com/thumbturn/thumbturn/internal/broker/handoff"
	_ "github.com/thumbturn/thumbturn/internal/broker/reveal"
)

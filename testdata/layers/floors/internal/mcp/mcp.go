// Package mcp breaks or serves a rule of the map.
package mcp

import (
	_ "github.com/thumbturn/thumbturn/internal/ledger"
	_ "github.com/thumbturn/thumbturn/sdk"
)

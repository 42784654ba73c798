// Package sdk breaks or serves a rule of the map.
package sdk

import (
	_ "github.com/thumbturn/thumbturn/api"
	_ "github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// Package run breaks or serves a rule of the map.
package run

import _ "github.com/thumbturn/thumbturn/internal/scan"

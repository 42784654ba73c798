// Package scan breaks or serves a rule of the map.
package scan

import _ "github.com/thumbturn/thumbturn/internal/broker"

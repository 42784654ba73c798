// Package hook breaks or serves a rule of the map.
package hook

import _ "github.com/thumbturn/thumbturn/api"

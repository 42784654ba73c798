// Package mask breaks or serves a rule of the map.
package mask

import _ "github.com/thumbturn/thumbturn/internal/fault"

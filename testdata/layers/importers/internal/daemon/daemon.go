// Package daemon breaks or serves a rule of the map.
package daemon

import _ "github.com/thumbturn/thumbturn/internal/store/storetest"

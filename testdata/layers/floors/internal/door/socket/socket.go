// Package socket breaks or serves a rule of the map.
package socket

import _ "github.com/thumbturn/thumbturn/internal/door/web"

// Package ledger breaks or serves a rule of the map.
package ledger

import _ "github.com/thumbturn/thumbturn/internal/identity"

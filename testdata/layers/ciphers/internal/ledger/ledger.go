// Package ledger breaks or serves a rule of the map.
package ledger

import (
	_ "crypto/aes"
	_ "crypto/hpke"
)

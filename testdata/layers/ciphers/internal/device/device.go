// Package device breaks or serves a rule of the map.
package device

import (
	_ "crypto/cipher"
	_ "crypto/hpke"
)

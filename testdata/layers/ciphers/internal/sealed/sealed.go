// Package sealed breaks or serves a rule of the map.
package sealed

import (
	_ "crypto/aes"
	_ "crypto/hpke"
)

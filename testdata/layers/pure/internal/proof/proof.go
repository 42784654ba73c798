// Package proof breaks or serves a rule of the map.
package proof

import (
	_ "crypto/sha256"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/thumbturn/thumbturn/internal/canon"
)

// Package fault breaks or serves a rule of the map.
package fault

import (
	_ "example.com/stranger/deep"
	_ "github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"
)

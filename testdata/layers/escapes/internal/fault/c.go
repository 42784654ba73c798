// Package fault hides its escapes behind cgo, a system and a directive.
package fault

import "C"

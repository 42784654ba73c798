// Package strict opens containers that may be hostile: JSON, CSV, and one file
// of a ZIP archive.
//
// It bounds the work and the memory that input can cause, refuses what programs
// read differently from one another, and takes quotes and escapes off in place,
// so that a secret in the input has no second copy to wipe.
package strict

// Error says what is wrong with the input, and where. It never holds any of its
// text.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// maxDepth bounds nested objects and arrays.
const maxDepth = 64

//go:build !linux && !darwin

package sqlite

// freeSpace is not known on this system: the commit finds out.
func freeSpace(string) (free int64, known bool) { return 0, false }

//go:build linux || darwin

package sqlite

import "golang.org/x/sys/unix"

// freeSpace is what a user without privileges may still write to the disk of a
// folder, in bytes.
func freeSpace(dir string) (free int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}

//go:build unix

package finder

import (
	"io/fs"
	"os"
	"syscall"
)

func mine(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

func sameSystem(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && x.Dev == y.Dev
}

func writableByAll(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o002 != 0 }

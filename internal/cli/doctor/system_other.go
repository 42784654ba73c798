//go:build !unix

package doctor

import "io/fs"

func owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

func memory() []Finding {
	return []Finding{{"memory", Warning, "limits of memory and core dumps are not read on this system", ""}}
}

package doctor

import "golang.org/x/sys/unix"

// dumpable tells whether programs of the same user may read this process.
func dumpable() Finding {
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || n != 0 {
		return Finding{"core dumps", Problem, "other programs may read the memory of this one", "it should have closed it as it began; report this"}
	}
	return Finding{"core dumps", OK, "off, and other programs of yours cannot read the memory of this one", ""}
}

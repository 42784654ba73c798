package arena

import "golang.org/x/sys/unix"

// adviseSecret keeps memory out of core dumps and out of forked children.
func adviseSecret(mem []byte) {
	_ = unix.Madvise(mem, unix.MADV_DONTDUMP)
	_ = unix.Madvise(mem, unix.MADV_WIPEONFORK)
}

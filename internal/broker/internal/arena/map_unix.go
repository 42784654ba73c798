//go:build unix

package arena

import "golang.org/x/sys/unix"

// mapLocked returns n bytes of zeroed memory outside the Go heap, locked into
// RAM and left out of core dumps where the system allows; locked tells whether
// it did.
func mapLocked(n int) (mem []byte, locked bool, err error) {
	mem, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, false, err
	}
	locked = unix.Mlock(mem) == nil
	adviseSecret(mem)
	return mem, locked, nil
}

func unmap(mem []byte) { _ = unix.Munmap(mem) }

//go:build !unix

package arena

// mapLocked returns ordinary memory: locking is absent on this platform, and
// status says so.
func mapLocked(n int) (mem []byte, locked bool, err error) { return make([]byte, n), false, nil }

func unmap(mem []byte) { clear(mem) }

//go:build goexperiment.runtimesecret

package open

import "runtime/secret"

// erasing runs f so that what f leaves on the stack, in registers and on the
// heap is erased (linux on amd64 and arm64; elsewhere it only runs f).
func erasing(f func()) { secret.Do(f) }

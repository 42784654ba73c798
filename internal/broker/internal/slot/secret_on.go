//go:build goexperiment.runtimesecret

package slot

import "runtime/secret"

// Erasing runs f so that what f leaves on the stack, in registers and on the
// heap is erased (linux on amd64 and arm64; elsewhere it only runs f).
func Erasing(f func()) { secret.Do(f) }

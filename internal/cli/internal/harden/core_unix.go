//go:build unix

package harden

import "golang.org/x/sys/unix"

func noCore() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

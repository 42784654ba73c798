//go:build !unix

package main

import "syscall"

// ownSession: there are no sessions here, and the rows that need one fail.
func ownSession() *syscall.SysProcAttr { return nil }

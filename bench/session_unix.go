//go:build unix

package main

import "syscall"

// ownSession makes a child the leader of a session without a terminal.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ownSession makes a process the leader of a new session.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// killSession ends a child that leads its own session, with what it started.
func killSession(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// gone waits until no daemon holds the home: it keeps a lock to its last breath.
func gone(ctx context.Context, home string) error {
	f, err := os.Open(filepath.Join(home, "run", "lock"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // which gives the lock back
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

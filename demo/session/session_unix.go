//go:build unix

// Package session starts processes that lead a session of their own, and ends them.
package session

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Own makes a process the leader of a new session.
func Own() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Kill ends a child that leads its own session, with what it started.
func Kill(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// Gone waits until no daemon holds the home: it keeps a lock to its last breath.
func Gone(ctx context.Context, home string) error {
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

//go:build !unix

// Package session does nothing here: the story runs on Linux only.
package session

import (
	"context"
	"errors"
	"syscall"
)

// Own changes nothing.
func Own() *syscall.SysProcAttr { return nil }

// Kill is for other systems.
func Kill(int) error { return errors.ErrUnsupported }

// Gone is for other systems.
func Gone(context.Context, string) error { return errors.ErrUnsupported }

//go:build !unix

package main

import (
	"context"
	"errors"
	"syscall"
)

func ownSession() *syscall.SysProcAttr { return nil }

func killSession(int) error { return errors.ErrUnsupported }

func gone(context.Context, string) error { return errors.ErrUnsupported }

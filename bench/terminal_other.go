//go:build !linux

package main

import (
	"context"

	"github.com/thumbturn/thumbturn/bench/table"
)

// terminalRows: programs get no terminal of their own here.
func (d desk) terminalRows(context.Context) ([]table.Row, error) { return nil, nil }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/internal/term"
)

// terminalRows runs `thumbturn run -- true` on a terminal, beside the floor that
// pipes. This session gets the terminal, so it is the last part.
func (d desk) terminalRows(ctx context.Context) ([]table.Row, error) {
	master, slave, err := term.Pair()
	if err != nil {
		return nil, err
	}
	defer master.Close()
	signal.Ignore(syscall.SIGTTOU, syscall.SIGHUP)
	if err := unix.IoctlSetInt(int(slave.Fd()), unix.TIOCSCTTY, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("no controlling terminal: %w", err), slave.Close())
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, master) }() // ends when the last slave is closed
	defer func() { _ = slave.Close(); <-drained }()
	if err := d.unlock(ctx); err != nil { // with a terminal it is another session
		return nil, err
	}
	ours := &runner{name: "thumbturn run -- true, on a terminal", argv: []string{d.bin("thumbturn"), "run", "--", "true"}, env: []string{"TOKEN=" + tokenRef}}
	floor := &runner{name: "static Go, pipes", argv: []string{d.bin("floor"), "true"}}
	for range everyRounds {
		if err := onTerminal(ctx, ours, slave); err != nil {
			return nil, err
		}
		if err := floor.once(ctx); err != nil {
			return nil, err
		}
	}
	m, f := table.Median(ours.took), table.Median(floor.took)
	ratio := float64(m) / float64(f)
	return []table.Row{{ours.name, table.Millis(m), floor.name + " " + table.Millis(f), table.Times(ratio), "<= 3.5x", table.Met(ratio <= 3.5)}}, nil
}

// onTerminal is once in the foreground of the terminal.
func onTerminal(ctx context.Context, r *runner, tty *os.File) error {
	cmd := exec.CommandContext(ctx, r.argv[0], r.argv[1:]...)
	cmd.Env = append(os.Environ(), r.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: int(tty.Fd())}
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.took = append(r.took, time.Since(began))
	return nil
}

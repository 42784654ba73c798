// Command floor runs a program with its output copied through two pipes and
// ends as it ended: the least that any program does that masks what its child
// prints. It links nothing else, so that its start costs what Go's start costs.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: floor COMMAND [ARG]...")
		os.Exit(2)
	}
	err := run(exec.Command(os.Args[1], os.Args[2:]...))
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(e.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(cmd *exec.Cmd) error {
	cmd.Stdin = os.Stdin
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(os.Stdout, out) })
	wg.Go(func() { _, _ = io.Copy(os.Stderr, errs) })
	wg.Wait()
	return cmd.Wait()
}

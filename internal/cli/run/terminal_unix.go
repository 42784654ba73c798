//go:build unix

package run

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// runOn starts the program on the terminal made for it, and waits for it and
// for its output. The person's terminal is back when it returns.
func (c child) runOn(p *program, env []string) (ending, error) {
	defer c.own.Close()
	streams := []*stream{{from: c.own.Output(), to: c.mask.Writer(c.out)}}
	if errs := c.own.Errors(); errs != nil {
		streams = append(streams, &stream{from: errs, to: c.mask.Writer(c.err)})
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append(forwarded(), syscall.SIGCONT)...)
	defer signal.Stop(signals)
	if err := c.own.Exec(p.file.path, p.args, env); err != nil {
		if _, ok := errors.AsType[syscall.Errno](err); ok {
			return ending{}, startFailed(p.file.path, err)
		}
		return ending{}, fault.New(fault.Unavailable, "run", p.file.path, "its terminal is gone")
	}
	c.started()
	var copies sync.WaitGroup
	for _, s := range streams {
		copies.Go(s.copy)
	}
	ws, lost := c.own.Wait(signals)
	for _, s := range streams {
		s.endSoon()
	}
	copies.Wait()
	c.own.Close()
	c.complain(streams...)
	if lost != nil {
		fmt.Fprintln(c.err, "thumbturn: what watched the program is gone; how the program ended is not known")
		return ending{status: 1}, nil
	}
	return endingOf(ws), nil
}

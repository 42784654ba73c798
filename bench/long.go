package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/thumbturn/thumbturn/bench/table"
)

const (
	longRounds = 3
	longBytes  = 256 << 20 // the longest value there is
)

// longRows times the longest value: attached from a file, and read back into one,
// each turn beside a copy of the same file that is on the disk when it ends, as
// theirs are.
func (d desk) longRows(ctx context.Context) ([]table.Row, error) {
	c, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	err = d.openWindow(ctx, c)
	c.Close()
	if err != nil {
		return nil, err
	}
	file, out := filepath.Join(d.dir, "long"), filepath.Join(d.dir, "long.out")
	if err := noise(file); err != nil {
		return nil, err
	}
	var copied, attached, read []time.Duration
	for i := range longRounds {
		title := fmt.Sprintf("long%d", i)
		for _, step := range []struct {
			took *[]time.Duration
			do   func() error
		}{
			{&copied, func() error { return errors.Join(tool(ctx, "cp", file, out), tool(ctx, "sync", out)) }},
			{&attached, func() error {
				return tool(ctx, d.bin("thumbturn"), "item", "create", "--vault", vaultName, "--title", title, "image[file]="+file)
			}},
			{&read, func() error {
				return tool(ctx, d.bin("thumbturn"), "read", "-f", "--out-file", out, "op://"+vaultName+"/"+title+"/image")
			}},
		} {
			began := time.Now()
			if err := step.do(); err != nil {
				return nil, err
			}
			*step.took = append(*step.took, time.Since(began))
		}
	}
	c0 := table.Median(copied)
	line := func(what string, took []time.Duration) table.Row {
		m := table.Median(took)
		return table.Row{what, table.Millis(m), "cp and sync " + table.Millis(c0), table.Times(float64(m) / float64(c0)), "", ""}
	}
	return []table.Row{line("a file of 256 MiB, attached", attached), line("a file of 256 MiB, read into a file", read)}, nil
}

// noise writes a file that nothing can compress.
func noise(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), longBytes)
	return errors.Join(err, f.Sync(), f.Close())
}

func tool(ctx context.Context, name string, args ...string) error {
	if said, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, said)
	}
	return nil
}

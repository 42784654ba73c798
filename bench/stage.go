package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/bench/masking"
	"github.com/thumbturn/thumbturn/bench/table"
)

// The longest a whole run may take.
const limit = 8 * time.Minute

// stage is what a run is made in.
type stage struct {
	dir   string // temporary; holds bin/ and home/
	items int
	only  string // comma-separated names of parts; empty means all
}

func (s stage) bin(name string) string { return filepath.Join(s.dir, "bin", name) }

func (s stage) wants(part string) bool {
	return s.only == "" || strings.Contains(","+s.only+",", ","+part+",")
}

// dispatch runs one of the processes of a benchmark: without a name the one that
// prints the table.
func dispatch(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if len(args) > 0 {
		switch args[0] {
		case "session":
			return session(ctx, args[1:])
		case "load":
			return load(ctx, args[1:])
		case "http":
			return serveHTTP(ctx)
		}
	}
	var s stage
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&s.items, "items", 100_000, "items of the large vault")
	f.StringVar(&s.only, "only", "", "parts to run: mask,ledger,run,read,rss,scale,everyday,long")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "thumbturn-bench-"); err != nil {
		return err
	}
	rows, err := s.measure(ctx)
	return errors.Join(table.Print(os.Stdout, rows), err, os.RemoveAll(s.dir))
}

func (s stage) measure(ctx context.Context) ([]table.Row, error) {
	progress("building into %s", s.dir)
	if err := s.build(ctx); err != nil {
		return nil, err
	}
	var rows []table.Row
	if s.wants("mask") {
		progress("masking")
		r, err := masking.Rows()
		if err != nil {
			return rows, err
		}
		rows = append(rows, r...)
	}
	if s.wants("ledger") {
		progress("durable intents")
		r, err := ledgerRows(ctx, filepath.Join(s.dir, "ledger"))
		if err != nil {
			return rows, err
		}
		rows = append(rows, r...)
	}
	if !s.wants("run") && !s.wants("read") && !s.wants("rss") && !s.wants("scale") && !s.wants("everyday") && !s.wants("long") {
		return rows, nil
	}
	r, err := s.ask(ctx)
	return append(rows, r...), err
}

// build makes the programs as the Makefile does, with the caller's GOEXPERIMENT.
func (s stage) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(s.dir, "bin")+"/",
		"./cmd/thumbturn", "./cmd/thumbturnd", "./bench/floor", "./bench")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// ask runs the session that may ask the daemon and collects its rows.
func (s stage) ask(ctx context.Context) ([]table.Row, error) {
	cmd := exec.CommandContext(ctx, s.bin("bench"), "session", s.dir, fmt.Sprint(s.items), s.only)
	cmd.SysProcAttr = ownSession()
	cmd.Env = append(cleanEnv(), "THUMBTURN_HOME="+filepath.Join(s.dir, "home"))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var rows []table.Row
	for dec := json.NewDecoder(out); ; {
		var r table.Row
		if e := dec.Decode(&r); e != nil {
			if e != io.EOF {
				err = e
			}
			break
		}
		rows = append(rows, r)
	}
	return rows, errors.Join(err, cmd.Wait())
}

// cleanEnv is the environment without what points at another home.
func cleanEnv() []string {
	var out []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "THUMBTURN_") && !strings.Contains(kv, "=op://") {
			out = append(out, kv)
		}
	}
	return out
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "... "+format+"\n", args...) }

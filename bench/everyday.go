package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/sdk"
)

const (
	everyRounds  = 20
	templateSize = 10 << 20
	templateRefs = 1000
)

// everydayRows times what people wait for all day: the start of a command, a
// program on a terminal, and a large template.
func (d desk) everydayRows(ctx context.Context) ([]table.Row, error) {
	var rows []table.Row
	for _, part := range []func(context.Context) ([]table.Row, error){d.startRows, d.injectRows, d.terminalRows} {
		more, err := part(ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// startRows times the start of a command.
func (d desk) startRows(ctx context.Context) ([]table.Row, error) {
	var start []time.Duration
	for range everyRounds {
		began := time.Now()
		if err := exec.CommandContext(ctx, d.bin("thumbturn"), "version").Run(); err != nil {
			return nil, err
		}
		start = append(start, time.Since(began))
	}
	m := table.Median(start)
	return []table.Row{{"start of a command (thumbturn version)", table.Millis(m), "", "", "< 10 ms", table.Met(m < 10*time.Millisecond)}}, nil
}

// injectRows fills a large template, and beside it reads one value: the rest is
// what the template costs.
func (d desk) injectRows(ctx context.Context) ([]table.Row, error) {
	c, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in := put("template")
	var values [][]byte
	in.Fields = nil
	for i := range templateRefs {
		in.Fields = append(in.Fields, api.Field{Label: fmt.Sprintf("f%d", i), Type: "CONCEALED", Concealed: true, Value: true})
		values = append(values, fmt.Appendf(nil, "value-%06d-of-the-template", i))
	}
	if _, err := c.ItemPut(ctx, in, values, nil); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	filler := bytes.Repeat([]byte("setting: what nobody looks at\n"), templateSize/templateRefs/30)
	for i := range templateRefs {
		text.Write(filler)
		fmt.Fprintf(&text, "key%d: {{ op://%s/template/f%d }}\n", i, vaultName, i)
	}
	tpl, out := filepath.Join(d.dir, "tpl"), filepath.Join(d.dir, "out")
	if err := os.WriteFile(tpl, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	if err := d.openWindow(ctx, c); err != nil {
		return nil, err
	}
	var refs, names []string
	for i := range templateRefs {
		refs, names = append(refs, fmt.Sprintf("op://%s/template/f%d", vaultName, i)), append(names, fmt.Sprintf("F%d", i))
	}
	var whole, opening []time.Duration
	for range 5 {
		began := time.Now()
		cmd := exec.CommandContext(ctx, d.bin("thumbturn"), "inject", "-f", "-i", tpl, "-o", out)
		if said, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("inject: %w: %s", err, said)
		}
		whole = append(whole, time.Since(began))
		began = time.Now()
		if _, _, err := c.Release(ctx, api.Want{Sink: "handoff", Refs: refs, Names: names}, nil); err != nil {
			return nil, err
		}
		opening = append(opening, time.Since(began))
	}
	w, o := table.Median(whole), table.Median(opening)
	return []table.Row{{fmt.Sprintf("inject, %d MB, %d references", text.Len()/1e6, templateRefs), table.Millis(w), "opening the values " + table.Millis(o),
		fmt.Sprintf("%s beside", table.Millis(w-o)), "< 150 ms beside", table.Met(w-o < 150*time.Millisecond)}}, nil
}

// openWindow reads one value by a child of the leader, with a gesture: then
// others may read for a while.
func (d desk) openWindow(ctx context.Context, c *sdk.Client) error {
	id, err := exec.CommandContext(ctx, d.bin("thumbturn"), "read", "--no-wait", tokenRef).Output()
	if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 5 {
		return fmt.Errorf("read did not park: %w", err)
	}
	request := strings.TrimSpace(string(id))
	if err := c.Approve(ctx, api.RequestID{ID: request, Source: "file"}, []byte(presencePhrase)); err != nil {
		return err
	}
	return exec.CommandContext(ctx, d.bin("thumbturn"), "read", "--request", request, tokenRef).Run()
}

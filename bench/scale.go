package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/sdk"
)

// fillTime bounds the filling of the large vault; what is there then is what is
// measured, and said.
const fillTime = 90 * time.Second

const titlePrefix = "bench-item-"

// fill writes items, one concealed value each, over many connections.
func (d desk) fill(ctx context.Context) (int, time.Duration, error) {
	var next, written atomic.Int64
	began := time.Now()
	errs := make([]error, manyClients)
	var wg sync.WaitGroup
	for w := range manyClients {
		wg.Go(func() {
			var c *sdk.Client
			if c, errs[w] = d.dial(ctx); errs[w] != nil {
				return
			}
			defer c.Close()
			value := make([]byte, 40)
			for time.Since(began) < fillTime {
				i := next.Add(1)
				if i > int64(d.items) {
					return
				}
				_, _ = rand.Read(value) // never fails
				if _, errs[w] = c.ItemPut(ctx, put(fmt.Sprintf("%s%06d", titlePrefix, i)), [][]byte{value}, nil); errs[w] != nil {
					return
				}
				written.Add(1)
			}
		})
	}
	wg.Wait()
	return int(written.Load()), time.Since(began), errors.Join(errs...)
}

// scaleRows measures what grows with the number of items.
func (d desk) scaleRows(ctx context.Context) ([]table.Row, error) {
	small, err := d.relock(ctx)
	if err != nil {
		return nil, err
	}
	n, took, err := d.fill(ctx)
	if err != nil {
		return nil, fmt.Errorf("after %d items: %w", n, err)
	}
	items := fmt.Sprintf("%d items", n)
	if n < d.items {
		items += fmt.Sprintf(" (%d wanted)", d.items)
	}
	rows := []table.Row{{"item create over 16 connections", table.Rate(float64(n) / took.Seconds()), items + " in " + table.Seconds(took), "", "", ""}}
	var unlocks, hashes []time.Duration
	for range 3 {
		hashes = append(hashes, argon())
		t, err := d.relock(ctx)
		if err != nil {
			return rows, err
		}
		unlocks = append(unlocks, t)
	}
	u, a := table.Median(unlocks), table.Median(hashes)
	rows = append(rows, table.Row{"unlock, " + items, table.Seconds(u), "Argon2id " + table.Seconds(a) + ", 1 item " + table.Seconds(small),
		fmt.Sprintf("%s beside", table.Seconds(u-a)), "< 1 s beside", table.Met(u-a < time.Second)})
	first, all, lines, err := d.list(ctx)
	if err != nil {
		return rows, err
	}
	rows = append(rows,
		table.Row{"item list, first line", table.Millis(first), fmt.Sprintf("%d lines", lines), "", "< 50 ms", table.Met(first < 50*time.Millisecond)},
		table.Row{"item list, all", table.Seconds(all), fmt.Sprintf("%d lines", lines), "", "< 1 s", table.Met(all < time.Second)})
	rss, err := d.daemonRSS(ctx)
	if err != nil {
		return rows, err
	}
	return append(rows, table.Row{"daemon memory, " + items, fmt.Sprintf("%.0f MB", float64(rss)/1e6), "", fmt.Sprintf("%.0f B an item", float64(rss)/float64(n)), "", ""}), nil
}

// relock locks and returns how long the unlock after it takes.
func (d desk) relock(ctx context.Context) (time.Duration, error) {
	c, err := d.dial(ctx)
	if err != nil {
		return 0, err
	}
	err = c.Lock(ctx)
	c.Close()
	if err != nil {
		return 0, err
	}
	for range 200 { // the daemon replaces its own image meanwhile
		if c, err = d.dial(ctx); err == nil && c.Hello().State == "locked" {
			break
		}
		if err == nil {
			c.Close()
			err = errors.New("still unlocked")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return 0, err
	}
	c.Close()
	began := time.Now()
	if err := d.unlock(ctx); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// argon is the time of the key derivation that every unlock must do.
func argon() time.Duration {
	began := time.Now()
	argon2.IDKey([]byte(unlockPhrase), make([]byte, 16), 3, 64<<10, 4, 32)
	return time.Since(began)
}

// list runs `item list` and returns when its first item and its end came.
func (d desk) list(ctx context.Context) (first, all time.Duration, lines int, err error) {
	cmd := exec.CommandContext(ctx, d.bin("thumbturn"), "item", "list")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, 0, err
	}
	for s := bufio.NewScanner(out); s.Scan(); lines++ {
		if first == 0 && strings.Contains(s.Text(), titlePrefix) {
			first = time.Since(began)
		}
	}
	err = cmd.Wait()
	return first, time.Since(began), lines, err
}

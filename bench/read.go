package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/sdk"
)

const (
	readRounds = 3
	readRound  = 1500 * time.Millisecond
)

// The published rates of peers and of the net/http floor beside which they were
// measured, on a machine with two cores, 16 clients, 1 KiB.
const (
	peerFloor = 72853.0
	peerBao   = 7877.0
	peerSetec = 8006.0
)

// rates are what the load generator reports, per second.
type rates struct{ Floor, Handoff, Reveal []float64 }

// readRows has a child of the leader read: only such a one has the reveal
// window.
func (d desk) readRows(ctx context.Context) ([]table.Row, error) {
	cmd := exec.CommandContext(ctx, d.bin("bench"), "load", d.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var got rates
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, err
	}
	base, hold, show := table.Median(got.Floor), table.Median(got.Handoff), table.Median(got.Reveal)
	floor := "bare net/http " + table.Rate(base)
	best := max(peerBao, peerSetec) / peerFloor
	line := func(what string, r float64) table.Row {
		return table.Row{what, table.Rate(r), floor, fmt.Sprintf("%.3fx", r/base), fmt.Sprintf("> %.3fx", best), table.Met(r/base > best)}
	}
	return []table.Row{
		line(fmt.Sprintf("reads, %d clients, handoff (an fsynced intent each)", manyClients), hold),
		line(fmt.Sprintf("reads, %d clients, reveal in its window (reserved in blocks)", manyClients), show),
		{"  peers' published: OpenBao, setec (no durable record)", fmt.Sprintf("%.0f/s, %.0f/s", peerBao, peerSetec),
			"bare net/http " + table.Rate(peerFloor), fmt.Sprintf("%.3fx, %.3fx", peerBao/peerFloor, peerSetec/peerFloor), "", ""},
	}, nil
}

// load is the process of the load generator.
func load(ctx context.Context, args []string) error {
	home, err := api.FindHome(os.Getenv)
	if err != nil || len(args) != 1 {
		return errors.Join(err, errors.New("load: want a folder"))
	}
	d := desk{stage{dir: args[0]}, home}
	pages, done, err := httpFloor(ctx)
	if err != nil {
		return err
	}
	defer done()
	var clients []*sdk.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for range manyClients {
		c, err := d.dial(ctx)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	release := func(sink string, wait sdk.OnWaiting) func(int) error {
		return func(w int) error {
			_, values, err := clients[w].Release(ctx, api.Want{Sink: sink, Refs: []string{pageRef}}, wait)
			if err == nil && len(values[0]) != pageBytes {
				return errors.New("a value of another length")
			}
			return err
		}
	}
	// The first reveal needs the gesture that opens the window.
	wait, answered := d.approver(ctx)
	if err := errors.Join(release("reveal", wait)(0), answered()); err != nil {
		return err
	}
	var got rates
	for range readRounds {
		for _, m := range []struct {
			to *[]float64
			f  func(int) error
		}{{&got.Floor, pages}, {&got.Handoff, release("handoff", nil)}, {&got.Reveal, release("reveal", nil)}} {
			r, err := table.During(readRound, manyClients, m.f)
			if err != nil {
				return err
			}
			*m.to = append(*m.to, r)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

// serveHTTP is the floor's server: it answers 1 KiB on loopback and ends with
// its standard input.
func serveHTTP(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	page := bytes.Repeat([]byte("x"), pageBytes)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(page)
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	err = s.Close()
	<-served
	return err
}

// httpFloor starts the server in a process of its own and returns what fetches
// one page over the worker's kept connection. The client is no more than it
// takes: net/http's own would be slower than the server.
func httpFloor(ctx context.Context) (fetch func(int) error, done func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, "http")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	var conns []net.Conn
	done = func() {
		for _, c := range conns {
			c.Close()
		}
		in.Close()
		_ = cmd.Wait()
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	var readers []*bufio.Reader
	for range manyClients {
		var c net.Conn
		if err == nil {
			c, err = net.Dial("tcp", strings.TrimSpace(addr))
		}
		if err != nil {
			done()
			return nil, nil, err
		}
		conns, readers = append(conns, c), append(readers, bufio.NewReader(c))
	}
	ask := []byte("GET / HTTP/1.1\r\nHost: floor\r\n\r\n")
	return func(w int) error {
		if _, err := conns[w].Write(ask); err != nil {
			return err
		}
		for {
			line, err := readers[w].ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				_, err := readers[w].Discard(pageBytes)
				return err
			}
		}
	}, done, nil
}

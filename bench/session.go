package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/sdk"
)

const (
	unlockPhrase   = "cobalt-harbour-thimble-orchard-lantern"
	presencePhrase = "velvet-anchor-pumice-ladder-citadel"
	vaultName      = "bench"
	tokenRef       = "op://bench/run/token"
	tokenBytes     = 40
	pageRef        = "op://bench/page/token"
	pageBytes      = 1024 // as much as the net/http floor answers
)

// desk is the leader of a session that a test home takes for a person's.
type desk struct {
	stage
	home api.Home
}

func (d desk) dial(ctx context.Context) (*sdk.Client, error) {
	return sdk.Dial(ctx, d.home, sdk.Options{})
}

// session is the process that leads the session: dir, items, parts.
func session(ctx context.Context, args []string) (err error) {
	if len(args) != 3 {
		return errors.New("session: want a folder, a number and parts")
	}
	items, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	home, err := api.FindHome(os.Getenv)
	if err != nil {
		return err
	}
	d := desk{stage{dir: args[0], items: items, only: args[2]}, home}
	if out, err := exec.CommandContext(ctx, d.bin("thumbturn"), "daemon", "start").CombinedOutput(); err != nil {
		return fmt.Errorf("daemon start: %w: %s", err, out)
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.found(ctx); err != nil {
		return err
	}
	enc := json.NewEncoder(os.Stdout)
	for _, part := range []struct {
		name string
		rows func(context.Context) ([]table.Row, error)
	}{{"rss", d.restRows}, {"run", d.runRows}, {"read", d.readRows}, {"scale", d.scaleRows}, {"everyday", d.everydayRows}, {"long", d.longRows}} {
		if !d.wants(part.name) {
			continue
		}
		progress("%s", part.name)
		rows, err := part.rows(ctx)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// stop ends the daemon, also after the time of the run is up.
func (d desk) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Stop(ctx)
}

// found makes the account, marks this session and writes the one secret that
// run and read use.
func (d desk) found(ctx context.Context) error {
	c, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	auth := api.Auth{Source: "file"}
	if _, err := c.Init(ctx, api.Init{Auth: auth, TestHome: true}, []byte(unlockPhrase), []byte(presencePhrase)); err != nil {
		return err
	}
	if err := d.unlock(ctx); err != nil {
		return err
	}
	return d.stock(ctx)
}

// stock fills the vault, over a connection of the marked session: who asks is
// established as a connection begins.
func (d desk) stock(ctx context.Context) error {
	c, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	who, err := c.Whoami(ctx)
	if err != nil {
		return err
	}
	if who.Kind != "person" {
		return fmt.Errorf("the session is not a person's: %s", who.Why)
	}
	wait, answered := d.approver(ctx)
	_, err = c.VaultCreate(ctx, api.VaultCreate{Name: vaultName, Tier: "standard"}, wait)
	if err := errors.Join(err, answered()); err != nil {
		return err
	}
	for title, n := range map[string]int{"run": tokenBytes, "page": pageBytes} {
		value := []byte(strings.Repeat("01234567", n/8))
		if _, err := c.ItemPut(ctx, put(title), [][]byte{value}, nil); err != nil {
			return err
		}
	}
	return nil
}

func put(title string) api.ItemPut {
	return api.ItemPut{Mode: "create", Vault: vaultName, Item: title, Title: title, Category: "API_CREDENTIAL",
		Fields: []api.Field{{Label: "token", Type: "CONCEALED", Concealed: true, Value: true}}}
}

func (d desk) unlock(ctx context.Context) error {
	c, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Unlock(ctx, api.Auth{Source: "file"}, []byte(unlockPhrase))
}

// approver returns what answers a request as soon as it waits, over a connection
// of its own, and what tells how that went.
func (d desk) approver(ctx context.Context) (wait func(api.Waiting), answered func() error) {
	var failed error
	return func(w api.Waiting) {
		c, err := d.dial(ctx)
		if err != nil {
			failed = err
			return
		}
		defer c.Close()
		failed = c.Approve(ctx, api.RequestID{ID: w.Request, Source: "file"}, []byte(presencePhrase))
	}, func() error { return failed }
}

// daemonRSS is the resident memory of the daemon in bytes.
func (d desk) daemonRSS(ctx context.Context) (int, error) {
	c, err := d.dial(ctx)
	if err != nil {
		return 0, err
	}
	pid := c.Hello().PID
	c.Close()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS in the status of the daemon")
}

// settle is how long the daemon idles before its memory is read.
const settle = 3 * time.Second

func (d desk) restRows(ctx context.Context) ([]table.Row, error) {
	at, err := d.daemonRSS(ctx)
	if err != nil {
		return nil, err
	}
	time.Sleep(settle)
	rss, err := d.daemonRSS(ctx)
	if err != nil {
		return nil, err
	}
	return []table.Row{{"idle daemon, unlocked", fmt.Sprintf("%.1f MB", float64(rss)/1e6), fmt.Sprintf("%v earlier %.1f MB", settle, float64(at)/1e6),
		"", "< 40 MB", table.Met(rss < 40e6)}}, nil
}

//go:build unix

package account_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
)

// filed opens the account again with files, on a database that is what newHome
// left.
func filed(t *testing.T) (*home, account.Files) {
	t.Helper()
	h := newHome(t)
	db := h.db.Store.(*sqlite.DB)
	f := account.Files{Data: filepath.Join(h.dir, "data"), Config: filepath.Join(h.dir, "config"), Copy: db.Backup}
	h.reopen(account.Options{Files: f})
	return h, f
}

// reopen opens the account again, with other options.
func (h *home) reopen(o account.Options) {
	h.t.Helper()
	if err := h.acc.Close(context.Background(), "again"); err != nil {
		h.t.Fatal(err)
	}
	h.again(o)
}

// again opens an account that is closed.
func (h *home) again(o account.Options) {
	h.t.Helper()
	kernel := evidence(h.t) // as newHome sees it: another reading of one process is no match
	o.Store, o.Device, o.Clock, o.Rand, o.Free = h.db, h.dev, h.clock, rand.Reader, func() {}
	o.Who = func(test bool) *identity.Registry { return identity.New(kernel, identity.Options{TestHome: test}) }
	var err error
	if h.acc, h.broker, err = account.Open(context.Background(), o); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = h.acc.Close(context.Background(), "test ends") })
}

// Backups while events are written are each whole, one at a time, and nobody
// unknown gets one.
func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	h, f := filed(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				h.broker.RefuseLocked(h.who, "read")
			}
		}
	})
	done := 0
	var mu sync.Mutex
	var takers sync.WaitGroup
	for range 4 {
		takers.Go(func() {
			var b bytes.Buffer
			err := h.acc.Backup(ctx, h.who, &b)
			if fault.Is(err, fault.Conflict) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			m, err := archive.Read(&b, nil)
			if err != nil || m.Statements == 0 || m.Events == 0 || len(m.Parts) != 1 {
				t.Errorf("%+v, %v", m, err)
			}
			mu.Lock()
			defer mu.Unlock()
			done++
		})
	}
	takers.Wait()
	close(stop)
	wg.Wait()
	if done == 0 {
		t.Error("nobody got a backup")
	}
	if err := h.acc.Backup(ctx, identity.Caller{}, &bytes.Buffer{}); !fault.Is(err, fault.Denied) {
		t.Errorf("nobody: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.Data, ".copy-*")); len(left) != 0 {
		t.Errorf("%q", left)
	}
}

// A backup is put back only by a gesture and by its own device; whatever is
// refused leaves the account at work. What is accepted is in place after the
// swap, and the pin is its head's.
func TestPutBack(t *testing.T) {
	t.Parallel()
	h, f := filed(t)
	ctx := context.Background()
	if err := os.Mkdir(f.Config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.Config, "policy.cedar"), []byte("draft"), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := h.acc.Backup(ctx, h.who, &b); err != nil {
		t.Fatal(err)
	}
	put := func(from []byte, presence string) (func() error, error) {
		r, err := h.acc.PutBack(ctx, h.who, broker.Ask{}, "file", bytes.NewReader(from), []byte(presence))
		return r.Swap, err
	}
	h.broker.RefuseLocked(h.who, "read")
	h.events() // waits until it is written
	if _, err := put(b.Bytes(), presencePass); !fault.Is(err, fault.Conflict) {
		t.Errorf("over a newer home: %v", err)
	}
	if _, err := put(b.Bytes()[:b.Len()/2], presencePass); !fault.Is(err, fault.Tampered) {
		t.Errorf("half a backup: %v", err)
	}
	if got := h.acc.State(); got != "locked" {
		t.Errorf("after refusals the state is %s", got)
	}

	// The same device, without its database.
	if err := h.acc.Close(ctx, "lost"); err != nil {
		t.Fatal(err)
	}
	empty, err := sqlite.Open(filepath.Join(h.dir, "empty.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	kernel := evidence(t)
	if err := os.Remove(filepath.Join(f.Config, "policy.cedar")); err != nil {
		t.Fatal(err)
	}
	o := account.Options{Store: empty, Device: h.dev, Clock: h.clock, Rand: rand.Reader, Files: f, Free: func() {},
		Who: func(test bool) *identity.Registry { return identity.New(kernel, identity.Options{TestHome: test}) }}
	if h.acc, h.broker, err = account.Open(ctx, o); err != nil {
		t.Fatal(err)
	}
	before, err := h.dev.Pin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(b.Bytes(), unlockPass); !fault.Is(err, fault.Passphrase) {
		t.Errorf("the wrong passphrase: %v", err)
	}
	if _, err := h.acc.PutBack(ctx, identity.Caller{}, broker.Ask{}, "file", bytes.NewReader(b.Bytes()), []byte(presencePass)); !fault.Is(err, fault.Denied) {
		t.Errorf("nobody: %v", err)
	}
	if now, err := h.dev.Pin(); err != nil || now != before {
		t.Errorf("a refusal moved the pin: %v", err)
	}
	swap, err := put(b.Bytes(), presencePass)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(b.Bytes(), presencePass); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second one before the swap: %v", err)
	}
	if err := h.acc.Close(ctx, "swap"); err != nil {
		t.Fatal(err)
	}
	if err := swap(); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(filepath.Join(f.Data, filepath.Base(archive.Database)), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	o.Store = db
	if h.acc, h.broker, err = account.Open(ctx, o); err != nil {
		t.Fatal(err)
	}
	defer h.acc.Close(ctx, "test ends")
	if got := h.acc.State(); got != "locked" {
		t.Errorf("the state is %s", got)
	}
	if v, err := h.acc.Verify(ctx); err != nil || len(v.Problems) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if pin, err := h.dev.Pin(); err != nil || pin == (device.Pin{}) || pin.Statements == 0 {
		t.Errorf("%+v, %v", pin, err)
	}
	if got, err := os.ReadFile(filepath.Join(f.Config, "policy.cedar")); err != nil || string(got) != "draft" {
		t.Errorf("%q, %v", got, err)
	}
}

// clumsy is a clock that, once there is a copy to be put back, goes on reading it:
// closing the copy then leaves its last writes in its log, as a disk does that
// fills up just then.
type clumsy struct {
	*hand
	t       *testing.T
	data    string
	reading *sql.DB
}

func (c *clumsy) Now() time.Time {
	path, _ := filepath.Glob(filepath.Join(c.data, ".copy-*", "data", "thumbturn.db"))
	if c.reading == nil && len(path) == 1 {
		db, err := sql.Open("sqlite", "file:"+path[0]+"?mode=ro")
		if err != nil {
			c.t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		if _, err := db.Exec("BEGIN; SELECT * FROM head"); err != nil {
			c.t.Error(err)
		}
		c.reading = db
	}
	return c.hand.Now()
}

// A copy whose last writes never reached its file is not put in place, and the
// home goes on as it was.
func TestPutBackHalfWritten(t *testing.T) {
	t.Parallel()
	h, f := filed(t)
	ctx := context.Background()
	var b bytes.Buffer
	if err := h.acc.Backup(ctx, h.who, &b); err != nil {
		t.Fatal(err)
	}
	if err := h.acc.Close(ctx, "lost"); err != nil {
		t.Fatal(err)
	}
	empty, err := sqlite.Open(filepath.Join(h.dir, "empty.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	kernel := evidence(t)
	clock := &clumsy{hand: h.clock, t: t, data: f.Data}
	o := account.Options{Store: empty, Device: h.dev, Clock: clock, Rand: rand.Reader, Files: f, Free: func() {},
		Who: func(test bool) *identity.Registry { return identity.New(kernel, identity.Options{TestHome: test}) }}
	if h.acc, h.broker, err = account.Open(ctx, o); err != nil {
		t.Fatal(err)
	}
	before, err := h.dev.Pin()
	if err != nil {
		t.Fatal(err)
	}
	state := h.acc.State()
	r, err := h.acc.PutBack(ctx, h.who, broker.Ask{}, "file", bytes.NewReader(b.Bytes()), []byte(presencePass))
	if r.Swap != nil || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing was put back") {
		t.Errorf("%v", err)
	}
	if clock.reading == nil {
		t.Fatal("the test read no copy")
	}
	_ = clock.reading.Close()
	if now, err := h.dev.Pin(); err != nil || now != before || h.acc.State() != state {
		t.Errorf("the pin moved, or the state is %s: %v", h.acc.State(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.Data, ".copy-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	clock.data = t.TempDir() // nobody reads the next one
	if r, err = h.acc.PutBack(ctx, h.who, broker.Ask{}, "file", bytes.NewReader(b.Bytes()), []byte(presencePass)); err != nil || r.Swap == nil {
		t.Errorf("a second try: %v", err)
	}
}

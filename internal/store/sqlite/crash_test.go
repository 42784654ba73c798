package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/store/storetest"
)

// crashEnv names the database in the environment of a child that writes until
// it is killed.
const crashEnv = "THUMBTURN_TEST_CRASH_DB"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		fmt.Fprintln(os.Stderr, writeForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever prints the number of events after each acknowledged commit.
func writeForever(path string) error {
	d, err := Open(path, Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	h, err := d.Head(ctx)
	if err != nil {
		return err
	}
	for {
		b := storetest.Next(h, 1, 1+int(h.Statements%3))
		b.Consume = []string{strconv.FormatInt(h.Events, 10)}
		if err := d.Commit(ctx, b); err != nil {
			return err
		}
		h = b.Head
		fmt.Println(h.Events)
	}
}

// TestKilled kills a writer at a random moment, again and again: what was
// acknowledged is there, what is there is whole. A killed process is not a power
// failure; that SQLite asks for the syncs is all that is known of those here.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	last := int64(0)
	for round := range 6 {
		acked := killWriter(t, path, time.Duration(20+rand.IntN(150))*time.Millisecond)
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := storetest.Verify(t, d)
		if h.Events < acked {
			t.Errorf("round %d: %d events, but %d were acknowledged", round, h.Events, acked)
		}
		if h.Events < last {
			t.Errorf("round %d: %d events, %d before", round, h.Events, last)
		}
		last = h.Events
		integrity(t, d.readers)
		closeDB(t, d)
	}
	if last == 0 {
		t.Error("no round committed anything")
	}
	t.Logf("%d events after 6 kills", last)
}

// killWriter starts a writer, kills it after its first commit and d, and returns
// the last number it acknowledged.
func killWriter(t *testing.T, path string, d time.Duration) (acked int64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), crashEnv+"="+path)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			break // a line cut off by the kill
		}
		acked = n
		if kill == nil {
			kill = time.AfterFunc(d, func() { c.Process.Kill() })
		}
	}
	err = c.Wait()
	if kill == nil {
		t.Fatalf("the writer committed nothing: %v", err)
	}
	kill.Stop()
	return acked
}

func integrity(t *testing.T, pool *sql.DB) {
	t.Helper()
	var result string
	if err := pool.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("integrity: %q, %v", result, err)
	}
}

//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The daemon dies at any moment, again and again. What it acknowledged is there
// afterwards, and the ledger agrees.
func TestKillLoop(t *testing.T) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("THUMBTURN_KILL_ROUNDS")); err == nil && n > 0 {
		rounds = n
	}
	if testing.Short() {
		rounds = 3
	}
	t.Parallel()
	h := founded(t)
	h.set("op://dev/used/key", canary)
	acked := map[string]string{}
	for round := range rounds {
		pid := h.pid()
		var wg sync.WaitGroup
		stop := make(chan struct{})
		over := func() bool {
			select {
			case <-stop:
				return true
			default:
				return false
			}
		}
		wg.Go(func() {
			for i := 0; !over(); i++ {
				name, value := fmt.Sprintf("r%d-%d", round, i), fmt.Sprintf("value %d of round %d", i, round)
				// dev/kept is one item that every round writes again.
				for _, ref := range []string{"op://dev/" + name + "/key", "op://dev/kept/" + name} {
					if !over() && h.do(command{Argv: []string{program("thumbturn"), "set", ref}, Stdin: []byte(value)}).Code == 0 {
						acked[ref] = value
					}
				}
			}
		})
		wg.Go(func() {
			for !over() {
				h.do(command{Argv: []string{program("thumbturn"), "run", "--", "true"}, Env: []string{"KEY=op://dev/used/key"}})
			}
		})
		time.Sleep(time.Duration(20+rand.IntN(250)) * time.Millisecond)
		_ = syscall.Kill(pid, syscall.SIGKILL)
		close(stop)
		wg.Wait()
		if !gone(pid, waitLong) {
			t.Fatal("the daemon survives SIGKILL")
		}
		// A killed process may hold the home's lock for a moment longer than
		// its first thread lives.
		for try := 0; ; try++ {
			r := h.person("unlock", "--passphrase-file", h.file("unlock"))
			if r.Code == 0 {
				break
			}
			if try == 3 {
				t.Fatalf("round %d: %v", round, r)
			}
			t.Logf("round %d, unlock again after: %s", round, r.Err)
		}
		if r := h.person("audit", "verify"); r.Code != 0 || !strings.Contains(r.Out, "everything agrees") {
			t.Fatalf("round %d: %v", round, r)
		}
	}
	if len(acked) == 0 {
		t.Fatal("no write was acknowledged")
	}
	var env []string
	i := 0
	want := map[string]string{}
	for ref, value := range acked {
		env = append(env, fmt.Sprintf("K%d=%s", i, ref))
		want[fmt.Sprintf("K%d", i)] = value
		i++
	}
	out := h.file("env")
	r := h.do(command{Argv: []string{program("thumbturn"), "run", "--", "sh", "-c", "env > " + out}, Env: env})
	if r.Code != 0 {
		t.Fatalf("%v", r)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if !strings.Contains("\n"+string(b), "\n"+name+"="+value+"\n") {
			t.Errorf("%s: %q is lost", name, value)
		}
	}
	t.Logf("%d rounds, %d acknowledged writes", rounds, len(acked))
}

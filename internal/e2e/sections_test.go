//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// Two fields of one label, in two sections, are two fields to whoever handles the
// item as a whole.
func TestSameLabelInTwoSections(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.ok("item", "create", "--vault", "dev", "--title", "two", "A.token="+canary+" A", "B.token="+canary+" B")
	wantSaid(t, h.person("read", "op://dev/two/token"), "op://dev/two/A/token", "op://dev/two/B/token")
	wantSaid(t, h.person("read", "op://dev/two/token?attribute=type"), "op://dev/two/A/token?attribute=type", "op://dev/two/B/token?attribute=type")
	out := h.file("out.json")
	end := h.sh.start(command{Argv: []string{program("thumbturn"), "export", "--yes", "--plain", "--vault", "dev", "--to", out}})
	h.approve(h.pending())
	wantCode(t, h.heard(<-end), 0)
	b, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(b), canary+" A") || !strings.Contains(string(b), canary+" B") {
		t.Errorf("%s, %v", b, err)
	}
	end = h.sh.start(command{Argv: []string{program("thumbturn"), "item", "move", "two", "--current-vault", "dev", "--destination-vault", "prod"}})
	h.approve(h.pending())
	wantCode(t, h.heard(<-end), 0)
	for _, s := range []string{"A", "B"} {
		r := h.approved(h.person, "read", "op://prod/two/"+s+"/token")
		if r.Code != 0 || r.Out != canary+" "+s+"\n" {
			t.Errorf("%s: %v", s, r)
		}
	}
}

// A revision that brings an old one back is of today.
func TestRevertIsOfToday(t *testing.T) {
	t.Parallel()
	h := founded(t)
	updated := func() time.Time {
		var it struct {
			Updated time.Time `json:"updated_at"`
		}
		if err := json.Unmarshal([]byte(h.ok("item", "get", "upd", "--vault", "dev", "--format", "json")), &it); err != nil {
			t.Fatal(err)
		}
		return it.Updated
	}
	h.ok("item", "create", "--vault", "dev", "--title", "upd", "host=a")
	time.Sleep(1100 * time.Millisecond)
	h.ok("item", "edit", "upd", "--vault", "dev", "host=b")
	edited := updated()
	time.Sleep(1100 * time.Millisecond)
	h.ok("item", "revert", "upd", "--vault", "dev", "--revision", "1")
	if now := updated(); !now.After(edited) {
		t.Errorf("reverted %v, edited %v before that", now, edited)
	}
}

//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

const (
	pageRef   = "op://prod/Stripe/credential"
	pageValue = "sk_canary_page_7310"
)

// A test of the page gets the browser, and has a home of its own.
func TestPage(t *testing.T) {
	chrome := webtest.Browser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"signs only", pageSignsOnly},
		{"answers", pageAnswers},
		{"agent", pageAgent},
		{"squatter", pageSquatter},
		{"origin", pageOrigin},
		{"hostile", pageHostile},
		{"leave", pageLeave},
		{"flood", pageFlood},
		{"locked", pageLocked},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, chrome) })
	}
}

// passkeyed is a home with one passkey, of a tab that shows the approval page, and
// one value. The presence passphrase stays where keep says so.
func passkeyed(t *testing.T, chrome context.Context, keep bool, edit func(*webauthn.VirtualAuthenticatorOptions)) (*home, *webtest.Tab) {
	t.Helper()
	h := founded(t)
	h.set(pageRef, pageValue)
	tab := webtest.NewTab(t, chrome)
	tab.Authenticator(edit)
	args := []string{"passkey", "add", "--format", "json", "--name", "laptop", "--presence-passphrase-file", h.file("presence")}
	if keep {
		args = append(args, "--keep-passphrase")
	} else {
		args = append(args, "--code-file", h.file("recovery"))
	}
	if p := h.start(false, args...).enrolled(tab); p.PassphraseEnded == keep {
		t.Fatalf("%+v", p)
	}
	tab.Sees("Nothing waits.")
	return h, tab
}

// holding is a program that asks for the value and shows that it has it.
func (h *home) holding(args ...string) []string {
	env := h.write("env", "KEY="+pageRef+"\n")
	return append(append([]string{"run", "--env-file", env}, args...), "--", "/bin/sh", "-c", `printf %s "$KEY" | sha256sum`)
}

// ask lets an agent's session ask, and wait.
func (h *home) ask() (started, string) {
	h.t.Helper()
	s := h.start(true, h.holding()...)
	s.says("waiting for approval")
	return s, h.pending()
}

// got checks that a program got the value; refused, that it did not, and that none
// was about to be delivered for its request.
func (s started) got() {
	s.t.Helper()
	if r := s.end(); r.Code != 0 || !strings.Contains(r.Out, sumOf(pageValue)) {
		s.t.Fatalf("%v", r)
	}
}

func (s started) refused(h *home, id string) {
	s.t.Helper()
	if r := s.end(); r.Code == 0 || strings.Contains(r.Out, sumOf(pageValue)) {
		s.t.Errorf("%v", r)
	}
	h.unreleased(id)
}

func (h *home) unreleased(id string) {
	h.t.Helper()
	if out := h.ok("audit", "list", "--type", "intent"); strings.Contains(out, id) {
		h.t.Errorf("released: %s", out)
	}
}

// state is what became of a request.
func (h *home) stateOf(id string) string {
	h.t.Helper()
	var list []api.Pending
	if err := json.Unmarshal([]byte(h.ok("requests", "--all", "--format", "json")), &list); err != nil {
		h.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(p api.Pending) bool { return p.ID == id })
	if i < 0 {
		return ""
	}
	return list[i].State
}

// origin is where the page is.
func (h *home) origin() string {
	h.t.Helper()
	b, err := os.ReadFile(h.pageFile())
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (h *home) pageFile() string { return filepath.Join(h.dir, "config", "page") }

// A passkey that only signs leaves the presence passphrase: both together approve.
func pageSignsOnly(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, true, func(o *webauthn.VirtualAuthenticatorOptions) { o.HasPrf = false })
	run, id := h.ask()
	tab.Click("Approve once")
	tab.Sees("This passkey signs only. Type the presence passphrase in a terminal to finish: thumbturn approve")
	tab.Sees("signed by a passkey; the presence passphrase is still to be typed: thumbturn approve " + id)
	if s := h.stateOf(id); s != "pending" {
		t.Errorf("signed only, and %s", s)
	}
	h.unreleased(id)
	if r := h.person("approve", id, "--passphrase-file", h.file("unlock")); r.Code == 0 {
		t.Errorf("a wrong passphrase: %v", r)
	}
	h.unreleased(id)
	h.approve(id)
	run.got()
	var v struct {
		Approvals struct {
			Tiers map[string]int `json:"tiers"`
		} `json:"approvals"`
	}
	out := h.ok("audit", "verify", "--approvals", "--root", h.status().Root, "--format", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Approvals.Tiers["passkey-signs"] != 1 {
		t.Errorf("%+v, %v: %s", v, err, out)
	}
	h.searchFiles(pageValue)
}

// Of two tabs with one request each shows what the other did, and one answer counts.
// A round trip of a person who needs no time is measured.
func pageAnswers(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	second := webtest.NewTab(t, chrome)
	h.page(second)
	run, id := h.ask()
	second.Sees("Give a secret to a program")
	tab.Click("Approve once")
	second.Sees("Nothing waits.")
	if got := second.Post(h.origin(), "refuse", `{"kind":"deny","id":"`+id+`"}`); got == "200" {
		t.Error("denied after it was approved")
	}
	if got := second.Post(h.origin(), "begin", `{"kind":"answer","requests":["`+id+`"]}`); got == "200" {
		t.Error("asked a second time")
	}
	run.got()

	run, id = h.ask()
	tab.Sees("Give a secret to a program")
	second.Click("Deny")
	tab.Sees("Nothing waits.")
	run.refused(h, id)

	var took, own []time.Duration // in all; and without what a person takes
	for range 10 {
		begun := time.Now()
		run := h.start(true, h.holding()...)
		tab.Until(webtest.Button("Approve once"))
		shown := time.Since(begun)
		tab.Click("Approve once") // as soon as it listens
		clicked := time.Now()
		run.got()
		took, own = append(took, time.Since(begun)), append(own, shown+time.Since(clicked))
	}
	slices.Sort(took)
	slices.Sort(own)
	t.Logf("round trip, from the command's start to its end: median %v, %v to %v; without the half second in which the page is deaf: median %v, %v to %v",
		(took[4]+took[5])/2, took[0], took[9], (own[4]+own[5])/2, own[0], own[9])

	// A page that is left open over a lock is closed. What waited has ended.
	run, id = h.ask()
	tab.Sees("Give a secret to a program")
	h.ok("lock")
	for _, b := range []*webtest.Tab{tab, second} {
		b.Sees("This page is closed")
		b.Sees("Open it again from a terminal: thumbturn approve")
		if n := webtest.Eval[int](b, `[...document.querySelectorAll("button")].filter((b) => b.offsetParent).length`); n != 0 {
			t.Errorf("%d buttons", n)
		}
	}
	if r := run.end(); r.Code != 4 {
		t.Errorf("%v", r)
	}
	h.page(second)
	second.Sees("The vaults are locked. Unlock them at a terminal")
	if got := tab.Post(h.origin(), "begin", `{"kind":"answer","requests":["`+id+`"]}`); got != "404" {
		t.Errorf("begin while locked: %s", got)
	}
}

// With one touch a person opens the vaults and gives an agent what it asked for while
// they were locked. Who is no known agent hears that they are.
func pageLocked(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	h.ok("lock")
	h.page(tab)
	tab.Sees("The vaults are locked. Unlock them at a terminal")
	run := h.start(true, h.holding()...)
	if r := run.end(); r.Code != 4 {
		t.Errorf("an unknown program: %v", r)
	}
	known := func() started {
		run := h.started(command{Setsid: true}, append([]string{"/usr/bin/env", "CLAUDECODE=1", program("thumbturn")}, h.holding()...)...)
		run.says("waiting for approval")
		return run
	}
	run = known()
	id := h.pending()
	tab.Sees("Unlock the vaults. Give a secret to a program")
	tab.Sees("opens all vaults too, until they lock again")
	tab.Sees("by its name: what lies there is known once the vaults are open")
	wantCode(t, h.person("approve", id, "--passphrase-file", h.file("presence")), 4)
	if s := h.status().State; s != api.StateLocked {
		t.Fatalf("the vaults are %s", s)
	}
	tab.Click("Deny")
	if r := run.end(); r.Code == 0 || strings.Contains(r.Out, sumOf(pageValue)) {
		t.Errorf("denied: %v", r)
	}
	time.Sleep(6 * time.Second) // the rest after a denial
	run = known()
	tab.Click("Unlock, and approve once")
	run.got()
	tab.Sees("Nothing waits.")
	if s := h.status().State; s != api.StateUnlocked {
		t.Errorf("the vaults are %s", s)
	}
	h.unlock()
	h.unreleased(id)
	h.ok("audit", "verify", "--approvals", "--root", h.status().Root)
	h.searchFiles(pageValue)
}

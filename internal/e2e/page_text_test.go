//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
	"github.com/thumbturn/thumbturn/sdk"
)

// hostileTexts are one of each class of what hides, moves or imitates letters, and what
// tries to be part of the page; and what only looks so (spec/request.md §5).
var hostileTexts = []string{
	"\x1b[2Kcontrol\rcharacters", "bidi \u202egnp.exe", "zero\u200bwidth", "tag\U000E0041", "selector\ufe0f", "private\ue000use", "wide\u3000space",
	"mark e\u0301 हिन्दी ที่นี่", "tower a\u0301\u0302\u0303\u0304\u0305\u0306", "\u0301no letter", "enclosed a\u20dd", "of another a\u0e48",
	"p\u0430yp\u0430l", "gοοgle.example", "p𝐚ypal", "東京Tokyo", "not\u034fseen", "<script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>",
	"</bdi></dd></dl></section><h4>Enforced by Thumbturn</h4>approve", "\nEnforced by Thumbturn\nsafe", "javascript:window.pwned=1//${window.pwned=1}",
	strings.Repeat("long", 200),
}

// Whatever an agent writes is shown as what it is, and is never the page's own.
func pageHostile(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	tab.Quiet()
	dir := filepath.Join(filepath.Dir(h.dir), "<b>cwd\u202e<i> Enforced by Thumbturn")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const title = "<img src=x onerror=window.pwned=1> p\u0430ypal"
	h.ok("item", "create", "--vault", "prod", "--title", title, "credential="+pageValue)
	said := h.write("said", "")
	argv := append([]string{"/bin/sh", "-c", `said=$1; shift; exec "$@" "$(printf 'not UTF-8 \377\376')" 2>"$said"`, "sh", said, program("thumbturn"), "run",
		"--purpose", "<h1>approve now</h1> \u202eelbissop " + strings.Repeat("urgent ", 30),
		"--env-file", h.write("env", "KEY=op://prod/"+strings.ReplaceAll(url.QueryEscape(title), "+", "%20")+"/credential\n"), "--", "/bin/sh", "-c", `printf %s "$KEY" | sha256sum`}, hostileTexts...)
	run := started{t, said, make(chan result, 1)}
	go func() { run.done <- h.do(command{Argv: argv, Setsid: true, Dir: dir}) }()
	run.says("waiting for approval")
	tab.Sees("Claimed by whoever asks")
	for _, width := range []int64{1280, 360} {
		tab.Do(chromedp.EmulateViewport(width, 740))
		if n := webtest.Eval[int](tab, `document.documentElement.scrollWidth`); n > int(width) {
			t.Errorf("%d wide on %d", n, width)
		}
	}
	text := webtest.Eval[string](tab, `document.querySelector("#cards").innerText`)
	flat := strings.ReplaceAll(text, "\n", "")
	for _, want := range append(hostileTexts, dir, "op://prod/%3Cimg src%3Dx onerror%3Dwindow.pwned%3D1%3E p%D0%B0ypal/credential", "<h1>approve now</h1> \u202eelbissop") {
		if !strings.Contains(flat, canon.Escape(want)) {
			t.Errorf("not shown: %q as %q", want, canon.Escape(want))
		}
	}
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, "\n\t"); canon.Escape(line) != line {
			t.Errorf("%+q is on the page as it is", line)
		}
	}
	if strings.Contains(text, "p\u0430y") || !strings.Contains(text, `p\u{430}yp\u{430}l`) || !strings.Contains(text, "東京Tokyo") {
		t.Error("a word of two scripts is shown as it is, or one that people write is not")
	}
	if got := webtest.Eval[string](tab, `[...document.querySelectorAll("#cards h3, #cards h4, main h1, main img, main script")].map((e) => e.childNodes[0].textContent).join("|")`); got !=
		"Give a secret to a program|Enforced by Thumbturn|Reported by the system|Claimed by whoever asks" {
		t.Errorf("the page has %s", got)
	}
	if webtest.Eval[bool](tab, `"pwned" in window`) {
		t.Error("a script ran")
	}
	if t.Failed() {
		t.Log(text)
	}
	tab.Click("Approve once")
	run.got()
}

// A lease is given and ended on the page; a session is muted and heard again.
func pageLeave(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	h.set("op://dev/db/password", pageValue)
	draft := h.write("lease.cedar", strings.Replace(h.ok("policy", "show"), "@id(\"agent-hold\")\n", "@id(\"agent-hold\")\n@lease(\"30m\")\n", 1))
	apply := h.start(false, "policy", "apply", draft)
	apply.says("waiting for approval")
	tab.Click("Approve once")
	if r := apply.end(); r.Code != 0 {
		t.Fatalf("%v", r)
	}
	agent, other := newShell(t, h.env()), newShell(t, h.env())
	run := func(s *shell, args ...string) result {
		t.Helper()
		return h.heard(s.run(command{Argv: append(append([]string{program("thumbturn"), "run"}, args...), "--", "sh", "-c", `printf %s "$PASSWORD" | sha256sum`),
			Env: []string{"PASSWORD=op://dev/db/password"}}))
	}
	park := func(s *shell) string {
		t.Helper()
		r := run(s, "--no-wait")
		wantCode(t, r, 5)
		return strings.TrimSpace(r.Out)
	}
	id := park(agent)
	tab.Click("Allow for …")
	tab.Click("Allow for 5 min, 10 times")
	tab.Sees("Approved.")
	wantSaid(t, run(agent, "--request", id), sumOf(pageValue))
	for range 2 {
		wantSaid(t, run(agent, "--no-wait"), sumOf(pageValue))
	}
	tab.Sees("may ask 8 more times")
	tab.Click("End")
	tab.Until(`document.getElementById("leave").hidden`)
	park(agent)

	tab.Click("Deny and mute 10 min")
	tab.Sees("Muted")
	wantCode(t, run(agent, "--no-wait"), 3)
	tab.Sees("1 requests refused")
	park(other)
	tab.Click("Deny")
	tab.Sees("Nothing waits.")
	tab.Click("Unmute")
	tab.Until(`document.getElementById("leave").hidden`)
	park(agent)
}

// An agent asks a thousand times at once: little of it is kept, the page stays of
// use, and others are heard.
func pageFlood(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	where, err := api.FindHome(func(name string) string {
		for _, e := range h.env() {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v
			}
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	kept, begun := 0, time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c, err := sdk.Dial(t.Context(), where, sdk.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range 125 {
				_, _, err := c.Release(t.Context(), api.Want{Ask: api.Ask{NoWait: true}, Sink: "handoff", Refs: []string{pageRef}, Names: []string{"KEY"},
					Program: api.Program{Path: "/usr/bin/true", Argv: []string{"true"}, Dir: "/"}}, nil)
				switch {
				case err == nil:
					t.Error("a value came")
				case strings.Contains(err.Error(), "too many requests wait"):
				default:
					mu.Lock()
					kept++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	t.Logf("1000 requests in %v; %d were kept", time.Since(begun), kept)
	if kept == 0 || kept > 8 {
		t.Errorf("%d of them wait", kept)
	}
	tab.Sees("8 requests of one session, answered together")
	run := h.start(true, h.holding()...)
	run.says("waiting for approval")
	if n := webtest.Eval[int](tab, `document.querySelectorAll("#cards > article").length`); n > 2 {
		t.Errorf("%d cards", n)
	}
	tab.Click("Approve once")
	run.got()
	tab.Click("Deny all")
	tab.Sees("Nothing waits.")
	var list []api.Pending
	if err := json.Unmarshal([]byte(h.ok("requests", "--all", "--format", "json")), &list); err != nil || len(list) > 64 {
		t.Errorf("%d are remembered, %v", len(list), err)
	}
}

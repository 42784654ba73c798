//go:build linux

package e2e

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// shots, with -shots DIR, is where TestPageShots writes what the page looks like.
var shots = flag.String("shots", "", "write screenshots to this folder")

var pageLink = regexp.MustCompile(`(http://vault-[0-9a-z]{26}\.localhost:[0-9]+/#[a-z]+=[0-9a-z]+)\r?\n`)

// begin types a line that opens the page, and returns its address; the line goes on.
func (s *screen) begin(t *testing.T, line string) string {
	t.Helper()
	s.p.Send(s.c.filled(line) + "\r")
	answered := s.at
	for end := time.Now().Add(waitLong); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		all := s.p.Output()
		if m := pageLink.FindStringSubmatch(all[s.at:]); m != nil {
			return m[1]
		}
		if say, ok := s.knows.answer(all[answered:][strings.LastIndexByte(all[answered:], '\n')+1:]); ok {
			answered = len(all)
			s.p.Send(say + "\r")
		}
	}
	t.Fatalf("%q tells no address:\n%s", line, s.p.Output()[s.at:])
	return ""
}

// ends waits for the end of such a line.
func (s *screen) ends(t *testing.T, line string) string {
	t.Helper()
	out, status := s.wait(t, line)
	if status != 0 {
		t.Fatalf("%q: status %d: %s", line, status, out)
	}
	return out
}

// touch makes the passkey of an enrolment.
func touch(tab *webtest.Tab) {
	tab.Click("Create the passkey")
	tab.Click("Use the passkey")
	for _, again := range []string{"Continue: passkey, 2 of 3", "Continue: passkey, 3 of 3"} {
		tab.Until(webtest.Button(again))
		tab.Hit(again)
	}
	tab.Sees("is enrolled")
}

// In a home as a person has it, an agent gets no page, no enrolment and no unlock,
// whether it admits what it is or only runs apart; and nothing is offered where no
// browser can be opened.
func TestPageUnderAgent(t *testing.T) {
	t.Parallel()
	chrome := webtest.Browser(t)
	c := converse(t)
	if out := c.you.run(t, "thumbturn init", 0); strings.Contains(out, "passkey") {
		t.Errorf("a passkey is offered without a display: %s", out)
	}
	c.you.run(t, "thumbturn unlock", 0)
	c.you.run(t, "thumbturn set "+pageRef, 0)
	c.you.run(t, "thumbturn read --no-wait "+pageRef, 5)
	refused := func() {
		t.Helper()
		for _, what := range []string{"passkey add --name theirs", "approve", "approve --page REQUEST", "approve REQUEST", "unlock --passkey", "passkey remove laptop --yes"} {
			for _, how := range []string{"CLAUDECODE=1 thumbturn ", "setsid -w thumbturn "} {
				if out := c.agent().run(t, how+what+"; test $? -ne 0 && echo re''fused", 0); !strings.Contains(out, "refused\r\n") || pageLink.MatchString(out) {
					t.Errorf("%s%s:\n%s", how, what, out)
				}
			}
		}
	}
	refused()
	tab := webtest.NewTab(t, chrome)
	tab.Authenticator(nil)
	tab.Open(c.you.begin(t, "thumbturn passkey add --name laptop"))
	touch(tab)
	c.you.ends(t, "passkey add")
	tab.Sees("Show a secret")
	refused()
	if out := c.you.run(t, "thumbturn passkey list", 0); strings.Contains(out, "theirs") || !strings.Contains(out, "laptop") {
		t.Errorf("%s", out)
	}
	tab.Click("Approve once")
	tab.Sees("Approved.")
	if out := c.you.run(t, "thumbturn read --request REQUEST "+pageRef, 0); !strings.Contains(out, canary) {
		t.Errorf("%s", out)
	}
}

// A person looks at these; the test only makes them.
func TestPageShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	root(t)
	chrome := webtest.Browser(t)
	c := converse(t)
	c.dir = "/srv/shop" // a short name, and a user that is not root
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(c.dir) })
	c.uid = 1000
	c.you.run(t, "thumbturn daemon stop", -1)
	for _, d := range []string{c.dir, c.top} {
		if err := filepath.WalkDir(d, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, c.uid, c.uid))
		}); err != nil {
			t.Fatal(err)
		}
	}
	c.you = c.open()
	c.you.run(t, "thumbturn init", 0)
	c.you.run(t, "thumbturn unlock", 0)
	c.you.run(t, "thumbturn item create --vault prod --title Stripe --url https://dashboard.stripe.com credential="+pageValue, 0)
	c.you.run(t, "thumbturn set op://dev/postgres/password", 0)
	tab := webtest.NewTab(t, chrome)
	tab.Authenticator(nil)
	tab.Open(c.you.begin(t, "thumbturn passkey add --name laptop"))
	tab.Sees("What it can give")
	tab.Look(*shots, "enrol")
	touch(tab)
	c.you.ends(t, "passkey add")
	tab.Look(*shots, "enrolled")
	tab.Open("about:blank")
	tab.Open(c.you.begin(t, "thumbturn approve"))
	c.you.ends(t, "approve")
	tab.Sees("Nothing waits.")
	tab.Look(*shots, "empty")
	// What an agent's session asks, as it would.
	bot := c.agent()
	bot.run(t, "env CLAUDECODE=1 sh -i", 0)
	ask := func(ref, purpose, command string) {
		t.Helper()
		bot.run(t, "KEY="+ref+` thumbturn run --no-wait --purpose "`+purpose+`" -- `+command, 5)
		tab.Until(`document.querySelectorAll("#cards > article").length === 1 && document.querySelector("#cards").innerText.includes(` + webtest.Quote(purpose) + `)`)
	}
	yes := func() {
		t.Helper()
		tab.Click("Approve once")
		tab.Sees("Approved.")
		bot.run(t, "true", 0)
	}
	ask("op://dev/postgres/password", "run the migrations of the test database", "node migrate.js")
	yes()
	ask("op://dev/postgres/password", "seed the test database", "node seed.js --rows 200")
	yes()
	ask(pageRef, "send the numbers of last week to a colleague", "node export.js")
	tab.Click("Deny")
	tab.Sees("Denied.")
	time.Sleep(6 * time.Second) // a denial keeps its session quiet for five
	ask(pageRef, "reproduce the failing refund of order 5821", "node server.js")
	tab.Do(chromedp.Reload())
	tab.Sees("Give a secret to a program")
	tab.Look(*shots, "approve")
	yes()
	tab.Do(chromedp.Reload())
	tab.Until(`document.querySelectorAll("#history li").length === 4`)
	tab.Look(*shots, "history")
}

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

// Sessions of one agent ask as often as they can. A further session still finds a place,
// and a person's own request is heard and approved as if nobody else asked.
func TestPersonsPlace(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	env := h.write("env", "KEY=op://dev/api/key\n")
	asks := "for i in 1 2 3 4 5 6 7 8 9 10; do " + program("thumbturn") + " run --no-wait --env-file " + env + " -- true >/dev/null 2>&1; echo -n \"$? \"; done"
	var got []int
	for range 5 {
		r := h.do(command{Argv: []string{"sh", "-c", asks}, Setsid: true})
		got = append(got, strings.Count(r.Out, "5 "))
		if n := strings.Count(r.Out, "3 "); n+got[len(got)-1] != 10 {
			t.Errorf("%v", r)
		}
	}
	if fmt.Sprint(got) != "[8 8 4 2 1]" {
		t.Errorf("five sessions got %v places", got)
	}
	wantCode(t, h.approved(h.person, "read", "op://dev/api/key"), 0)
	var list []api.Pending
	if err := json.Unmarshal([]byte(h.ok("requests", "--format", "json")), &list); err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(p api.Pending) bool { return p.State != "pending" }) // what was read is leased
	if len(list) != 23 {
		t.Errorf("%d wait", len(list))
	}
	for _, p := range list {
		if len(p.Secrets) != 1 || p.Secrets[0].Ref != "op://dev/api/key" || p.Secrets[0].Writer != "person" || len(p.Secrets[0].Binding) != 64 {
			t.Errorf("%+v", p.Secrets)
		}
	}
}

// push writes to the terminal of who runs it, as if its person had typed.
const push = `perl -e 'for (split //, "touch $ARGV[0]\r") { ioctl(STDIN, 0x5412, $_) or die "$!\n" }' `

// What a program pushes into its terminal (TIOCSTI) comes to itself, and is no command
// of the shell in which a person has unlocked.
func TestPushedKeys(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("*** SKIP: no perl here")
	}
	h := founded(t)
	h.set("op://dev/api/key", canary)
	shell := exec.Command("sh", "-i")
	shell.Env = append(h.env(), "PS1=ready> ", "KEY=op://dev/api/key")
	p := ptytest.Start(t, shell)
	run := func(line string) {
		t.Helper()
		p.Expect("ready> ", waitLong)
		p.Send(line + "; echo en''ded\r")
		p.Expect("ended", waitLong)
	}
	run("thumbturn unlock --passphrase-file " + h.file("unlock"))
	run(push + h.file("control"))
	p.Expect("ready> ", waitLong)
	p.Send("\r")
	run("thumbturn run -- " + push + h.file("pushed"))
	run("true")
	p.Expect("ready> ", waitLong)
	p.Send("exit\r")
	_ = p.Wait(waitLong)
	if _, err := os.Stat(h.file("control")); err != nil {
		t.Log("*** the kernel lets nobody push keys here: " + err.Error())
	}
	if _, err := os.Stat(h.file("pushed")); err == nil {
		t.Errorf("a program of run typed into the person's shell:\n%s", p.Output())
	}
}

// An agent answers in a terminal of its own. Where it is known as one, the right
// passphrase does not help it; where it is not, a yes is no passphrase.
func TestOwnTerminal(t *testing.T) {
	t.Parallel()
	c := converse(t)
	c.you.run(t, "thumbturn init", 0)
	c.you.run(t, "thumbturn unlock", 0)
	c.you.run(t, "thumbturn set "+pageRef, 0)
	c.you.run(t, "thumbturn read --no-wait "+pageRef, 5)
	knows, guesses := c.agent(), c.openAt(c.top, &knows{unlock: "y", presence: "y"})
	for _, try := range []struct {
		at   *screen
		line string
		says string
	}{
		{knows, "CLAUDECODE=1 thumbturn approve REQUEST", "refused under an agent"},
		{knows, "CLAUDECODE=1 script -qc 'thumbturn approve REQUEST' /dev/null", "refused under an agent"},
		{knows, "setsid -w thumbturn approve REQUEST", "terminal"},
		{guesses, "thumbturn approve REQUEST", "wrong presence passphrase"},
		{guesses, "script -qc 'thumbturn approve REQUEST' /dev/null", "wrong presence passphrase"},
	} {
		if out := try.at.run(t, try.line+"; thumbturn requests", 0); !strings.Contains(out, try.says) || !strings.Contains(out, "pending") {
			t.Errorf("%s:\n%s", try.line, out)
		}
	}
	if out := knows.run(t, "thumbturn read --request REQUEST "+pageRef+"; true", 0); strings.Contains(out, canary) {
		t.Errorf("%s", out)
	}
	c.you.run(t, "thumbturn approve REQUEST", 0)
	if out := c.you.run(t, "thumbturn read --request REQUEST "+pageRef, 0); !strings.Contains(out, canary) {
		t.Errorf("%s", out)
	}
}

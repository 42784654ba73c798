//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

// A real home, as a person makes and uses it: everything is typed.
func TestTerminal(t *testing.T) {
	t.Parallel()
	h := bare(t)
	if r := h.person("whoami"); strings.Contains(r.Out, "under agent") {
		t.Skip("*** SKIP: an agent runs these tests, and a real home refuses it")
	}
	shell := exec.Command("sh")
	shell.Env = append(h.env(), "PS1=ready> ")
	shell.Args = []string{"sh", "-i"}
	p := ptytest.Start(t, shell)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn init\r")
	for _, say := range []string{unlockPhrase, unlockPhrase, presencePhrase, presencePhrase} {
		p.Expect("passphrase", waitLong)
		p.Expect(": ", waitLong)
		p.Send(say + "\r")
	}
	p.Expect("written down? [y/N] ", waitLong)
	p.Send("y\r")
	made := p.Expect("ready> ", waitLong)
	if strings.Contains(made, presencePhrase) {
		t.Errorf("%q", made)
	}
	p.Send("thumbturn unlock\r")
	p.Expect("unlock passphrase: ", waitLong)
	p.Send("wrong\r")
	p.Expect("wrong unlock passphrase", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn unlock\r")
	p.Expect("unlock passphrase: ", waitLong)
	p.Send(unlockPhrase + "\r")
	p.Expect("unlocked", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn set op://dev/api/key\r")
	p.Expect("value of op://dev/api/key: ", waitLong)
	p.Send(canary + "\r")
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn whoami\r")
	p.Expect("person", waitLong)
	p.Expect("ready> ", waitLong)
	if strings.Contains(p.Output(), canary) {
		t.Error("a typed value was shown")
	}
	// Not in the session, no terminal, passphrases from files: all refused.
	wantCode(t, h.person("unlock", "--passphrase-file", h.file("unlock")), 3)
	wantCode(t, h.person("read", "--no-wait", "op://dev/api/key"), 3)
	wantCode(t, h.agent("read", "--no-wait", "op://dev/api/key"), 3)
	p.Send("thumbturn read --no-wait op://dev/api/key 2>/dev/null > " + h.file("id") + "; echo parked $?\r")
	p.Expect("parked 5", waitLong)
	b, err := os.ReadFile(h.file("id"))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(b))
	wantCode(t, h.person("approve", id, "--passphrase-file", h.file("presence")), 3)
	p.Send("thumbturn approve " + id + "\r")
	p.Expect("presence passphrase: ", waitLong)
	p.Send(presencePhrase + "\r")
	p.Expect("approved", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn read --request " + id + " op://dev/api/key\r")
	p.Expect(canary, waitLong)
	p.Expect("ready> ", waitLong)
	if _, err := exec.LookPath("setpriv"); err == nil {
		p.Send("setpriv --no-new-privs thumbturn read --no-wait op://dev/api/key; echo sandboxed $?\r")
		p.Expect("sandboxed 3", waitLong)
		p.Expect("ready> ", waitLong)
	}
	// Under an agent nobody unlocks or approves.
	// The client asks before the daemon refuses; whatever is typed is in vain.
	p.Send("CLAUDECODE=1 sh -c 'thumbturn unlock'; echo status $?\r")
	p.Expect("status $?", waitLong)
	time.Sleep(500 * time.Millisecond)
	p.Send(unlockPhrase + "\r")
	p.Expect("status 3", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn audit verify; thumbturn daemon stop; exit\r")
	p.Expect("everything agrees", waitLong)
	_ = p.Wait(waitLong)
}
